"""The isolated level holds by itself: here programs run in it without guard and limits."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from alain_magics.sandbox import bubblewrap, interpreter
from tests.sandbox.conftest import require_level


@pytest.fixture
def run(monkeypatch):
    """Runs code isolated, unguarded, and returns what it printed."""
    require_level("isolated")

    def isolated(code: str, extra: tuple[Path, ...] = ()) -> str:
        readable = interpreter.needed_paths(interpreter.search_path(extra), ())
        done = subprocess.run(
            bubblewrap.command(interpreter.command(code), readable),
            env=interpreter.environment(bubblewrap.HOME, 0),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return isolated


ATTEMPT = "try:\n    {}\n    print('done')\nexcept OSError as error:\n    print(type(error).__name__, error.errno)"


def test_files_of_the_user_cannot_be_read(run, tmp_path):
    (tmp_path / "secret").write_text("secret")
    for path in (tmp_path / "secret", Path("/etc/passwd"), Path(__file__).parent / "test_secret.py"):
        assert run(ATTEMPT.format(f"open({str(path)!r})")) == "FileNotFoundError 2"


def test_python_s_files_can_be_read_but_not_changed(run, tmp_path):
    (tmp_path / "module.py").write_text("x = 1")
    for path in (os.__file__, str(tmp_path / "module.py"), "/usr/bin/env"):
        assert run(f"print(len(open({path!r}, 'rb').read(1)))", (tmp_path,)) == "1"
        assert run(ATTEMPT.format(f"open({path!r}, 'ab')"), (tmp_path,)) == "OSError 30"
    for folder in (str(tmp_path), sys.prefix + "/lib", "/usr/lib", "/"):
        assert run(ATTEMPT.format(f"open({folder + '/new'!r}, 'w')"), (tmp_path,)) == "OSError 30"


def test_its_own_folder_is_empty_private_and_gone_afterwards(run):
    look = "import os; print(os.getcwd(), os.environ['HOME'], os.listdir()); open('x', 'w')"
    assert run(look) == run(look) == f"{bubblewrap.HOME} {bubblewrap.HOME} []"
    assert not Path(bubblewrap.HOME).exists()


def test_there_is_no_network(run):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        code = f"import socket; socket.create_connection(('127.0.0.1', {port}), 5)"
        assert run(ATTEMPT.format(code)) in ("ConnectionRefusedError 111", "OSError 101")
    assert run("import socket; print([name for _, name in socket.if_nameindex()])") == "['lo']"


def test_other_processes_are_neither_seen_nor_signalled(run):
    assert int(run("import os; print(len([n for n in os.listdir('/proc') if n.isdigit()]))")) <= 3
    with subprocess.Popen(["sleep", "60"]) as victim:
        try:
            assert run(ATTEMPT.format(f"import os; os.kill({victim.pid}, 9)")) == "ProcessLookupError 3"
            assert victim.poll() is None
        finally:
            victim.kill()


def test_nobody_in_it_has_privileges(run):
    status = run("print(open('/proc/self/status').read())")
    assert "CapEff:\t0000000000000000" in status
    assert "CapPrm:\t0000000000000000" in status
    assert run(ATTEMPT.format("import os; os.chroot('/')")) == "PermissionError 1"


def test_it_has_a_name_and_a_session_of_its_own(run):
    assert run("import socket, os; print(socket.gethostname(), os.getsid(0) != 0)") == "sandbox True"
    assert run(ATTEMPT.format("open('/dev/tty')")) == "OSError 6"
