"""Sessions: order, seeds, concurrency, cancellation, and what is left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from alain_magics.errors import ImportFailed, SandboxError
from alain_magics.sandbox import Level, Limits, Outcome, Program, Sandbox, Session, bubblewrap
from tests.conftest import ROOT
from tests.sandbox.conftest import descendants, require_level


def outcomes(level: Level, *codes: str, **options) -> list[Outcome]:
    """Run programs in a session of their own."""

    async def scenario() -> list[Outcome]:
        async with Sandbox(level).session(**options) as session:
            return await session.run([Program(code) for code in codes])

    return asyncio.run(scenario())


def running(pid: int) -> bool:
    """Whether a process runs: one that has ended and waits for the system's first process to take note does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def gone(pids: set[int]) -> bool:
    """Whether processes end within a moment, and none is left for this process to take note of."""
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        if not pids & descendants() and not any(running(pid) for pid in pids):
            return True
        time.sleep(0.02)
    return False


async def wait_for(condition) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.02)


def test_one_program_can_be_run_without_a_session(level):
    outcome = asyncio.run(Sandbox(level, Limits(seconds=5)).run("statistics", imports=("statistics",)))
    assert (outcome.error, outcome.level) == ("NameError", level)


def test_outcomes_come_in_the_order_of_their_programs(level):
    codes = [f"{number}" if number % 5 else f"raise ValueError({number})" for number in range(1, 31)]
    assert [outcome.result or outcome.message for outcome in outcomes(level, *codes)] == [
        str(number) for number in range(1, 31)
    ]


def test_imports_are_done_once_and_not_visible_as_names(level, tmp_path):
    (tmp_path / "once.py").write_text("import time\nat = time.monotonic()")
    code = "import once\nonce.at"
    first, second = outcomes(level, code, code, imports=("once",), paths=(tmp_path,))
    assert first.result == second.result != ""


def test_the_paths_come_before_all_others_and_cannot_be_written(level, tmp_path):
    (tmp_path / "statistics.py").write_text("mean = 'mine'")
    code = "import statistics\nstatistics.mean, statistics.__file__"
    (outcome,) = outcomes(level, code, paths=(tmp_path,))
    assert outcome.result == repr(("mine", str(tmp_path / "statistics.py")))
    assert list(tmp_path.iterdir()) == [tmp_path / "statistics.py"]


def test_the_seed_decides_hashes_and_random_numbers(level):
    codes = ("hash('a')", "import random\nrandom.random()", "list({'a', 'b', 'c', 'd', 'e'})")
    one, again, other = (
        [outcome.result for outcome in outcomes(level, *codes, *codes, seed=seed)] for seed in (1, 1, 2)
    )
    assert one == again
    assert one[:3] == one[3:]
    assert all(mine != theirs for mine, theirs in zip(one, other, strict=True))


def test_variables_of_this_process_do_not_reach_a_program(level, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("PYTHONSTARTUP", "x")
    (outcome,) = outcomes(level, "import os\nstr(os.environ), str(os.environb)")
    assert outcome.ok
    assert "sk-secret" not in outcome.result
    assert "STARTUP" not in outcome.result


def test_large_output_is_whole(level):
    limits = Limits(seconds=10, output_bytes=20_000_000)
    (outcome,) = outcomes(level, "print('ä\\n' * 3_000_000)", limits=limits)
    assert outcome.stdout == "ä\n" * 3_000_000 + "\n"


def test_sessions_run_side_by_side(level):
    async def scenario() -> float:
        sandbox = Sandbox(level, Limits(seconds=10))
        async with sandbox.session(seed=1) as one, sandbox.session(seed=2) as two:
            began = time.monotonic()
            code = Program("import time\ntime.sleep(1)")
            results = await asyncio.gather(one.run([code]), two.run([code]))
            assert all(outcome.ok for (outcome,) in results)
            return time.monotonic() - began

    assert asyncio.run(scenario()) < 1.9


def test_calls_of_one_session_wait_for_each_other(level):
    async def scenario() -> list[list[Outcome]]:
        async with Sandbox(level).session() as session:
            return await asyncio.gather(*(session.run([Program(f"{n}"), Program(f"-{n}")]) for n in range(1, 6)))

    assert [[outcome.result for outcome in pair] for pair in asyncio.run(scenario())] == [
        [f"{n}", f"-{n}"] for n in range(1, 6)
    ]


def test_a_loop_in_another_thread_will_do(level):
    found: list[Outcome] = []
    thread = threading.Thread(target=lambda: found.extend(outcomes(level, "1 + 1")))
    thread.start()
    thread.join(30)
    assert [outcome.result for outcome in found] == ["2"]


@pytest.mark.parametrize(
    "code",
    ["while True: pass", "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\nwhile True: pass"],
)
def test_cancelling_a_program_ends_it_at_once_and_the_session_goes_on(level, code):
    async def scenario() -> None:
        async with Sandbox(level, Limits(seconds=30)).session() as session:
            idle = descendants()
            task = asyncio.create_task(session.run([Program(code)]))
            await wait_for(lambda: len(descendants()) > len(idle))
            busy = descendants() - others
            began = time.monotonic()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert time.monotonic() - began < 0.9
            assert gone(busy)
            assert (await session.run([Program("6 * 7")]))[0].result == "42"

    others = descendants()
    asyncio.run(scenario())
    assert descendants() <= others


def test_cancelling_an_import_ends_it_at_once(level, tmp_path):
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(60)")

    async def scenario() -> set[int]:
        session = Sandbox(level).session(imports=("slow",), paths=(tmp_path,))
        task = asyncio.create_task(session.__aenter__())
        await wait_for(lambda: len(descendants() - others) >= (3 if level == "isolated" else 1))
        await asyncio.sleep(0.2)
        busy = descendants() - others
        began = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert time.monotonic() - began < 0.9
        return busy

    others = descendants()
    assert gone(asyncio.run(scenario()))


def test_when_this_process_is_killed_nothing_goes_on(level):
    script = (
        "import asyncio\nfrom alain_magics.sandbox import Limits, Sandbox\n"
        f"asyncio.run(Sandbox({level!r}, Limits(seconds=60)).run('while True: pass'))"
    )
    others = descendants()
    with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT) as owner:
        asyncio.run(wait_for(lambda: len(descendants() - others) >= (5 if level == "isolated" else 3)))
        busy = descendants() - others
        owner.kill()
    assert gone(busy)


