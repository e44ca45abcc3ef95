"""``ask``: in a notebook's shell and in a terminal, with models that do what they are told."""

from __future__ import annotations

import asyncio
import http.server
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from alain_magics.commands.runner import background_loop
from alain_magics.errors import (
    AlainError,
    InvalidOutput,
    KeyMisused,
    KeyRefused,
    ModelError,
    RateLimited,
    UnknownModel,
    UsageError,
)
from alain_magics.runtimes.base import ChatRequest, Finished, ToolCallDelta, Usage
from alain_magics.workspace import open_workspace
from tests.runtimes.machine import write_places

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
    assert (result.exit_status, result.answers[0]["slot"]) == (1, 0)
    assert "## scripted/echo\n\nHi\n\n## scripted/nothing\n\n" in repr(result)
    with pytest.raises(KeyRefused):
        ask(shell, "--compare scripted/think --compare scripted/echo", "/fail key_refused")


def test_a_terminal_shows_which_model_of_several_failed() -> None:
    done = alain("ask", "--compare", "scripted/nothing", "--compare", "scripted/echo", "Hi")
    assert done.returncode == 1
    assert done.stdout.split() == ["##", "scripted/nothing", "##", "scripted/echo", "Hi"]
    assert "There is no scripted model 'nothing'." in done.stderr


def test_comparing_and_tools_do_not_go_together(shell: Any) -> None:
    shell.user_ns["double"] = lambda x: 2 * x
    with pytest.raises(UsageError, match="cannot go together"):
        ask(shell, f"{ECHO} --compare scripted/think --tool double", "Hi")


def interrupted(shell: Any, options: str, cell: str, after: float = 0.3) -> float:
    """Ask, and interrupt after some seconds; return how long it took then to come back."""
    at: list[float] = []

    def interrupt() -> None:
        at.append(time.monotonic())
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    timer = threading.Timer(after, interrupt)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        ask(shell, options, cell)
    return time.monotonic() - at[0]


