"""Starting a fork server: what a module does while it is imported, and what became of a program."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alain_magics.errors import ImportFailed, SandboxError, UnknownSource
from alain_magics.sandbox import Level, Limits, Outcome, Program, Sandbox
from alain_magics.sandbox.interpreter import command, environment
from alain_magics.sandbox.process import ServerProcess, parse_answer, parse_ended, parse_report, signal_name

USUAL = Limits()


def run_with(
    level: Level, folder: Path, source: str, code: str = "1", *, import_seconds: float = 20, limits: Limits = USUAL
) -> Outcome:
    """Write the module ``lesson`` with a source, import it in a session and run a program."""
    (folder / "lesson.py").write_text(source, encoding="utf-8")

    async def scenario() -> Outcome:
        sandbox = Sandbox(level, limits, import_seconds=import_seconds)
        async with sandbox.session(imports=("lesson",), paths=(folder,)) as session:
            return (await session.run([Program(code)]))[0]

    return asyncio.run(scenario())


FAILURES = {
    "raise ValueError('bad\\nluck')": "Importing lesson failed: ValueError: bad luck.",
    "x = = 1": "Importing lesson failed: SyntaxError",
    "raise KeyboardInterrupt": "Importing lesson failed: KeyboardInterrupt.",
    "import not_there": "Importing lesson failed: ModuleNotFoundError: No module named 'not_there'.",
    "raise SystemExit(1)": "lesson ended Python while it was imported.",
    "import os\nos._exit(0)": "lesson crashed Python while it was imported.",
    "import faulthandler\nfaulthandler._sigsegv()": "lesson crashed Python while it was imported (SIGSEGV).",
    "import time\ntime.sleep(60)": "lesson was not imported within 1.5 s.",
    "import itertools\nsum(itertools.count())": "lesson was not imported within 1.5 s.",
    "print('hello')": "lesson prints while it is imported.",
    "while True:\n    print('hello' * 10_000)": "lesson prints while it is imported.",
    "x = bytearray(10**12)": "Importing lesson failed: MemoryError.",
    "open('x', 'w')": "while it is imported: opening 'x' for writing.",
    "import os\ntry:\n    os.mkdir('x')\nexcept BaseException: pass": "while it is imported: changing files.",
    "import socket\nsocket.socket()": "while it is imported: using the network.",
    "import subprocess\nsubprocess.Popen(['true'])": "while it is imported: starting a process.",
    "import threading\nthreading.Thread(target=print).start()": "while it is imported: starting a thread.",
    "import webbrowser\nwebbrowser.GenericBrowser('true').open('')": "while it is imported: opening a browser.",
    "raise ValueError('x' * 10_000_000)": "Importing lesson failed: ValueError: xxx",
}


@pytest.mark.parametrize(("source", "message"), FAILURES.items(), ids=[source[:30] for source in FAILURES])
def test_a_failing_import_is_told_in_one_line(level, tmp_path, source, message):
    with pytest.raises(ImportFailed) as raised:
        run_with(level, tmp_path, source, import_seconds=1.5 if "1.5 s" in message else 20)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 500
    assert raised.value.advice


@pytest.mark.parametrize(
    "source",
    [
        "import warnings\nwarnings.warn('old')\nx = 1",
        "import sys\nprint('log', file=sys.stderr)\nx = 1",
        "import ctypes\nctypes.CDLL(None).getpid()\nx = 1",
        "try:\n    import not_there\nexcept ImportError:\n    x = 1",
        "import tempfile, subprocess, socket, threading, multiprocessing\nx = 1",
        "import os\nx = len(os.listdir(os.path.dirname(__file__)))",
    ],
)
def test_a_harmless_import_succeeds(level, tmp_path, source):
    assert run_with(level, tmp_path, source, "import lesson\nlesson.x").result == "1"


def test_a_module_that_is_nowhere_is_an_unknown_source(level):
    with pytest.raises(UnknownSource, match=r"^There is no module named not_there\. "):
        asyncio.run(Sandbox(level).run("1", imports=("not_there.at_all",)))


def test_a_missing_submodule_is_a_failed_import(level):
    with pytest.raises(ImportFailed, match=r"No module named 'json\.nothing'"):
        asyncio.run(Sandbox(level).run("1", imports=("json.nothing",)))


@pytest.mark.parametrize("name", ["", ".", "..json", "json/../json", "a\nb", "ü" * 999])
def test_a_name_that_is_none_is_refused(level, name):
    with pytest.raises((ImportFailed, UnknownSource)):
        asyncio.run(Sandbox(level).run("1", imports=(name,)))


def test_memory_is_counted_beyond_what_the_imports_use(level, tmp_path):
    source, limits = "import mmap\nbig = mmap.mmap(-1, 400 << 20)", Limits(seconds=10, memory_mb=100)
    assert run_with(level, tmp_path, source, "len(bytearray(60 << 20))", limits=limits).result == str(60 << 20)
    assert run_with(level, tmp_path, source, "bytearray(160 << 20)", limits=limits).error == "MemoryError"


@pytest.mark.parametrize("command", [["/not/there"], ["/bin/false"], ["/bin/sh", "-c", "echo nonsense >&2; exit 3"]])
def test_an_interpreter_that_does_not_start_is_told(command):
    async def scenario() -> None:
        await ServerProcess.start(command, {}, None, {"imports": [], "import_seconds": 1})

    with pytest.raises(SandboxError, match="did not start") as raised:
        asyncio.run(scenario())
    assert ("nonsense" in str(raised.value)) == ("sh" in command[0])


def test_a_server_that_hangs_is_killed_in_time(tmp_path):
    script = "import time\nprint('{}', '{\"state\": \"ready\"}', sep='\\n', flush=True)\ntime.sleep(60)"

    async def scenario() -> tuple[bool, float]:
        settings = {"imports": [], "import_seconds": 1}
        server = await ServerProcess.start(command(script), environment(str(tmp_path), 0), str(tmp_path), settings)
        began = time.monotonic()
        reply = await server.ask(Program("1"), 0.1)
        assert not server.running
        return reply.late, time.monotonic() - began

    late, seconds = asyncio.run(scenario())
    assert late
    assert seconds < 6


def test_signals_are_named_with_and_without_bubblewrap_around():
    assert signal_name(-signal.SIGSEGV) == signal_name(128 + signal.SIGSEGV) == "SIGSEGV"
    assert [signal_name(status) for status in (0, 1, 127, 128, 255, -250)] == [""] * 6


REPORTS = st.fixed_dictionaries(
    {
        "stdout": st.text(),
        "result": st.text(),
        "error": st.text(),
        "message": st.text(),
        "line": st.none() | st.integers(),
    }
)
JSON = st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda kind: st.lists(kind) | st.dictionaries(
    st.sampled_from(["stdout", "result", "error", "message", "line"]), kind
))  # fmt: skip


@given(report=REPORTS)
def test_a_report_is_read_as_it_was_written(report):
    whole = all(text is None or isinstance(text, int) or text.isascii() for text in report.values())
    assert parse_report(json.dumps(report).encode()) == report or not whole


@given(
    body=st.binary()
    | JSON.map(lambda value: json.dumps(value).encode())
    | REPORTS.map(lambda r: json.dumps(r)[1:].encode())
)
def test_what_is_no_report_is_told_apart(body):
    report = parse_report(body)
    assert report is None or Outcome(**report, seconds=0, level="limited").output.encode() is not None


ANSWERS = st.binary() | st.recursive(JSON, lambda kind: st.dictionaries(
    st.sampled_from(["state", "module", "message", "late", "status", "seconds", "length"]), kind | st.integers()
)).map(lambda value: json.dumps(value).encode())  # fmt: skip


@given(line=ANSWERS)
def test_whatever_a_server_answers_of_its_imports_is_a_state(line):
    assert parse_answer(line)["state"].encode() is not None


@given(line=ANSWERS)
def test_whatever_a_server_answers_of_a_program_is_a_reply_or_garbage(line):
    with suppress(ValueError):
        reply, length = parse_ended(line)
        assert reply.seconds >= 0
        assert length >= 0


TAMPERING = {
    "nothing": "json.dumps = lambda *_: ''",
    "no JSON": "json.dumps = lambda *_: 'nonsense'",
    "another kind": "json.dumps = lambda *_: '[1]'",
    "other fields": 'json.dumps = lambda *_: \'{"state": "ready", "late": 1}\'',
    "other values": 'json.dumps = lambda *_: \'{"state": "odd", "length": -1}\'',
    "a long line": "json.dumps = lambda *_: 'x' * 10**6",
    "deep nesting": "json.dumps = lambda *_: '[' * 60_000",
}


@pytest.mark.parametrize("source", TAMPERING.values(), ids=TAMPERING.keys())
def test_a_module_that_spoils_what_the_server_answers_is_a_failed_import(level, tmp_path, source):
    with pytest.raises(ImportFailed, match="crashed Python"):
        run_with(level, tmp_path, f"import json\n{source}")


@pytest.mark.parametrize("source", TAMPERING.values(), ids=TAMPERING.keys())
def test_a_module_that_spoils_later_answers_only_loses_its_programs(level, tmp_path, source):
    later = (
        "import json\n"
        "true = json.dumps\n"
        "def first(*arguments):\n"
        f"    {source}\n"
        "    return true(*arguments)\n"
        "json.dumps = first"
    )
    assert run_with(level, tmp_path, later).error == "Crash"


def test_deeply_nested_garbage_is_no_report():
    assert parse_report(b"[" * 1_000_000) is None
