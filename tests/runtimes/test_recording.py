"""Turns that are written down, and played again from what was written."""

from __future__ import annotations

import contextlib
import json
import stat
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alain_magics import errors
from alain_magics.errors import AlainError, BadProtocol, KeyRefused, RateLimited, Refused, StreamTruncated, TargetError
from alain_magics.runtimes import turn as turn_module
from alain_magics.runtimes.base import (
    ChatRequest,
    Event,
    Finished,
    HttpCall,
    Message,
    ReasoningDelta,
    Runtime,
    Sampling,
    TextDelta,
    Tool,
    ToolCallDelta,
    Usage,
)
from alain_magics.runtimes.recording import Recorder, Recordings, request_key
from alain_magics.runtimes.scripted import ReplayRuntime, ScriptedRuntime
from alain_magics.runtimes.turn import Turn, TurnOptions
from tests.runtimes.contract import Run, ask, collect
from tests.runtimes.played import Played, question

ARTEFACTS = {
    "prompt.full.json",
    "prompt.tokens.json",
    "completion.tokens.json",
    "completion.raw.jsonl",
    "completion.cleaned.txt",
    "parse.channels.json",
    "retry.decision.json",
}
ENDED = (Usage(3, 2), Finished("stop", "model"))
TEXT = st.text(st.characters(exclude_categories=()), max_size=8)  # half characters, too: servers send them
EVENTS = st.lists(
    st.one_of(
        st.builds(TextDelta, TEXT),
        st.builds(ReasoningDelta, TEXT),
        st.builds(ToolCallDelta, st.integers(0, 3), TEXT, TEXT, TEXT),
    ),
    max_size=12,
)
USAGE = st.builds(
    Usage,
    st.integers(0, 9),
    st.integers(0, 9),
    source=st.sampled_from(["provider", "estimate"]),
    prefill_seconds=st.none() | st.floats(0, 9),
)
FINISHED = st.builds(Finished, st.sampled_from(["stop", "length", "content_filter"]), TEXT, st.tuples(TEXT))
QUIETLY = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)


class Called(Played):
    """A runtime that is asked by HTTP, with secrets wherever an address can hold them."""

    def http_call(self, request: ChatRequest) -> HttpCall | None:
        url = "https://user:sk-in-the-user@example.org:8443/v1/chat?key=sk-in-the-query"
        return HttpCall(url, {"Authorization": "Bearer sk-in-a-header", "X-Team": "sk-too"}, {"model": request.model})


def record(run: Run, folder: Path, runtime: Runtime, request: ChatRequest, origin: Any = "cell") -> Any:
    """Ask with a recorder, and return the answer; an error of the turn is left to its record."""
    turn = Turn(runtime, request, recorder=Recorder(folder, origin), options=TurnOptions(retries=2))
    with contextlib.suppress(AlainError):
        run(turn.run())
    return turn.answer


def replay(run: Run, folder: Path, request: ChatRequest) -> Any:
    return run(Turn(ReplayRuntime("played", Recordings(folder)), request).run())


def timeless(answer: Any) -> dict[str, Any]:
    """An answer without what the clock says."""
    data = answer.as_data()
    return {name: data[name] for name in data.keys() - {"seconds", "first_token_seconds", "tokens_per_second"}}