def test_nothing_is_left_behind(level, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "bad.py").write_text("1/0")
    before = descendants()
    outcomes(level, "1", "while True: pass", limits=Limits(seconds=0.2))
    with pytest.raises(ImportFailed):
        outcomes(level, "1", imports=("bad",), paths=(tmp_path,))
    assert [path.name for path in tmp_path.iterdir()] == ["bad.py"]
    assert gone(descendants() - before)


def test_a_process_that_an_isolated_program_leaves_behind_ends_before_the_next():
    """No audit event tells of this function; to others than root the system refuses it."""
    require_level("isolated")
    leave = """
        import _posixsubprocess, os, sys
        arguments = [[b'/bin/sleep', b'60'], [b'/bin/sleep'], True, (), None, None, -1, -1, -1, -1, -1, -1, *os.pipe()]
        arguments += [False, False, -1, None, None, None, -1, None] + [True] * (sys.version_info < (3, 14))
        _posixsubprocess.fork_exec(*arguments)
    """
    count = """
        import glob
        found = []
        for path in glob.glob('/proc/*/cmdline'):
            try:
                found += [line for line in open(path) if line.startswith('/bin/sleep')]
            except OSError:
                pass  # it has just ended
        found
    """
    codes = textwrap.dedent(leave), textwrap.dedent(count)
    left, after = outcomes("isolated", *codes, limits=Limits(seconds=10))
    assert int(left.result) > 0 if left.ok else left.error == "BlockingIOError"
    assert after.output == "[]", after


def test_a_server_that_died_between_programs_is_started_again(level):
    async def scenario() -> list[Outcome]:
        async with Sandbox(level).session() as session:
            before = await session.run([Program("1")])
            for pid in descendants() - others:
                with suppress(ProcessLookupError):  # the server ends with the bubblewrap around it
                    os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(0.3)
            return before + await session.run([Program("2")])

    others = descendants()
    assert [outcome.result for outcome in asyncio.run(scenario())] == ["1", "2"]


def test_without_fork_every_program_gets_an_interpreter(level):
    async def scenario() -> list[Outcome]:
        session = Session(
            Sandbox(level), ("statistics",), seed=3, limits=Limits(seconds=1), paths=(), import_seconds=20, fork=False
        )
        codes = [
            "import os\nos.getpid()",
            "hash('a')",
            "while True: pass",
            "open('x', 'w')",
            "1/0",
            "import os\nos._exit(3)",
        ]
        async with session:
            return await session.run([Program(code) for code in [*codes, "print('ü')\n6 * 7"]])

    first, seeded, late, refused, failed, crashed, last = asyncio.run(scenario())
    assert first.ok
    assert seeded.result == outcomes(level, "hash('a')", seed=3)[0].result
    assert [outcome.error for outcome in (late, refused, failed, crashed)] == [
        "Timeout",
        "Refused",
        "ZeroDivisionError",
        "Crash",
    ]
    assert last.output == "ü\n42"


class TestLevel:
    """The level is the best that was asked for and is possible."""

    @pytest.fixture
    def no_bubblewrap(self, monkeypatch, tmp_path):
        monkeypatch.setenv("PATH", str(tmp_path))
        bubblewrap.obstacle.cache_clear()
        yield
        bubblewrap.obstacle.cache_clear()

    def test_limited_is_never_more(self):
        assert Sandbox("limited").level == "limited"

    def test_what_cannot_be_isolated_is_limited(self, no_bubblewrap):
        assert Sandbox().level == "limited"
        assert asyncio.run(Sandbox().run("1")).level == "limited"

    def test_isolation_that_is_impossible_is_an_error_with_advice(self, no_bubblewrap):
        with pytest.raises(SandboxError, match=r"bwrap.*is not installed") as raised:
            asyncio.run(Sandbox("isolated").run("1"))
        assert "Install bubblewrap" in raised.value.advice

    def test_the_best_level_is_found_by_trying(self, level):
        if level == "isolated":
            assert Sandbox().level == Sandbox("isolated").level == "isolated"
