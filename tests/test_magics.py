"""``%alain`` in a real shell: loading, verbs, mistakes, settings, completion."""

from __future__ import annotations

import io
import subprocess
import sys
from contextlib import redirect_stdout

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.utils.capture import capture_output

from alain_magics.display import Result
from alain_magics.errors import SourceError, UsageError
from alain_magics.settings import SETTINGS, configured
from alain_magics.workspace import open_workspace

HEAVY = {
    "alain_magics.commands", "alain_magics.display", "alain_magics.lessons", "alain_magics.sandbox",
    "alain_magics.store", "alain_magics.text", "alain_magics.widgets", "alain_magics.workspace", "anywidget",
    "asyncio.subprocess", "griffe", "importlib.metadata", "ipywidgets", "jupyter_core", "jupyter_server", "markdown_it",
    "nbformat", "nh3", "psutil", "pydantic", "sqlalchemy", "tomllib", "tornado", "yaml",
}  # fmt: skip


@pytest.fixture(autouse=True)
def only_these_settings():
    yield
    configured.clear()


def errors_of(shell, cell: str) -> tuple[BaseException, str]:
    """Run a cell that fails; return its error and what was printed."""
    with capture_output() as captured:
        result = shell.run_cell(cell)
    return result.error_in_exec, captured.stdout + captured.stderr


def completions(shell, code: str) -> list[tuple[str, str]]:
    """Return what is offered at the end of the code: the code it makes, and the kind."""
    with provisionalcompleter():
        found = list(shell.Completer.completions(code, len(code)))
    return [(code[: each.start] + each.text, each.type) for each in found]


def test_loading_imports_nothing_that_is_not_needed_yet():
    script = (
        "import sys\n"
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "shell = InteractiveShell.instance()\n"
        "before = set(sys.modules)\n"
        "shell.run_line_magic('load_ext', 'alain_magics')\n"
        "print(*(set(sys.modules) - before))"
    )
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(answer.stdout.split())
    assert "alain_magics.magics" in loaded
    assert loaded & HEAVY == set()


def test_alone_it_lists_the_verbs(shell, plugin, capsys):
    assert shell.run_line_magic("alain", "") is None
    assert "  progress    what you answered so far" in capsys.readouterr().out


def test_help_is_printed(shell, plugin, capsys):
    shell.run_line_magic("alain", "count --help")
    assert "usage: %alain count" in capsys.readouterr().out


def test_a_line_gives_a_result_with_text_and_data(shell, plugin):
    with capture_output() as captured:
        shell.run_cell("x = %alain count 2\nx")
    result = shell.user_ns["x"]
    assert isinstance(result, Result)
    assert result.data == {"counted": 2}
    assert "counted to 2" in captured.stdout


def test_json_is_the_result_as_json(shell, plugin):
    assert repr(shell.run_line_magic("alain", "count 2 --json")) == '{\n  "counted": 2\n}'


def test_an_answer_is_printed_as_it_comes_and_not_a_second_time(shell, plugin):
    with capture_output() as captured:
        shell.run_cell("%%alain speak -o kept\nAn *answer*")
    assert captured.stdout.count("An *answer*") == 1
    assert shell.user_ns["kept"].text == "An *answer*"
    assert shell.user_ns["_"] is shell.user_ns["kept"]


def test_what_is_no_name_is_refused_before_anything_is_asked(shell, plugin):
    error, printed = errors_of(shell, "%%alain speak -o my-name\nHello")
    assert type(error) is UsageError
    assert printed == "'my-name' cannot be the name of a variable. Give one such as answer.\n"


def test_a_cell_reaches_the_command_byte_for_byte(shell, plugin):
    shell.user_ns["name"] = "Ada"
    text = 'Hello {name} {nobody} $name {{name}} \\frac{1}{2} {"a": {1}}\n'
    result = shell.run_cell_magic("alain", "echo --yes", text)
    assert result.data["text"] == 'Hello Ada {nobody} $name {name} \\frac{1}{2} {"a": {1}}\n'
    assert result.data["sent"] == {"name": 3}


def test_a_command_sees_the_users_names_and_not_those_of_ipython(shell, plugin):
    shell.run_cell("mine = 1; _private = 2; quit = 3")
    assert shell.run_cell_magic("alain", "echo --yes", "x").data["names"] == ["mine", "quit"]


def test_the_name_of_a_variable_in_braces_is_replaced_in_a_line_and_nothing_else(shell, plugin):
    shell.user_ns["to"] = 2
    assert shell.run_line_magic("alain", "count {to}").data == {"counted": 2}
    error, _ = errors_of(shell, "%alain count $to{nobody}")
    assert "cannot be '$to{nobody}'" in str(error)


def test_a_cell_that_a_verb_has_no_use_for_is_refused(shell, plugin):
    error, _ = errors_of(shell, "%%alain count 2\nforgotten")
    assert "takes no cell" in str(error)


