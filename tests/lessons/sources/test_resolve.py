"""What somebody means who names a source: a module, a file of it, a card, a folder; or one line of advice."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from alain_magics.errors import SourceError, UnknownSource, UnreadableSource
from alain_magics.lessons.sources.resolve import Reference, resolve


def test_an_installed_module_is_meant_by_its_name(tmp_path):
    assert resolve("statistics", tmp_path) == Reference("module", "statistics")
    assert resolve("importlib.metadata", tmp_path) == Reference("module", "importlib.metadata")


@pytest.mark.parametrize("file", ["shapes.py", "shapes/__init__.py"])
def test_a_module_of_the_folder_is_imported_from_there(tmp_path, file):
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).touch()
    assert resolve("shapes", tmp_path) == Reference("module", "shapes", paths=(tmp_path,))
    assert resolve("shapes.round", tmp_path) == Reference("module", "shapes.round", paths=(tmp_path,))


def test_a_module_of_the_folder_comes_before_an_installed_one(tmp_path):
    (tmp_path / "statistics.py").touch()
    assert resolve("statistics", tmp_path).paths == (tmp_path,)


def test_a_python_file_is_the_module_that_it_holds(tmp_path):
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "shapes.py").touch()
    assert resolve("tools/shapes.py", tmp_path) == Reference("module", "shapes", paths=(tmp_path / "tools",))


@pytest.mark.parametrize("name", ["card.md", "statistics.md", "cards/one.markdown", "LOUD.MD"])
def test_a_markdown_file_is_a_card_whatever_modules_there_are(tmp_path, name):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.touch()
    assert resolve(name, tmp_path) == Reference("card", path.stem, path)
    assert resolve(str(path), Path("/")) == Reference("card", path.stem, path)


def test_a_folder_means_the_card_in_it(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "README.md").touch()
    assert resolve("model", tmp_path).path == tmp_path / "model" / "README.md"
    assert resolve("model/", tmp_path).path == tmp_path / "model" / "README.md"


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("statistic", "no module or file statistic. Did you mean statistics?"),
        ("zzqqxxyy", "Install it"),
        ("missing.md", "there is no file missing.md. Check the path."),
        ("no/such/file.md", "there is no file no/such/file.md. Check the path."),
        ("owner/model", "fetched from the network"),
        ("https://example.org/card.md", "fetched from the network"),
        ("empty", "holds no document. Give a Markdown file"),
    ],
)
def test_what_is_not_there_is_answered_in_one_line_with_advice(tmp_path, text, advice):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UnknownSource) as caught:
        resolve(text, tmp_path)
    assert advice in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["weights.bin", "config.json", "paper.pdf", "lesson.ipynb", "my-script.py", "LICENSE"])
def test_a_file_of_another_kind_cannot_be_read(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(UnreadableSource, match="no model card"):
        resolve(name, tmp_path)


@settings(deadline=None)
@given(text=st.text(max_size=40) | st.lists(st.sampled_from(["~", "/", "..", ".", "a", "os", ".md"])).map("".join))
@example(text="~nobody-of-this-name/card.md")
@example(text="card\0.md")
@example(text="a" * 5000)
@example(text="")
def test_whatever_is_typed_is_a_reference_or_an_error_with_advice(tmp_path_factory, text):
    try:
        found: object = resolve(text, tmp_path_factory.getbasetemp())
    except SourceError as error:
        found = error
    assert isinstance(found, Reference) or (found.advice and "\n" not in str(found))
