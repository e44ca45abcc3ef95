"""Code to copy does what it says: it is run here, against a server that notes what comes."""

from __future__ import annotations

import ast
import json
import os
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alain_magics.runtimes.base import HttpCall
from alain_magics.runtimes.snippets import curl, javascript, python, snippets
from tests.conftest import require

SECRET = "sk-canary $HOME `id` \"'"
NASTY = (
    'It\'s "quoted", $HOME `id` $(id) ${x} \\ \\n %s {braces} !! #\n\tnext line\r\n'
    "\u202eright to left\u2069 \u2028 \x00 \x1b[31m \x7f 日本語 🧮 </script> '''\"\"\" ${`x`}"
)
BODY: dict[str, Any] = {
    "model": "owner/model:20b",
    "messages": [{"role": "system", "content": ""}, {"role": "user", "content": NASTY}],
    "temperature": 0.7,
    "max_tokens": None,
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}],
    "stop": [],
    "think": True,
    "stream": True,
    "stream_options": {"include_usage": True},
}
SENT = {name: value for name, value in BODY.items() if name != "stream_options"} | {"stream": False}


class Server(ThreadingHTTPServer):
    """Answers every POST with JSON, and notes it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[tuple[str, dict[str, str], Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    """Notes a request."""

    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
        answer = json.dumps({"answer": "ä"}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    """A server of this test."""
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def run(language: str, code: str, folder: Path) -> str:
    """Run a snippet with the key in the environment; return what it printed."""
    command = {
        "curl": ["sh", "-c", f"exec {code}"],
        "python": [sys.executable, "-c", code],
        "javascript": ["node", "--input-type=module", "-e", code],
    }[language]
    program = "curl" if language == "curl" else command[0]
    require(shutil.which(program), f"reason: {program} is not installed")
    environment = {**os.environ, "TEST_API_KEY": SECRET, "NO_PROXY": "*"}
    done = subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, encoding="utf-8", timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("language", ["curl", "python", "javascript"])
def test_a_snippet_sends_the_request_with_the_key_from_the_environment(server: Server, language: str, tmp_path: Path):
    headers = {"Authorization": "Bearer $KEY", "X-Note": 'it\'s "$HOME" `id`', "Content-Type": "application/json"}
    call = HttpCall(f"{server.url}/v1/chat/completions?api-version=1&x='y'", headers, BODY, "TEST_API_KEY")
    printed = run(language, snippets(call)[language], tmp_path)
    ((path, sent, body),) = server.seen
    assert unquote(path) == "/v1/chat/completions?api-version=1&x='y'"
    assert sent["authorization"] == f"Bearer {SECRET}"
    assert sent["x-note"] == headers["X-Note"]
    assert sent["content-type"] == "application/json"
    assert body == SENT
    assert "answer" in printed
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("language", ["curl", "python", "javascript"])
def test_a_runtime_without_a_key_needs_none(server: Server, language: str, tmp_path: Path):
    call = HttpCall(f"{server.url}/api/chat", {}, {"model": "m", "messages": [], "stream": True})
    code = snippets(call)[language]
    run(language, code, tmp_path)
    ((_, sent, body),) = server.seen
    assert body == {"model": "m", "messages": [], "stream": False}
    assert sent["content-type"] == "application/json"
    assert "environ" not in code
    assert "process.env" not in code


def test_the_key_is_named_and_never_there(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    call = HttpCall("https://api.example", {"Authorization": "Bearer $KEY"}, {}, "OPENAI_API_KEY")
    assert '-H "Authorization: Bearer $OPENAI_API_KEY"' in curl(call)
    assert "'Authorization': 'Bearer ' + os.environ['OPENAI_API_KEY']" in python(call)
    assert '"Authorization": "Bearer " + process.env.OPENAI_API_KEY' in javascript(call)
    assert all("canary" not in code for code in snippets(call).values())


def test_a_key_may_stand_anywhere_in_a_header():
    call = HttpCall("https://api.example", {"x-api-key": "$KEY", "X-Both": "a $KEY b"}, {}, "K")
    assert '-H "x-api-key: $K"' in curl(call)
    assert "-H \"X-Both: a $K\"' b'" in curl(call)
    assert "'x-api-key': os.environ['K']" in python(call)
    assert "'X-Both': 'a ' + os.environ['K'] + ' b'" in python(call)
    assert '"X-Both": "a " + process.env.K + " b"' in javascript(call)


DATA = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), DATA, max_size=4))
def test_any_body_comes_through_the_quoting(body: dict[str, Any]):
    call = HttpCall("https://api.example", {}, body)
    expected = {name: value for name, value in body.items() if name != "stream_options"}
    if "stream" in expected:
        expected["stream"] = False
    words = shlex.split(curl(call))
    assert json.loads(words[words.index("-d") + 1]) == expected
    calls = [node for node in ast.walk(ast.parse(python(call))) if isinstance(node, ast.Call)]
    given_body = next(word.value for node in calls for word in node.keywords if word.arg == "json")
    assert ast.literal_eval(given_body) == expected


@given(st.text())
def test_nothing_hidden_is_copied(text: str):
    call = HttpCall("https://api.example", {}, {"content": text})
    for code in snippets(call).values():
        assert all(char.isprintable() or char == "\n" for char in code)