@pytest.mark.parametrize(
    ("cell", "kind", "line"),
    [
        ("%alain counts 3", UsageError, "There is no verb 'counts'. Did you mean 'count'?"),
        ("%alain count three", UsageError, "%alain count: TO cannot be 'three'."),
        ("%alain stumble user", SourceError, "The source is empty\ufffd[31m. Choose another."),
        ("%alain count 'three", UsageError, "No closing quotation in: count 'three"),
    ],
)
def test_a_users_mistake_is_one_line_and_still_an_error(shell, plugin, cell: str, kind: type, line: str):
    error, printed = errors_of(shell, cell)
    assert type(error) is kind
    assert printed.startswith(line)
    assert len(printed.splitlines()) == 1


def test_debug_shows_the_traceback(shell, plugin):
    error, printed = errors_of(shell, "%alain stumble user --debug")
    assert isinstance(error, SourceError)
    assert "Traceback" in printed
    assert "alain_plugin.py" in printed


def test_a_mistake_of_the_program_shows_the_traceback(shell, plugin):
    error, printed = errors_of(shell, "%alain stumble bug")
    assert isinstance(error, ZeroDivisionError)
    assert "Traceback" in printed


def test_code_of_others_needs_consent(shell, plugin):
    _, printed = errors_of(shell, "%%alain echo\nhello")
    assert printed == "This runs code of somebody else. Look at it, then add --yes.\n"
    assert shell.run_cell_magic("alain", "echo --yes", "hello").data["text"] == "hello"


def test_what_did_not_hold_is_a_result_and_says_so(shell, plugin):
    assert shell.run_line_magic("alain", "stumble unfinished").exit_status == 1


def test_a_notice_is_shown_once(shell, plugin, private_data, capsys):
    (private_data / "alain.db").write_bytes(b"not a database" * 1000)
    shell.run_line_magic("alain", "progress")
    assert "was damaged" in capsys.readouterr().err
    shell.run_line_magic("alain", "progress")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_can_be_configured(shell, name: str):
    printed = io.StringIO()
    with redirect_stdout(printed):
        shell.run_line_magic("config", "AlainMagics")
    assert f"AlainMagics.{name}=" in printed.getvalue()


def test_what_is_configured_is_in_force_until_taken_back(shell):
    shell.run_line_magic("config", "AlainMagics.item_seconds = 7")
    settings = open_workspace().settings
    assert (settings.item_seconds, settings.origins["item_seconds"]) == (7.0, "%config AlainMagics")
    assert shell.run_line_magic("config", "AlainMagics.item_seconds") == 7.0
    shell.run_line_magic("config", "AlainMagics.item_seconds = None")
    assert open_workspace().settings.origins["item_seconds"] == "default"


def test_what_a_command_set_can_be_set_back(shell, plugin):
    shell.run_line_magic("config", "AlainMagics.model = 'scripted/echo'")
    shell.run_line_magic("alain", "use scripted/think")
    assert shell.run_line_magic("config", "AlainMagics.model") == "scripted/think"
    shell.run_line_magic("config", "AlainMagics.model = 'scripted/echo'")
    assert open_workspace().settings.model == "scripted/echo"


def test_a_wrong_value_is_refused_in_the_words_of_the_settings(shell, caplog):
    shell.run_line_magic("config", "AlainMagics.isolation = 'isolate'")
    assert "isolation = 'isolate' is not possible." in caplog.text
    assert "Did you mean 'isolated'?" in caplog.text
    assert configured == {}


def test_configuration_files_of_ipython_count(shell):
    shell.config.AlainMagics.difficulty = "advanced"
    shell.run_line_magic("reload_ext", "alain_magics")
    assert open_workspace().settings.difficulty == "advanced"


def test_loading_again_adds_nothing_twice(shell):
    shell.run_line_magic("config", "AlainMagics.item_seconds = 7")
    shell.run_line_magic("reload_ext", "alain_magics")
    assert [type(each).__name__ for each in shell.configurables].count("AlainMagics") == 1
    assert len(shell.Completer.custom_matchers) == 1
    assert configured == {"item_seconds": 7.0}


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("%alain cou", [("%alain count", "verb")]),
        ("%%alain cou", [("%%alain count", "verb")]),
        ("x = %alain cou", [("x = %alain count", "verb")]),
        ("1 + 1\n  %alain cou", [("1 + 1\n  %alain count", "verb")]),
        ("%alain everything --lev", [("%alain everything --level", "option")]),
        ("%alain everything --level h", [("%alain everything --level high", "value")]),
        ("%alain everything --level=h", [("%alain everything --level=high", "value")]),
        ("%alain everything statistic", [("%alain everything statistics", "source")]),
    ],
)
def test_the_line_is_completed(shell, plugin, code: str, expected: list[tuple[str, str]]):
    assert completions(shell, code) == expected


@pytest.mark.parametrize("code", ["alain_value", "print(%alain cou", "'%alain cou", "x\n%%alain cou", "%alainx cou"])
def test_other_lines_are_left_to_others(shell, plugin, code: str):
    shell.user_ns["alain_values"] = 1
    assert all(kind != "verb" for _, kind in completions(shell, code))
    assert "alain_values" in [text for text, _ in completions(shell, "alain_value")]


def test_what_the_system_refuses_is_one_line(shell, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    error, shown = errors_of(shell, f"%alain verify {'n' * 5000}.ipynb")
    assert error is not None
    assert "name too long" in shown
    assert "Traceback" not in shown