@pytest.fixture
def slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let models that need no machine take their time."""
    from alain_magics.runtimes.scripted import ScriptedRuntime

    monkeypatch.setattr(ScriptedRuntime.__init__, "__defaults__", (0.01,))
    asyncio.run_coroutine_threadsafe(open_workspace().runtimes.aclose(), background_loop()).result(10)


def test_a_variable_keeps_what_came_until_an_interrupt(shell: Any, slowly: None) -> None:
    shell.user_ns["answer"] = "of before"
    assert interrupted(shell, "--model scripted/count -o answer", "Go") < 1
    answer = shell.user_ns["answer"]
    assert answer.text.startswith("1 2 3")
    assert (answer.finish, answer.error, answer.exit_status) == (None, "Interrupted.", 1)


def test_what_came_before_an_interrupt_is_shown_to_its_last_word(
    shell: Any, slowly: None, capsys: pytest.CaptureFixture[str]
) -> None:
    interrupted(shell, "--model scripted/count -o answer", "Go")
    assert shell.user_ns["answer"].text == capsys.readouterr().out.strip()


def test_answers_side_by_side_are_kept_when_interrupted(shell: Any, slowly: None) -> None:
    assert interrupted(shell, f"{ECHO} --compare scripted/count -o answers", "Hi") < 1
    whole, part = shell.user_ns["answers"].answers
    assert (whole["text"], whole["error"]) == ("Hi", "")
    assert (part["text"][:5], part["error"]) == ("1 2 3", "Interrupted.")


@pytest.mark.parametrize(
    ("options", "cell", "kept"),
    [
        ("", "one two three\n/fail stream_truncated 2", "one two"),
        ("--json-schema shape", '{"n": "three"}', '{"n": "three"}'),
        ("", "/fail key_refused", ""),
    ],
)
def test_a_variable_keeps_what_came_before_an_error(shell: Any, options: str, cell: str, kept: str) -> None:
    shell.user_ns.update(
        answer="of before", shape={"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    )
    with pytest.raises(ModelError) as raised:
        ask(shell, f"{ECHO} {options} -o answer", cell)
    answer = shell.user_ns["answer"]
    assert (answer.text, answer.error) == (kept, str(raised.value))


def test_words_on_the_line_are_interpolated_once(shell: Any) -> None:
    shell.user_ns.update(topic="{secret} sets", secret="hidden")
    for cell in (None, "Go on."):
        result = ask(shell, f"{ECHO} About {{topic}}", cell)
        assert result.text == "\n".join(filter(None, ["About {secret} sets", cell]))
        assert result.sent == {"topic": 13}


def test_options_are_interpolated_too(shell: Any) -> None:
    shell.user_ns.update(which="count", most=3)
    assert ask(shell, "--model scripted/{which} --max-tokens {most}", "Go").text.split() == ["1", "2", "3"]


@pytest.mark.parametrize("name", ["class", "None", "my-name"])
def test_what_cannot_be_a_variable_is_refused_before_asking(shell: Any, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be the name of a variable"):
        ask(shell, f"{ECHO} -o {name}", "/fail key_refused")


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


def test_a_model_that_wants_tools_for_ever_is_stopped_before_they_are_called_again(
    shell: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alain_magics.commands.ask.ROUNDS", 2)
    called: list[int] = []
    shell.user_ns["again"] = lambda: called.append(1) or "more"

    async def wants_more(self: Any, request: ChatRequest) -> AsyncIterator[Any]:
        yield ToolCallDelta(0, "1", "again", "{}")
        yield Usage(10, 2)
        yield Finished("tool_calls", request.model)

    monkeypatch.setattr("alain_magics.runtimes.scripted.ScriptedRuntime.stream", wants_more)
    result = ask(shell, f"{ECHO} --tool again --yes")
    assert len(called) == 2
    assert result.flags == ["stopped: it called tools 2 times and wants more"]
    assert (result.usage["input"], result.usage["output"], result.cost) == (30, 6, 0)


def test_options_count_in_every_round_of_tools(shell: Any) -> None:
    shell.user_ns["much"] = lambda: "the same thing once more " * 400
    options = f"{ECHO} --tool much --yes --set loop_detection="
    assert ask(shell, f"{options}off", "/call much {}").finish == "stop"
    assert ask(shell, f"{options}cheap", "/call much {}").finish == "loop"


class Counted(http.server.BaseHTTPRequestHandler):
    """Answers nothing useful, and notes that it was asked."""

    def do_POST(self) -> None:
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        self.send_error(404)

    do_GET = do_POST  # noqa: N815

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def counted(here: Path) -> Iterator[tuple[str, list[str]]]:
    """A server that counts its requests, at an address that counts as elsewhere: that, and their paths."""
    with http.server.ThreadingHTTPServer(("127.0.0.2", 0), Counted) as server:
        server.asked = []  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.2:{server.server_port}", server.asked  # type: ignore[attr-defined]
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("key", [None, "sk-canary-0123456789"])
def test_a_hosted_runtime_hears_nothing_of_an_estimate(
    shell: Any, here: Path, monkeypatch: pytest.MonkeyPatch, counted: tuple[str, list[str]], key: str | None
) -> None:
    from dataclasses import replace

    from alain_magics.runtimes.providers import PROVIDERS

    url, asked = counted
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    if key:
        monkeypatch.setenv("ANTHROPIC_API_KEY", key)
    write_places(here / "config" / "alain-runtimes.toml")
    monkeypatch.setitem(PROVIDERS, "anthropic", replace(PROVIDERS["anthropic"], base_url=f"{url}/v1"))
    done = ask(shell, "--model anthropic/claude-sonnet-4-5 --estimate --max-tokens 10")
    assert done.estimates[0]["model"] == "anthropic/claude-sonnet-4-5"
    assert done.estimates[0]["source"] == "estimate"
    assert done.estimates[0]["cost"] > 0
    with pytest.raises(UsageError, match="anthropic/MODEL"):
        ask(shell, "--model anthropic --estimate")
    assert asked == []


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


def test_words_and_a_pipe_are_one_question() -> None:
    assert alain("ask", "--model", "scripted/echo", "Sum up:", stdin="a\nb\n").stdout == "Sum up:\na\nb\n"
    assert alain("ask", "--model", "scripted/echo", "-", stdin="Hello\n").stdout == "Hello\n"


def test_programs_get_json() -> None:
    done = alain("ask", "--model", "scripted/echo", "--json", "Hello")
    assert json.loads(done.stdout)["text"] == "Hello"


def test_a_recorded_turn_is_played_again(here: Path) -> None:
    first = alain("ask", "--model", "scripted/echo", "--record", "--deterministic", "Hello", "there")
    assert first.returncode == 0
    (run,) = [each for each in (here / "runs").iterdir() if each.is_dir()]
    assert (run / "logs" / "shell" / "completion.raw.jsonl").exists()
    (here / "alain.toml").write_text('replay = "runs"\n')
    assert alain("ask", "--model", "scripted/echo", "--deterministic", "Hello", "there").stdout == "Hello there\n"
    missing = alain("ask", "--model", "scripted/echo", "--deterministic", "Something", "else")
    assert missing.returncode != 0
    assert "--record" in missing.stderr