def runs(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries do not wait."""
    monkeypatch.setattr(turn_module, "FIRST_DELAY", 0.0)


@given(events=EVENTS, usage=st.none() | USAGE, finished=FINISHED)
@QUIETLY
def test_a_replayed_turn_is_the_recorded_one(
    run: Run, tmp_path_factory: pytest.TempPathFactory, events: list[Event], usage: Usage | None, finished: Finished
) -> None:
    folder = tmp_path_factory.mktemp("runs")
    whole = [*events, *([usage] if usage else []), finished]
    answer = record(run, folder, Played(whole), question())
    assert list(Recordings(folder).find(question()).events) == whole
    again = replay(run, folder, question())
    assert "replayed" in again.flags
    again.flags = tuple(flag for flag in again.flags if flag != "replayed")
    assert timeless(again) == timeless(answer)


def test_a_turn_has_seven_artefacts_metrics_a_plot_and_its_own_facts(run: Run, tmp_path: Path) -> None:
    answer = record(run, tmp_path, ScriptedRuntime(pace=0.001), ask("think", "Hello you <&>"), "shell")
    (folder,) = runs(tmp_path)
    written = files(folder)
    assert set(written) == {
        *(f"logs/shell/{name}" for name in ARTEFACTS),
        "metrics/shell/turn.json",
        "plots/shell/tokens.svg",
        "meta/shell/turn.json",
    }
    logs = {name: written[f"logs/shell/{name}"].decode() for name in ARTEFACTS}
    assert json.loads(logs["prompt.full.json"])["request"]["messages"] == [{"role": "user", "content": "Hello you <&>"}]
    assert json.loads(logs["prompt.tokens.json"])["tokens"] == answer.usage.input == 3
    assert json.loads(logs["completion.tokens.json"])["tokens"] == 6
    assert json.loads(logs["completion.tokens.json"])["pieces"] == ["Hello", " you", " <&>"] * 2
    assert logs["completion.cleaned.txt"] == "Hello you <&>"
    assert json.loads(logs["parse.channels.json"])["reasoning"] == "Hello you <&>"
    assert json.loads(logs["retry.decision.json"])["finish"] == "stop"
    metrics = json.loads(written["metrics/shell/turn.json"])
    assert metrics["output_tokens"] == 6
    assert 0 < metrics["first_token_seconds"] < metrics["seconds"]
    assert metrics["piece_seconds"] == sorted(metrics["piece_seconds"])
    assert len(metrics["piece_seconds"]) == 6
    meta = json.loads(written["meta/shell/turn.json"])
    assert (meta["runtime"], meta["model"], meta["origin"], meta["id"]) == ("scripted", "think", "shell", folder.name)
    picture = ElementTree.fromstring(written["plots/shell/tokens.svg"])
    (line,) = picture.iter("{http://www.w3.org/2000/svg}polyline")
    assert len(line.attrib["points"].split()) == 7


def test_the_artefacts_of_cell_and_shell_are_the_same_bytes(run: Run, tmp_path: Path) -> None:
    request = ask("think", 'Hello you\n/call get "{}"', tools=(Tool("get", "Get", MappingProxyType({})),))
    for origin in ("cell", "shell"):
        record(run, tmp_path / origin, ScriptedRuntime(), request, origin)
    (cell,), (shell,) = runs(tmp_path / "cell"), runs(tmp_path / "shell")
    assert files(cell / "logs" / "cell") == files(shell / "logs" / "shell")
    assert set(files(cell / "logs" / "cell")) == ARTEFACTS


def test_only_the_user_can_read_the_files(run: Run, tmp_path: Path) -> None:
    record(run, tmp_path / "runs", ScriptedRuntime(), ask("echo", "Hello"))
    (folder,) = runs(tmp_path / "runs")
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*") if path.is_file()} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_no_key_and_no_header_is_written(run: Run, tmp_path: Path) -> None:
    record(run, tmp_path, Called([TextDelta("Hi"), *ENDED]), question())
    (folder,) = runs(tmp_path)
    written = files(folder)
    assert not [name for name, content in written.items() if b"sk-" in content]
    meta = json.loads(written["meta/cell/turn.json"])
    assert meta["address"] == "https://example.org:8443/v1/chat"
    assert meta["headers"] == ["Authorization", "X-Team"]


def test_ids_sort_by_time(run: Run, tmp_path: Path) -> None:
    for word in ("first", "second", "third"):
        record(run, tmp_path, ScriptedRuntime(), ask("echo", word))
    said = [(folder / "logs" / "cell" / "completion.cleaned.txt").read_text() for folder in runs(tmp_path)]
    assert said == ["first", "second", "third"]


def test_the_last_answer_to_the_same_question_counts(run: Run, tmp_path: Path) -> None:
    recordings = Recordings(tmp_path)
    for word in ("old", "new"):
        record(run, tmp_path, Played([TextDelta(word), *ENDED]), question())
    assert recordings.find(question()).events[0] == TextDelta("new")


def test_turns_recorded_later_are_found(run: Run, tmp_path: Path) -> None:
    recordings = Recordings(tmp_path)
    with pytest.raises(Refused):
        recordings.find(question())
    record(run, tmp_path, Played([TextDelta("Hi"), *ENDED]), question())
    assert recordings.find(question()).events
    assert recordings.models() == {"model": "played"}


def test_a_question_that_was_not_recorded_says_what_to_do(run: Run, tmp_path: Path) -> None:
    record(run, tmp_path, Played([TextDelta("Hi"), *ENDED]), question())
    with pytest.raises(Refused, match="not among the recorded turns") as caught:
        replay(run, tmp_path, question("Another?"))
    assert "--record" in caught.value.advice


def test_an_answer_after_retries_is_replayed_at_once(run: Run, tmp_path: Path) -> None:
    answer = record(run, tmp_path, Played([RateLimited("Slow down.")], [TextDelta("Hi"), *ENDED]), question())
    (folder,) = runs(tmp_path)
    decisions = json.loads((folder / "logs" / "cell" / "retry.decision.json").read_text())["attempts"]
    assert [(each["attempt"], each["again"], each["error"]) for each in decisions] == [(0, True, "Slow down.")]
    assert replay(run, tmp_path, question()).text == answer.text == "Hi"


def test_a_recorded_failure_fails_again(run: Run, tmp_path: Path) -> None:
    record(run, tmp_path, Played([TextDelta("Hi"), StreamTruncated("It was cut.", "Ask again.")]), question())
    with pytest.raises(StreamTruncated):
        replay(run, tmp_path, question())


def test_an_error_keeps_its_type_and_its_words(tmp_path: Path) -> None:
    for kind, expected in (
        ("KeyRefused", KeyRefused),
        ("InvalidOutput", errors.ServerFailed),
        ("os", errors.ServerFailed),
    ):
        request = question(kind)
        attempt = Recorder(tmp_path, "cell").begin("played", request, None)
        attempt.attempt(0, {"error": "It failed. Do this.", "type": kind, "again": False})
        attempt.finish({}, None)
        failed = Recordings(tmp_path).find(request).error
        assert type(failed) is expected
        assert str(failed) == "It failed. Do this."


def test_each_attempt_is_found_by_what_it_asked(run: Run, tmp_path: Path) -> None:
    request = question(effort="high")
    turn = Recorder(tmp_path, "cell").begin("played", request, None)
    turn.raw(ReasoningDelta("Hm"))
    turn.raw(Finished("length", "model"))
    turn.attempt(0, {"again": True, "effort": "off"})
    turn.raw(TextDelta("Yes"))
    turn.raw(Finished("stop", "model"))
    turn.finish({}, None)
    recordings = Recordings(tmp_path)
    assert recordings.find(request).events == (ReasoningDelta("Hm"), Finished("length", "model"))
    assert recordings.find(replace(request, effort="off")).events == (TextDelta("Yes"), Finished("stop", "model"))


def test_an_interrupted_turn_is_kept_but_answers_nothing(run: Run, tmp_path: Path) -> None:
    async def interrupted() -> None:
        turn = Turn(ScriptedRuntime(), ask("count", "Go", max_tokens=500), recorder=Recorder(tmp_path, "cell"))
        events = turn.stream()
        await anext(events)
        await events.aclose()  # type: ignore[attr-defined]

    run(interrupted())
    (folder,) = runs(tmp_path)
    assert (folder / "logs" / "cell" / "completion.cleaned.txt").read_text() == "1"
    with pytest.raises(Refused):
        Recordings(tmp_path).find(ask("count", "Go", max_tokens=500))


def test_a_damaged_record_is_told_and_a_foreign_one_is_left_alone(run: Run, tmp_path: Path) -> None:
    record(run, tmp_path, Played([TextDelta("Hi"), *ENDED]), question())
    (folder,) = runs(tmp_path)
    for name, content in {"broken": "{", "foreign": '["no turn"]', "empty": "{}"}.items():
        (tmp_path / name / "meta" / "cell").mkdir(parents=True)
        (tmp_path / name / "meta" / "cell" / "turn.json").write_text(content)
    raw = folder / "logs" / "cell" / "completion.raw.jsonl"
    whole = raw.read_bytes()
    assert Recordings(tmp_path).find(question()).events
    for damage in (
        whole[:40],
        whole + b'{"event": "magic"}\n',
        whole.replace(b'"text": "Hi"', b'"words": "Hi"'),
        b"[]\n",
    ):
        raw.write_bytes(damage)
        with pytest.raises(BadProtocol, match="damaged") as caught:
            Recordings(tmp_path).find(question())
        assert caught.value.advice
    raw.unlink()
    with pytest.raises(BadProtocol, match="damaged"):
        Recordings(tmp_path).find(question())


def test_a_key_depends_on_all_that_an_answer_does_and_on_nothing_else() -> None:
    request = question()
    different = [
        replace(request, model="other"),
        replace(request, messages=(Message("system", "Why?"),)),
        replace(request, messages=(*request.messages, *request.messages)),
        replace(request, max_tokens=5),
        replace(request, sampling=Sampling(temperature=0.5)),
        replace(request, tools=(Tool("get", "Get", {}),)),
        replace(request, schema={}),
        replace(request, effort="low"),
        replace(request, context_tokens=9),
        replace(request, extra={"top_a": 0.2}),
    ]
    assert len({request_key(each) for each in (request, *different)}) == len(different) + 1
    cold, warm = (replace(request, sampling=Sampling(temperature=value)) for value in (0, 0.0))
    assert request_key(cold) == request_key(warm)
    one, two = ({"type": "object", "required": ["a"]}, {"required": ["a"], "type": "object"})
    assert request_key(replace(request, schema=one)) == request_key(replace(request, schema=MappingProxyType(two)))


def test_what_is_no_event_is_left_to_the_turn(run: Run, tmp_path: Path) -> None:
    class Odd(Played):
        async def stream(self, request: ChatRequest) -> AsyncIterator[Any]:
            yield TextDelta("Hi")
            yield "no event"

    answer = record(run, tmp_path, Odd(), question())
    assert answer.text == "Hi"
    assert len(runs(tmp_path)) == 1


def test_replay_says_whose_answers_it_has(run: Run, tmp_path: Path) -> None:
    record(run, tmp_path, Played([TextDelta("Hi"), *ENDED]), question())
    runtime = ReplayRuntime("openai", Recordings(tmp_path))
    (info,) = run(runtime.models())
    assert (info.name, runtime.local) == ("openai/model", True)
    assert run(collect(runtime.stream(question()))).text == "Hi"


def test_a_question_to_a_runtime_alone_is_found_whichever_of_its_models_answered(run: Run, tmp_path: Path) -> None:
    request = question()
    for model in ("first", "last"):
        asked = replace(request, model=model, sampling=Sampling(seed=len(model)))
        record(run, tmp_path, Played([TextDelta(model), *ENDED]), asked)
    recordings = Recordings(tmp_path)
    assert recordings.last_model("played") == "last"
    assert recordings.last_model("other") is None
    of_first = replace(request, model="last", sampling=Sampling(seed=len("first")))
    found = run(Turn(ReplayRuntime("played", recordings, any_model=True), of_first).run())
    assert (found.text, found.flags) == ("first", ("replayed",))
    for strict in (ReplayRuntime("played", recordings), ReplayRuntime("other", recordings, any_model=True)):
        with pytest.raises(Refused):
            run(Turn(strict, of_first).run())


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    turn = Recorder(tmp_path / "runs", "cell").begin("played", question(), None)
    with pytest.raises(TargetError, match="cannot be kept") as caught:
        turn.finish({}, None)
    assert "--record" in caught.value.advice
