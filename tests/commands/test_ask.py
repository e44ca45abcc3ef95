"""``ask``: in a notebook's shell and in a terminal, with models that do what they are told."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from alain_magics.errors import AlainError, InvalidOutput, KeyMisused, KeyRefused, RateLimited, UnknownModel, UsageError

ECHO = "--model scripted/echo"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path / "config"))
    return tmp_path


def alain(*words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "alain_magics", *words]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60, check=False)


def ask(shell: Any, options: str, cell: str | None = "Hello there") -> Any:
    line = f"ask {options}"
    return shell.run_line_magic("alain", line) if cell is None else shell.run_cell_magic("alain", line, cell)


def test_the_result_has_the_answer_and_what_is_known_about_it(shell: Any) -> None:
    result = ask(shell, "--model scripted/think", "Hello there")
    assert (result.text, result.reasoning) == ("Hello there", "Hello there")
    assert (result.runtime, result.model, result.finish, result.cost) == ("scripted", "think", "stop", 0)
    assert result.usage["source"] == "provider"
    assert result.tool_calls == []


def test_a_variable_keeps_the_result(shell: Any) -> None:
    ask(shell, f"{ECHO} -o answer", "Keep this")
    assert shell.user_ns["answer"].text == "Keep this"


def test_the_question_may_stand_on_the_line(shell: Any) -> None:
    assert ask(shell, f"{ECHO} What is a median?", None).text == "What is a median?"
    assert ask(shell, f"{ECHO} Explain this:", "x = 1").text == "Explain this:\nx = 1"


@pytest.mark.parametrize(
    "prompt",
    [
        r"Prove \frac{a}{b} + \sum_{i=1}^{n} x_{i} = {c}",
        'Complete {"name": "x", "list": [{"a": {}}]}',
        "f'{value!r:>10}' and {0} and {} and {{}}",
        "{% for x in y %}{{ x.name }}{% endfor %} ${HOME} $(ls)",
        "def f(): return {k: v for k, v in {}.items()} # }{",
    ],
)
def test_braces_stay_as_they_are(shell: Any, prompt: str) -> None:
    assert ask(shell, ECHO, prompt).text == prompt


def test_the_exact_name_of_a_variable_becomes_its_value_once_and_is_named(shell: Any) -> None:
    shell.user_ns.update(topic="{other} sets", other="no")
    result = ask(shell, ECHO, "About {topic}, not {unknown}")
    assert result.text == "About {other} sets, not {unknown}"
    assert result.sent == {"topic": 12}


def test_a_key_is_never_sent(shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary-0123456789")
    shell.user_ns["text"] = "my key is sk-canary-0123456789"
    with pytest.raises(KeyMisused):
        ask(shell, ECHO, "{text}")


def test_models_are_compared_side_by_side(shell: Any) -> None:
    result = ask(shell, "--compare scripted/think --compare scripted/echo", "Hi")
    assert [(each["model"], each["text"]) for each in result.answers] == [("think", "Hi"), ("echo", "Hi")]
    result = ask(shell, f"{ECHO} --compare scripted/think", "Hi")
    assert [each["model"] for each in result.answers] == ["echo", "think"]


def test_one_that_fails_does_not_stop_the_others(shell: Any) -> None:
    result = ask(shell, "--compare scripted/echo --compare scripted/nothing", "Hi")
    good, bad = result.answers
    assert (good["text"], good["error"]) == ("Hi", "")
    assert "nothing" in bad["error"]
    with pytest.raises(KeyRefused):
        ask(shell, "--compare scripted/think --compare scripted/echo", "/fail key_refused")


def test_a_failure_before_the_first_word_is_one_line(shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from alain_magics.runtimes import turn

    monkeypatch.setattr(turn, "FIRST_DELAY", 0.001)
    with pytest.raises(RateLimited):
        ask(shell, ECHO, "/fail rate_limited")


def test_an_answer_has_the_structure_that_was_asked_for(shell: Any) -> None:
    shell.user_ns["shape"] = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    assert ask(shell, f"{ECHO} --json-schema shape", '{"n": 3}').value == {"n": 3}
    with pytest.raises(InvalidOutput, match="n"):
        ask(shell, f"{ECHO} --json-schema shape", '{"n": "three"}')
    with pytest.raises(UsageError, match="neither a variable nor a file"):
        ask(shell, f"{ECHO} --json-schema nothing.json", "{}")


def test_a_tool_is_called_only_when_the_user_allows_it(shell: Any) -> None:
    called: list[int] = []

    def double(x: int) -> int:
        """Double a number."""
        called.append(x)
        return 2 * x

    shell.user_ns["double"] = double
    refused = ask(shell, f"{ECHO} --tool double", '/call double {"x": 21}')
    assert called == []
    assert "did not allow" in refused.text
    allowed = ask(shell, f"{ECHO} --tool double --yes", '/call double {"x": 21}')
    assert called == [21]
    assert "42" in allowed.text


def test_arguments_that_do_not_fit_are_told_to_the_model(shell: Any) -> None:
    shell.user_ns["double"] = lambda x: 2 * x
    assert "y" in ask(shell, f"{ECHO} --tool double --yes", '/call double {"y": 1}').text


def test_a_tool_that_raises_is_told_to_the_model(shell: Any) -> None:
    shell.user_ns["divide"] = lambda x: 1 / x
    assert "ZeroDivisionError" in ask(shell, f"{ECHO} --tool divide --yes", '/call divide {"x": 0}').text


def test_an_estimate_sends_nothing(shell: Any) -> None:
    done = ask(shell, f"{ECHO} --estimate --max-tokens 100", "Hello there")
    (row,) = done.estimates
    assert row["max_tokens"] == 100
    assert row["input_tokens"] > 0
    assert "Nothing was sent" in repr(done)


@pytest.mark.parametrize(
    ("options", "cell", "kind"),
    [
        (ECHO, "  \n", UsageError),
        ("--model scripted/nothing", "Hi", AlainError),
        ("--model nowhere/nothing", "Hi", UnknownModel),
        (f"{ECHO} --tool missing", "Hi", UsageError),
        (f"{ECHO} --set flavour=7", "Hi", UsageError),
        (f"{ECHO} --profile missing", "Hi", AlainError),
    ],
)
def test_a_mistake_is_one_line(shell: Any, options: str, cell: str, kind: type[AlainError]) -> None:
    with pytest.raises(kind) as raised:
        ask(shell, options, cell)
    assert "\n" not in str(raised.value)


def test_a_profile_says_whom_and_how_to_ask(shell: Any, here: Path) -> None:
    (here / "profiles").mkdir()
    (here / "profiles" / "short.toml").write_text('model = "scripted/count"\nmax_tokens = 3\n')
    assert ask(shell, "--profile short", "Go").text.split() == ["1", "2", "3"]
    assert ask(shell, "--profile short --max-tokens 2", "Go").text.split() == ["1", "2"]


def test_a_terminal_gets_the_text_on_standard_output() -> None:
    done = alain("ask", "--model", "scripted/echo", "Hello", "there")
    assert (done.returncode, done.stdout) == (0, "Hello there\n")
    assert "scripted/echo" in done.stderr


def test_a_question_can_come_through_a_pipe() -> None:
    assert alain("ask", "--model", "scripted/echo", stdin="Hello\nthere\n").stdout == "Hello\nthere\n"


def test_programs_get_json() -> None:
    done = alain("ask", "--model", "scripted/echo", "--json", "Hello")
    assert json.loads(done.stdout)["text"] == "Hello"


def test_a_recorded_turn_is_played_again(here: Path) -> None:
    first = alain("ask", "--model", "scripted/echo", "--record", "--deterministic", "Hello", "there")
    assert first.returncode == 0
    (run,) = (here / "runs").iterdir()
    assert (run / "logs" / "shell" / "completion.raw.jsonl").exists()
    (here / "alain.toml").write_text('replay = "runs"\n')
    assert alain("ask", "--model", "scripted/echo", "--deterministic", "Hello", "there").stdout == "Hello there\n"
    missing = alain("ask", "--model", "scripted/echo", "--deterministic", "Something", "else")
    assert missing.returncode != 0
    assert "--record" in missing.stderr
