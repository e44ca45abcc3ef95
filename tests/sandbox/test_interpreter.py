"""A second interpreter finds the same modules, and no more of the machine than it must."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from alain_magics.sandbox import interpreter
from tests.conftest import ROOT


def test_the_interpreter_is_this_one_with_the_hash_seed_in_effect():
    code = "import sys; print(sys.version, sys.prefix, hash('a'))"
    printed = {
        seed: subprocess.run(
            interpreter.command(code),
            env=interpreter.environment("/", seed),
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in (1, 2)
    }
    assert printed[1].startswith(f"{sys.version} {sys.prefix} ")
    assert printed[1] != printed[2]


def test_the_search_path_has_the_extra_folders_first_and_each_once(tmp_path):
    path = interpreter.search_path((tmp_path, tmp_path))
    assert path[0] == str(tmp_path)
    assert len(set(path)) == len(path)
    assert set(path[1:]) <= set(sys.path)


def test_the_current_folder_and_the_home_folder_are_not_searched(tmp_path, monkeypatch):
    home = tmp_path / "home" / "me"
    project = home / "project"
    project.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    entries = ["", ".", "relative", "/", str(tmp_path), str(home), str(project), str(home / "missing")]
    monkeypatch.setattr(sys, "path", entries)
    assert interpreter.search_path(()) == [str(project)]


@pytest.mark.parametrize("way", ["script", "module"])
def test_the_folder_that_python_puts_first_is_not_searched_unless_it_is_asked_for(tmp_path, way):
    program = (
        "from pathlib import Path; from alain_magics.sandbox.interpreter import search_path\n"
        f"here = {str(tmp_path)!r}\n"
        "import sys; print(here in sys.path, here in search_path(()), search_path((Path(here),))[0] == here)\n"
        "sys.path.append(here); print(here in search_path(()))"
    )
    (tmp_path / "program.py").write_text(program)
    done = subprocess.run(
        [sys.executable, *(["-m", "program"] if way == "module" else [str(tmp_path / "program.py")])],
        cwd=tmp_path if way == "module" else "/",
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["True", "False", "True", "True"]


def test_needed_paths_exist_and_none_lies_inside_another(tmp_path):
    (tmp_path / "inner").mkdir()
    paths = interpreter.needed_paths([str(tmp_path / "inner"), str(tmp_path), str(tmp_path / "missing")], ("json",))
    assert tmp_path in paths
    assert all(path.exists() for path in paths)
    assert not [(a, b) for a in paths for b in paths if a != b and a.is_relative_to(b)]
    assert Path.home() not in paths


@pytest.mark.parametrize("layout", ["package", "module"])
def test_a_module_that_only_a_finder_knows_is_found(tmp_path, monkeypatch, layout):
    """As with an editable install, whose finder maps a name to a folder that is in no search path."""
    import importlib.machinery
    import importlib.util

    source = tmp_path / "editable_thing" / "__init__.py" if layout == "package" else tmp_path / "editable_thing.py"
    source.parent.mkdir(exist_ok=True)
    source.write_text("x = 1")

    class Finder:
        @staticmethod
        def find_spec(name, path=None, target=None):
            if name == "editable_thing":
                return importlib.util.spec_from_file_location(name, source)
            return None

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder])
    needed = interpreter.needed_paths([], ("editable_thing.part",))
    assert (source.parent if layout == "package" else source) in needed


def test_links_to_the_interpreter_are_followed(tmp_path, monkeypatch):
    far = tmp_path / "far" / "bin" / "python3"
    near = tmp_path / "near" / "python"
    for file in (far, near):
        file.parent.mkdir(parents=True)
    far.write_text("")
    (near.parent / "python3").symlink_to(Path("..") / "far" / "bin" / "python3")
    near.symlink_to("python3")
    monkeypatch.setattr(sys, "executable", str(near))
    assert {near, near.parent / "python3", far} <= set(interpreter.needed_paths([], ()))
