"""The workspace: where things lie, and what is made at first use."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from alain_magics.commands.runner import background_loop
from alain_magics.errors import ImportFailed, SettingsError, StoreError, TargetError
from alain_magics.runtimes.base import ChatRequest, Message
from alain_magics.runtimes.scripted import ScriptedRuntime
from alain_magics.store.attempts import Attempt
from alain_magics.workspace import close_workspaces, open_workspace
from tests.conftest import require


@pytest.fixture(autouse=True)
def no_other_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep the settings of whoever runs the tests out of them."""
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))
    yield
    close_workspaces()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a project with a folder in it."""
    folder = tmp_path / "project"
    (folder / "notebooks").mkdir(parents=True)
    (folder / "alain.toml").write_text("item_seconds = 3\n")
    return folder


def test_a_project_is_the_nearest_parent_with_settings(project: Path):
    workspace = open_workspace(project / "notebooks")
    assert workspace.project == project
    assert workspace.folder == project / "notebooks"
    assert workspace.settings.item_seconds == 3


def test_outside_of_a_project_the_defaults_hold(tmp_path: Path):
    workspace = open_workspace(tmp_path)
    assert workspace.project is None
    assert workspace.settings.item_seconds == 1


def test_data_lies_where_the_environment_says_else_in_the_project_else_with_jupyter(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("ALAIN_DATA_DIR", str(tmp_path / "chosen"))
    assert open_workspace(project).data == tmp_path / "chosen"
    monkeypatch.delenv("ALAIN_DATA_DIR")
    assert open_workspace(project / "notebooks").data == project / ".alain"
    assert open_workspace(tmp_path).data == tmp_path / "jupyter" / "alain"


def test_a_project_keeps_its_data_out_of_git(project: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("ALAIN_DATA_DIR")
    subprocess.run(["git", "init", "--quiet", project], check=True)
    workspace = open_workspace(project)
    workspace.attempts.record(Attempt("ada", "l", "L", "q", 1, True))
    shown = subprocess.run(["git", "-C", project, "status", "--short"], capture_output=True, text=True, check=True)
    assert shown.stdout == "?? alain.toml\n"


def test_the_data_folder_is_its_owners_before_anything_lies_in_it(project: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("ALAIN_DATA_DIR")
    folder = open_workspace(project).make_data()
    assert folder == project / ".alain"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in folder.iterdir()] == [".gitignore"]


def test_a_data_folder_that_cannot_be_made_is_named(project: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("ALAIN_DATA_DIR")
    (project / ".alain").write_text("a file")
    with pytest.raises(StoreError, match=r"The data folder .*\.alain cannot be used: File exists\. Name another one"):
        open_workspace(project).make_data()


def test_recorded_turns_stay_out_of_git_unless_that_is_undone(project: Path):
    workspace = open_workspace(project)
    subprocess.run(["git", "init", "--quiet", project], check=True)

    def recorded() -> str:
        turn = workspace.turn(ScriptedRuntime(), ChatRequest("echo", (Message("user", "secret"),)), record="shell")
        asyncio.run(turn.run())
        command = ["git", "-C", project, "status", "--short", "runs"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert recorded() == ""
    assert len(list((project / "runs").glob("*/meta/shell/turn.json"))) == 1
    (project / "runs" / ".gitignore").unlink()
    assert recorded() == "?? runs/\n"


def test_opening_makes_nothing(project: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("ALAIN_DATA_DIR")
    open_workspace(project)
    assert not (project / ".alain").exists()


def test_a_folder_has_one_workspace_and_one_store(project: Path):
    found = []
    threads = [threading.Thread(target=lambda: found.append(open_workspace(project).store)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(store) for store in found}) == 1


def test_options_of_a_call_outrank_everything(project: Path):
    workspace = open_workspace(project)
    assert workspace.settings_with(item_seconds=5, difficulty=None).item_seconds == 5
    assert workspace.settings.item_seconds == 3


def test_programs_run_as_the_settings_say(project: Path):
    workspace = open_workspace(project)
    slow = workspace.settings_with(isolation="limited", item_seconds=0.3, item_memory_mb=64)
    outcome = asyncio.run(workspace.sandbox(slow).run("while True: pass"))
    assert (outcome.error, outcome.level) == ("Timeout", "limited")
    assert outcome.seconds < 2
    large = f"len(bytearray({100 << 20}))"
    assert asyncio.run(workspace.sandbox(slow).run(large)).error == "MemoryError"
    assert asyncio.run(workspace.sandbox(workspace.settings_with(isolation="limited")).run(large)).ok


def test_imports_take_no_longer_than_the_settings_say(project: Path):
    (project / "endless.py").write_text("while True: pass")
    workspace = open_workspace(project)

    async def scenario() -> None:
        sandbox = workspace.sandbox(workspace.settings_with(import_seconds=0.4))
        async with sandbox.session(imports=("endless",), paths=(project,)):
            raise AssertionError("it was imported")

    with pytest.raises(ImportFailed, match=r"endless was not imported within 0\.4 s"):
        asyncio.run(scenario())


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("~nosuchuser/x.ipynb", "there is no user nosuchuser"),
        ("n" * 5000, "File name too long"),
        ("a\0b", "null"),
    ],
)
def test_a_name_that_no_file_can_have_is_told(project: Path, name: str, says: str):
    with pytest.raises(TargetError, match=says):
        open_workspace(project).path(name)


def test_a_name_is_relative_to_the_folder_and_may_begin_at_home(project: Path):
    workspace = open_workspace(project)
    assert workspace.path("a/b.ipynb") == project / "a" / "b.ipynb"
    assert workspace.path("~/b.ipynb") == Path.home() / "b.ipynb"


def test_a_deleted_folder_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(TargetError, match="current folder was deleted"):
        open_workspace()


def test_a_data_folder_that_was_chosen_is_not_kept_out_of_git(project: Path, private_data: Path):
    open_workspace(project).attempts.record(Attempt("ada", "l", "L", "q", 1, True))
    assert (private_data / "alain.db").exists()
    assert not (private_data / ".gitignore").exists()


def test_a_wrong_setting_is_named_at_once(project: Path):
    (project / "alain.toml").write_text("user = 'root'")
    with pytest.raises(SettingsError, match=r"alain\.toml: user cannot be set by a project"):
        open_workspace(project)


def test_answers_belong_to_the_user_of_the_settings(project: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ALAIN_USER", "ada")
    assert open_workspace(project).user == "ada"
    monkeypatch.delenv("ALAIN_USER")
    monkeypatch.setenv("JUPYTERHUB_USER", "bob")
    assert open_workspace(project).user == "bob"


def test_the_database_of_the_settings_is_used(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ALAIN_DATABASE_URL", f"sqlite:///{tmp_path}/team.db")
    workspace = open_workspace(project)
    workspace.attempts.record(Attempt("ada", "l", "L", "q", 1, True))
    assert (tmp_path / "team.db").exists()


def test_a_damaged_database_leaves_a_notice(project: Path, private_data: Path):
    (private_data / "alain.db").write_bytes(b"not a database" * 1000)
    workspace = open_workspace(project)
    assert workspace.attempts.summary("ada") == []
    assert "was damaged" in workspace.notices[0]


def test_a_closed_workspace_opens_again_at_its_next_use(project: Path):
    workspace = open_workspace(project)
    workspace.attempts.record(Attempt("ada", "l", "L", "q", 1, True))
    workspace.close()
    assert len(workspace.attempts.all("ada", "q")) == 1


def test_a_workspace_is_cheap_to_import():
    script = "import sys, alain_magics.workspace; print(*sys.modules)"
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert {"sqlalchemy", "pydantic", "asyncio"} & set(answer.stdout.split()) == set()


def test_closing_frees_the_runtimes_on_the_loop_that_uses_them(project: Path):
    workspace, closed = open_workspace(project), []

    async def use() -> None:
        async def aclose() -> None:
            closed.append(asyncio.get_running_loop())

        workspace.runtimes.get("scripted").aclose = aclose

    asyncio.run_coroutine_threadsafe(use(), background_loop()).result(10)
    workspace.close()
    assert closed == [background_loop()]
    workspace.close()
    assert workspace.runtimes.names()


def test_a_process_with_a_model_in_memory_ends_silently_and_soon(project: Path, shared: Path):
    require(find_spec("llama_cpp"), "reason: llama-cpp-python is not installed")
    script = (
        "import asyncio, sys\n"
        "from alain_magics.commands.runner import background_loop\n"
        "from alain_magics.runtimes.local.llamacpp import LlamaModel\n"
        "from alain_magics.workspace import open_workspace\n"
        "close = LlamaModel.close\n"
        "LlamaModel.close = lambda model: (print('freed', flush=True), close(model))\n"
        "async def use():\n"
        "    runtime, model = await open_workspace().runtimes.choose('local/tiny-chatml.gguf')\n"
        "    await runtime.load(model)\n"
        "asyncio.run_coroutine_threadsafe(use(), background_loop()).result(30)\n"
    )
    environ = {
        **os.environ,
        "ALAIN_MODELS_DIR": str(shared / "fixtures" / "models"),
        "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
    }
    command = [sys.executable, "-c", script]
    ended = subprocess.run(command, cwd=project, env=environ, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "freed\n", "")
