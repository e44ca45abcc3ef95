"""``alain`` in a real shell: results, exit statuses, interrupts, consent, completion."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from alain_magics.cli import main
from tests.conftest import ROOT, require

ALAIN = [sys.executable, "-m", "alain_magics"]


def alain(*words: str, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*ALAIN, *words], capture_output=True, text=True, check=False, timeout=60, **options)


def test_the_result_goes_to_the_output_and_nothing_else_does(plugin):
    done = alain("count", "2")
    assert (done.returncode, done.stdout, done.stderr) == (0, "counted to 2\ufffd[31m\n", "")


def test_json_is_json(plugin):
    assert json.loads(alain("count", "2", "--json").stdout) == {"counted": 2}


@pytest.mark.parametrize(
    ("words", "status", "line"),
    [
        (["stumble", "unfinished"], 1, ""),
        (["stumble", "user"], 2, "The source is empty\ufffd[31m. Choose another."),
        (["counts"], 2, "There is no verb 'counts'. Did you mean 'count'?"),
        (["count", "--pauze", "1"], 2, "alain count has no option --pauze. Did you mean '--pause'?"),
        (["echo"], 2, "This runs code of somebody else. Look at it, then add --yes."),
        (["--completions", "tcsh"], 2, "There is no completion for 'tcsh'. Shells: bash, zsh, fish."),
        (["speak", "-o", "x"], 2, "A shell has no variables. Send the output to a file: > FILE."),
        (["--verbose"], 2, "There is no verb '--verbose'."),
    ],
)
def test_the_exit_status_says_what_happened(plugin, capsys, words: list[str], status: int, line: str):
    assert main(words) == status
    assert capsys.readouterr().err.startswith(line)


def test_debug_shows_the_traceback(plugin):
    done = alain("stumble", "user", "--debug")
    assert done.returncode != 0
    assert "Traceback" in done.stderr
    assert "alain_plugin.py" in done.stderr


@pytest.mark.parametrize(
    "words", [["generate", "heapq", "-o", "n" * 300 + ".ipynb"], ["verify", "n" * 5000 + ".ipynb"]]
)
def test_what_the_system_refuses_is_one_line(tmp_path: Path, words: list[str]):
    done = alain(*words, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "name too long" in done.stderr
    assert "Traceback" in alain(*words, "--debug", cwd=tmp_path).stderr


def test_a_deleted_folder_is_one_line(tmp_path: Path):
    script = f"mkdir gone; cd gone; rmdir ../gone; exec {sys.executable} -m alain_magics progress"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["sh", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (2, "The current folder was deleted. Change to another folder.\n")


def test_completion_neutralises_the_names_of_files(tmp_path: Path):
    (tmp_path / "a\x1b[31m.ipynb").touch()
    shown = alain("--complete", "alain verify a", cwd=tmp_path).stdout
    assert "[31m.ipynb" in shown
    assert "\x1b" not in shown


def test_without_a_verb_the_verbs_are_listed(plugin, capsys):
    assert main([]) == main(["--help"]) == 0
    assert capsys.readouterr().out.count("alain VERB ...") == 2


def test_help_of_a_verb_is_printed(plugin, capsys):
    assert main(["count", "--help"]) == 0
    assert "usage: alain count" in capsys.readouterr().out


def test_the_version_is_that_of_the_package(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == version("alain-magics") + "\n"


def test_an_interrupt_cancels_and_leaves_with_130(plugin, tmp_path: Path):
    marker = tmp_path / "marker"
    words = ["count", "100000", "--pause", "0.01", "--marker", str(marker)]
    process, screen = on_a_terminal(words, stdin=subprocess.DEVNULL)
    first = os.read(screen, 1000)
    process.send_signal(signal.SIGINT)
    rest = read_all(screen)
    assert process.wait(timeout=30) == 130
    assert marker.read_text() == "cancelled"
    assert b"counting <b> (1 of 100000)" in first
    assert rest.endswith(b"Interrupted.\r\n")


@pytest.mark.parametrize(("answer", "status"), [("y\n", 0), ("yes\n", 0), ("n\n", 2), ("\n", 2)])
def test_on_a_terminal_it_asks_before_code_of_others_runs(plugin, answer: str, status: int):
    process, screen = on_a_terminal(["echo"])
    shown = b""
    while b"[y/N]" not in shown:
        shown += os.read(screen, 1000)
    os.write(screen, answer.encode())
    read_all(screen)
    assert process.wait(timeout=30) == status
    assert b"This runs code of somebody else." in shown


def on_a_terminal(words: list[str], stdin: int | None = None) -> tuple[subprocess.Popen[bytes], int]:
    """Start ``alain`` with a terminal; return the process and the terminal's other side."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([*ALAIN, *words], stdin=stdin or theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    return process, ours


def read_all(screen: int) -> bytes:
    """Read a terminal until the process has left it."""
    found = b""
    try:
        while part := os.read(screen, 1000):
            found += part
    except OSError:  # how Linux says that nobody holds the other side
        pass
    os.close(screen)
    return found


