"""What a program meets in the sandbox: it runs as a notebook cell, and what it must not do is stopped."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.sandbox.conftest import LIMITS


class TestProgram:
    """As in a notebook cell."""

    def test_prints_and_the_last_expression_are_the_output(self, run):
        outcome = run("print('a')\nprint('b', end='')\n'c' * 2")
        assert (outcome.stdout, outcome.result, outcome.error) == ("a\nb", "'cc'", "")
        assert outcome.output == "a\nb\n'cc'"
        assert 0 < outcome.seconds < LIMITS.seconds

    @pytest.mark.parametrize("code", ["", "# nothing", "x = 1", "None", "print()", "if True:\n    5"])
    def test_without_a_value_at_the_end_there_is_no_result(self, run, code):
        assert run(code).result == ""

    def test_it_is_main_and_finds_its_arguments(self, run):
        assert run("import sys\n__name__, sys.argv", "x", "ü y").result == "('__main__', ['program', 'x', 'ü y'])"

    def test_classes_can_be_pickled(self, run):
        assert run("import pickle\nclass A: pass\ntype(pickle.loads(pickle.dumps(A()))) is A").result == "True"

    def test_every_program_starts_afresh(self, run):
        assert run("import builtins, json\nx = builtins.y = json.dumps = None").ok
        assert run("import json\n'x' in globals(), hasattr(__builtins__, 'y'), json.dumps(1)").result == (
            "(False, False, '1')"
        )

    @pytest.mark.parametrize(
        ("code", "error", "message", "line"),
        [
            ("1\n1/0", "ZeroDivisionError", "division by zero", 2),
            ("def f():\n    return [][1]\n\nf()", "IndexError", "list index out of range", 2),
            ("import json\n\njson.loads('{')", "JSONDecodeError", "Expecting property name", 3),
            ("x = 1\nx = = 2", "SyntaxError", "invalid syntax", 2),
            ("import ast\nast.literal_eval('1 +')", "SyntaxError", "", 2),
            ("import sys\nsys.exit('bye')", "SystemExit", "bye", 2),
            ("def f(): f()\nf()", "RecursionError", "maximum recursion depth exceeded", 1),
            ("(" * 5000, "SyntaxError", "", 1),
            ("class E(Exception):\n    def __str__(self): 1/0\nraise E", "E", "", 3),
            ("class A:\n    def __repr__(self): raise KeyError(3)\nA()", "KeyError", "3", 2),
            ("raise ExceptionGroup('both', [ValueError(1)])", "ExceptionGroup", "both", 1),
            ("input('name? ')", "EOFError", "EOF when reading a line", 1),
        ],
    )
    def test_an_exception_has_its_type_message_and_line(self, run, code, error, message, line):
        outcome = run(code)
        assert (outcome.error, outcome.line) == (error, line)
        assert message in outcome.message
        assert not outcome.ok

    def test_what_was_printed_before_an_exception_is_kept(self, run):
        assert run("print('before')\n1/0").stdout == "before\n"

    def test_warnings_and_standard_error_are_dropped(self, run):
        outcome = run("import sys, warnings\nwarnings.warn('w')\nprint('e', file=sys.stderr)\n'\\d'")
        assert (outcome.stdout, outcome.error) == ("", "")

    def test_output_is_in_unicode(self, run):
        outcome = run("print('€😀\\x00\\x1b')\nprint(b'\\xff'.decode('latin-1'))\n'ü'")
        assert (outcome.stdout, outcome.result) == ("€😀\x00\x1b\nÿ\n", "'ü'")

    def test_half_a_character_cannot_be_printed_but_shown(self, run):
        assert run("print('\\ud800')").error == "UnicodeEncodeError"
        assert run("class A:\n    __repr__ = lambda s: '\\ud800'\nA()").result == "?"

    def test_bytes_that_are_no_text_are_replaced(self, run):
        assert run("import sys\nsys.stdout.buffer.write(b'a\\xffb')\nNone").stdout == "a�b"

    @pytest.mark.parametrize(
        "end", ["sys.stdout.close()", "sys.stdout.detach()", "sys.stdout = None", "del sys.stdout"]
    )
    def test_output_survives_what_a_program_does_to_it(self, run, end):
        outcome = run(f"import sys\nprint('kept')\n{end}")
        assert (outcome.stdout, outcome.error) == ("kept\n", "")

    def test_redirected_output_is_the_program_s_own(self, run):
        code = (
            "import io, contextlib\nwith contextlib.redirect_stdout(io.StringIO()) as s:\n    print('x')\ns.getvalue()"
        )
        assert run(code).output == "'x\\n'"

    @settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(text=st.text(st.characters(exclude_categories=["Cs"])))
    def test_any_text_comes_back_as_it_was_printed(self, run, text):
        assert run(f"print({text!r}, end='')\n{text!r}").stdout == text


class TestLimits:
    """What takes too much is stopped, and the next program runs."""

    @pytest.fixture(autouse=True)
    def the_next_program_runs(self, run):
        yield
        assert run("6 * 7").result == "42"

    def test_an_endless_loop_names_its_line_and_keeps_its_output(self, run):
        outcome = run("print('before')\nwhile True:\n    pass")
        assert (outcome.error, outcome.stdout) == ("Timeout", "before\n")
        assert outcome.line in (2, 3)

    @pytest.mark.parametrize(
        "code",
        [
            "import itertools\nsum(itertools.count())",
            "import time\ntime.sleep(60)",
            "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
            "import signal\nsignal.signal(signal.SIGALRM, signal.SIG_IGN)\nwhile True: pass",
            "import signal\nsignal.setitimer(signal.ITIMER_REAL, 0)\nwhile True: pass",
            "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\nwhile True: pass",
            "'(' * 3 == __import__('re').match('(a*)*b', 'a' * 99)",
            "class A:\n    def __repr__(self):\n        while True: pass\nA()",
        ],
    )
    def test_whatever_runs_too_long_is_stopped(self, run, code):
        outcome = run(code)
        assert outcome.error == "Timeout"
        assert "1.5 s" in outcome.message
        assert LIMITS.seconds <= outcome.seconds < LIMITS.clock_seconds + 1.5

    def test_waiting_is_not_working(self, run):
        outcome = run(f"import time\ntime.sleep({1.5 * LIMITS.seconds})\n'awake'")
        assert (outcome.error, outcome.result) == ("", "'awake'")

    @pytest.mark.parametrize(
        "code",
        [
            "bytearray(10**10)",
            "x = []\nwhile True:\n    x.append(bytearray(10**7))",
            "def grow(x):\n    while True:\n        x = x + x\ngrow([0])",
        ],
    )
    def test_memory_is_bounded(self, run, code):
        assert run(code).error == "MemoryError"

    def test_many_small_objects_do_not_exhaust_the_machine(self, run):
        assert run("x = ()\nwhile True:\n    x = (x, [1.5] * 1000)").error in ("MemoryError", "Crash")

    @pytest.mark.parametrize(
        "code", ["while True:\n    print('x' * 1000)", "print('x' * 10**7)", "x = 'x' * 60_000\nx"]
    )
    def test_output_is_bounded(self, run, code):
        outcome = run(code)
        assert outcome.error == "OutputLimit"
        assert len(outcome.stdout) <= LIMITS.output_bytes

    def test_output_up_to_the_bound_is_whole(self, run):
        assert run("print('é' * 24_999)").stdout == "é" * 24_999 + "\n"

    @pytest.mark.parametrize(
        ("code", "message"),
        [
            ("import os\nos._exit(3)", "status 3"),
            ("import os\nos.abort()", "SIGABRT"),
            ("import faulthandler\nfaulthandler._sigsegv()", "SIGSEGV"),
            ("import os\nos.closerange(0, 100)", ""),
            (
                "import os\nfor fd in range(3, 100):\n    try: os.write(fd, b'[garbage\\n')\n    except OSError: pass",
                "",
            ),
            ("import os\nfor fd in range(3, 100):\n    try: os.dup2(0, fd)\n    except OSError: pass", ""),
            ("import os, signal\nsignal.pidfd_send_signal(os.pidfd_open(os.getppid()), signal.SIGKILL)", "SIGKILL"),
        ],
    )
    def test_a_process_that_ends_without_a_report_has_crashed(self, run, code, message):
        outcome = run(code)
        assert outcome.error == "Crash"
        assert message in outcome.message


REFUSED = {
    "writing": "open('x', 'w')",
    "appending": "open(b'x', 'ab')",
    "updating": "open(os.__file__, 'r+')",
    "creating": "os.open('x', os.O_CREAT)",
    "touching": "__import__('pathlib').Path('x').touch()",
    "a temporary file": "__import__('tempfile').TemporaryFile()",
    "a temporary folder": "__import__('tempfile').mkdtemp()",
    "deleting": "os.remove('x')",
    "deleting a folder": "__import__('shutil').rmtree(os.getcwd())",
    "renaming": "os.rename('x', 'y')",
    "permissions": "os.chmod('.', 0o777)",
    "a folder": "os.mkdir('x')",
    "a link": "os.symlink('/etc/passwd', 'x')",
    "a database file": "__import__('sqlite3').connect('x.db')",
    "a pipe": "os.mkfifo('x')",
    "a pipe by another way": "__import__('posix').mknod('x')",
    "shared memory": "__import__('_posixshmem').shm_open('/x', os.O_CREAT | os.O_RDWR, mode=0o600)",
    "a history": "__import__('sys').modules.pop('readline'); import readline",
    "functions of the system anew": "__import__('sys').modules.pop('posix'); import posix",
    "a process": "__import__('subprocess').run(['true'])",
    "a shell": "os.system('true')",
    "a fork": "os.fork()",
    "another program": "os.execv('/bin/true', ['true'])",
    "a spawned program": "os.posix_spawn('/bin/true', ['true'], {})",
    "a signal": "os.kill(os.getppid(), 9)",
    "a signal to all": "os.kill(-1, 9)",
    "a socket": "__import__('socket').socket()",
    "a name": "__import__('socket').getaddrinfo('localhost', 80)",
    "a page": "__import__('urllib.request').request.urlopen('http://127.0.0.1:9')",
    "an event loop": "__import__('asyncio').run(__import__('asyncio').sleep(0))",
    "a thread": "__import__('threading').Thread(target=print).start()",
    "a bare thread": "__import__('_thread').start_new_thread(print, ())",
    "a pool": "__import__('concurrent.futures').futures.ThreadPoolExecutor().submit(print)",
    "a library": "__import__('ctypes').CDLL(None).getpid()",
    "memory": "__import__('ctypes').string_at(0)",
    "limits": "__import__('resource').setrlimit(0, (9, 9))",
    "a browser": "__import__('webbrowser').GenericBrowser('true').open('http://127.0.0.1')",
    "all objects": "__import__('gc').get_objects()",
}


class TestGuard:
    """What a program must not do is refused, whatever it does about it."""

    @pytest.mark.parametrize("code", REFUSED.values(), ids=REFUSED.keys())
    def test_a_refused_action_shows_even_when_its_exception_is_caught(self, run, code):
        outcome = run(f"import os\nprint('before')\ntry:\n    {code}\nexcept BaseException:\n    pass\nprint('after')")
        assert (outcome.error, outcome.line, outcome.stdout) == ("Refused", 4, "before\n")
        assert outcome.message.endswith("is not allowed in the sandbox")
        assert run("6 * 7").result == "42"

    def test_nothing_is_written(self, run, tmp_path: Path):
        target = tmp_path / "target"
        target.write_text("old")
        for code in (f"open({str(target)!r}, 'w').write('new')", f"import os\nos.remove({str(target)!r})"):
            assert run(code).error == "Refused"
        assert target.read_text() == "old"

    @pytest.mark.parametrize(
        "trick",
        [
            "os._exit = os.write = lambda *a: None",
            "import json\njson.dumps = lambda *a: '{}'",
            "import sys\nfor f in (sys._getframe().f_back, sys._getframe().f_back.f_back):\n    f.f_globals.clear()",
            "os.O_WRONLY = os.O_CREAT = 0",
            "sys = __import__('sys')\nsys.addaudithook(print)\nsys.settrace(lambda *a: None)",
        ],
    )
    def test_the_guard_cannot_be_talked_out_of_it(self, run, trick):
        outcome = run(f"import os\n{trick}\nopen('x', 'w').close()")
        assert outcome.error in ("Refused", "Crash")

    @pytest.mark.parametrize(
        "code",
        [
            "import os\nopen(os.__file__).readline() != ''",
            "import os\nopen(os.devnull, 'w').write('x') == 1",
            "import random, secrets, uuid\nlen(uuid.uuid4().hex) == 32",
            "from datetime import datetime\nfrom zoneinfo import ZoneInfo\n"
            "datetime(2024, 7, 1, tzinfo=ZoneInfo('Europe/Paris')).utcoffset().seconds == 7200",
            "import subprocess, socket, threading, ctypes, multiprocessing, asyncio, tempfile, sqlite3, doctest\nTrue",
            "import dbm, code, rlcompleter, multiprocessing.resource_tracker, multiprocessing.shared_memory\nTrue",
            "import os\nos.listdir() == []",
            "import os\nos.getcwd() == os.path.expanduser('~')",
        ],
    )
    def test_harmless_actions_are_allowed(self, run, code):
        assert run(code).output == "True"

    def test_a_database_in_memory_is_allowed_where_it_can_attach_no_file_of_the_user(self, run):
        outcome = run("import sqlite3\nsqlite3.connect(':memory:').execute('select 1').fetchone()")
        assert outcome.error == "Refused" if outcome.level == "limited" else outcome.output == "(1,)"

    def test_no_history_is_written_over_a_file(self, run, tmp_path: Path):
        target = tmp_path / "target"
        target.write_text("old")
        outcome = run(f"import readline\nreadline.write_history_file({str(target)!r})")
        assert (outcome.error, target.read_text()) == ("ModuleNotFoundError", "old")

    def test_a_database_is_no_way_to_files(self, run, tmp_path: Path):
        target = tmp_path / "target"
        code = f"import sqlite3\nsqlite3.connect(':memory:').execute('attach ? as x', [{str(target)!r}])"
        assert not run(f"{code}.execute('create table x.y (z)')").ok
        assert not target.exists()


class TestReach:
    """What a program can see differs between the levels; what it cannot get is the same."""

    @pytest.mark.parametrize(
        "code",
        [
            "open('/etc/passwd').read()",
            "import os\nopen(os.path.dirname(os.__file__) + '/..' * 20 + '/etc/passwd').read()",
            "import os\nos.chdir('/etc')\nopen('passwd').read()",
            "class S(str):\n    startswith = __eq__ = lambda *a: True\n    __hash__ = str.__hash__\n"
            "open(S('/etc/passwd')).read()",
            "import os\nos.listdir('/srv')",
            "import os\nos.scandir(b'/srv')",
        ],
    )
    def test_files_that_are_not_python_s_are_out_of_reach(self, run, code):
        outcome = run(code)
        assert outcome.error == ("Refused" if outcome.level == "limited" else "FileNotFoundError")

    def test_variables_of_the_user_are_out_of_reach(self, run):
        assert set(eval(run("import os\nsorted(os.environ)").result)) <= {
            "HOME", "LANG", "LC_ALL", "LC_CTYPE", "MPLBACKEND", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "PATH",
            "PWD", "PYTHONHASHSEED", "TZ",
        }  # fmt: skip

    def test_other_processes_are_out_of_sight(self, run):
        outcome = run("import os\nlen([name for name in os.listdir('/proc') if name.isdigit()])")
        assert outcome.error == "Refused" if outcome.level == "limited" else outcome.result == "3"