def test_a_reader_that_leaves_is_no_error(plugin):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as output:
        done = subprocess.run([*ALAIN, "count", "1"], stdout=output, stderr=subprocess.PIPE, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("words", ["count 1", "ask --model scripted/echo Hello", "stumble user"])
def test_a_closed_stream_is_no_traceback(plugin, closed: str, words: str):
    done = subprocess.run(
        ["sh", "-c", f"exec {sys.executable} -m alain_magics {words} {closed}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == (2 if "stumble" in words else 0)
    assert "Traceback" not in done.stderr
    assert (done.stdout == "") == (">&-" in closed.replace("2>&-", "") or "stumble" in words)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="reason: this system has no device that is full")  # noqa: PTH110
@pytest.mark.parametrize("words", [["count", "1"], ["ask", "--model", "scripted/echo", "Hello"], ["--help"]])
def test_a_full_output_is_one_line(plugin, words: list[str]):
    with open("/dev/full", "w") as output:  # noqa: PTH123
        done = subprocess.run(
            [*ALAIN, *words], stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.PIPE, check=False, timeout=60
        )
    assert done.returncode == 2
    assert done.stderr == b"The output cannot be written: No space left on device.\n"


def test_an_output_without_unicode_is_no_error(plugin):
    done = alain("count", "2", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stdout) == (0, "counted to 2?[31m\n")


def test_a_notice_is_shown(private_data: Path):
    (private_data / "alain.db").write_bytes(b"not a database" * 1000)
    assert "was damaged" in alain("progress").stderr


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put ``alain`` on the path of the shells, whether the package is installed or not."""
    script = tmp_path / "bin" / "alain"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -m alain_magics "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}{os.pathsep}{os.environ['PATH']}")


LINES = {
    "alain cou": ["count"],
    "alain everything --lev": ["--level"],
    "alain everything --level ": ["low", "high"],
    "alain everything statistic": ["statistics"],
}


@pytest.mark.parametrize("line", LINES)
def test_bash_completes(plugin, command, line: str):
    script = (
        'eval "$(alain --completions bash)"\nCOMP_LINE=$1 COMP_POINT=${#1}\n_alain\nprintf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", script, "bash", line], capture_output=True, text=True, check=True)
    assert (done.stdout.split("\n")[:-1], done.stderr) == (LINES[line], "")


def test_bash_goes_on_after_the_colon_of_a_model(command, private_data: Path):
    (private_data / "models.json").write_text('["ollama/qwen3:8b", "ollama/qwen3:32b"]')
    script = (
        'eval "$(alain --completions bash)"\nCOMP_LINE=$1 COMP_POINT=${#1}\n_alain\nprintf "%s\\n" "${COMPREPLY[@]}"'
    )
    for line, expected in (("alain use oll", "ollama/qwen3:8b ollama/qwen3:32b"), ("alain use ollama/qwen3:8", "8b")):
        done = subprocess.run(["bash", "-c", script, "bash", line], capture_output=True, text=True, check=True)
        assert (done.stdout.split(), done.stderr) == (expected.split(), "")


@pytest.mark.parametrize("line", LINES)
def test_fish_completes(plugin, command, tmp_path: Path, line: str):
    fish = shutil.which("fish")
    require(fish, "reason: fish is not installed")
    script = 'alain --completions fish | source; complete --do-complete "$LINE"'
    environment = {**os.environ, "LINE": line, "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    done = subprocess.run([fish, "-c", script], capture_output=True, text=True, check=True, env=environment)
    assert sorted(done.stdout.split("\n")[:-1]) == sorted(LINES[line])


@pytest.mark.parametrize(
    ("line", "completed"),
    [
        ("alain cou", "alain count "),
        ("alain everything --lev", "alain everything --level "),
        ("alain everything --level=h", "alain everything --level=high "),
        ("alain everything --out-file al", "alain everything --out-file alpha/"),
    ],
)
def test_zsh_completes(plugin, command, tmp_path: Path, line: str, completed: str):
    zsh = shutil.which("zsh")
    require(zsh, "reason: zsh is not installed")
    (tmp_path / "alpha").mkdir()
    (tmp_path / ".zshrc").write_text(
        "autoload -U compinit; compinit -D\n"
        'eval "$(alain --completions zsh)"\n'
        "tell() { print -r -- $BUFFER > typed; exit }\n"
        "zle -N tell; bindkey '^X' tell\n"
        "print ready\n"
    )
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "HOME": str(tmp_path), "ZDOTDIR": str(tmp_path)}
    process = subprocess.Popen(
        [zsh, "-i"], stdin=theirs, stdout=theirs, stderr=theirs, env=environment, cwd=tmp_path, start_new_session=True
    )
    os.close(theirs)
    shown = b""
    while b"ready" not in shown:
        shown += os.read(ours, 1000)
    os.write(ours, f"{line}\t\x18".encode())
    read_all(ours)
    process.wait(timeout=30)
    assert (tmp_path / "typed").read_text() == completed + "\n"
