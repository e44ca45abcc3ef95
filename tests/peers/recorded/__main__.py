"""The process: an HTTP server for each personality."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.peers.recorded.anthropic import Anthropic
from tests.peers.recorded.llamacpp import LlamaCpp, Loading
from tests.peers.recorded.lmstudio import LMStudio
from tests.peers.recorded.ollama import Ollama
from tests.peers.recorded.others import VLLM, Mlx, Together
from tests.peers.recorded.protocol import Failure, Json, Personality, Stream

PERSONALITIES: dict[str, type[Personality]] = {
    "ollama": Ollama,
    "lmstudio": LMStudio,
    "llamacpp": LlamaCpp,
    "loading": Loading,
    "mlx": Mlx,
    "vllm": VLLM,
    "anthropic": Anthropic,
    "together": Together,
}


class Server(ThreadingHTTPServer):
    """One personality on a port of its own."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, make: type[Personality]) -> None:
        super().__init__(("0.0.0.0", 0), Handler)
        self.make = make
        self.lock = threading.Lock()
        self.begin()

    def begin(self) -> None:
        """Be as if just started."""
        self.personality = self.make()
        self.requests: list[Json] = []
        self.active = 0

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that leave."""


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    wbufsize = 0
    disable_nagle_algorithm = True
    server: Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Print nothing."""

    def _answer(self) -> None:
        server, parts = self.server, urlsplit(self.path)
        if parts.path == "/__requests__":
            if self.command == "DELETE":
                server.begin()
            self._say(200, {"requests": server.requests, "active": server.active})
            return
        raw = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        path, modes = parts.path, {}
        if "=" in path.split("/")[1]:
            first, _, rest = path[1:].partition("/")
            modes = {name: float(value) for name, _, value in (mode.partition("=") for mode in first.split(","))}
            path = f"/{rest}"
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        time.sleep(modes.get("delay", 0))
        try:
            body = json.loads(raw) if raw else {}
            seen = {"method": self.command, "path": path, "query": query, "headers": headers, "body": body}
            with server.lock:
                server.requests.append(seen)
                answer = server.personality.answer(self.command, unquote(path), query, headers, body)
        except Failure as failure:
            self._say(failure.status, failure.body)
        except ValueError as error:
            self._say(400, {"error": f"invalid request: {error}"})
        else:
            if "status" in modes:
                self._say(int(modes["status"]), {"error": {"message": "This did not work"}})
            else:
                self._stream(answer, modes) if isinstance(answer, Stream) else self._say(200, answer)

    do_GET = do_POST = do_DELETE = do_HEAD = _answer  # noqa: N815

    def _say(self, status: int, body: Any) -> None:
        content = b"" if body is None else body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "text/plain" if isinstance(body, str) else "application/json; charset=utf-8")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _stream(self, stream: Stream, modes: dict[str, float]) -> None:
        server, pieces, left = self.server, stream.pieces, int(modes.get("cut", sys.maxsize))
        if "split" in modes:
            whole, size = b"".join(pieces), int(modes["split"])
            pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
        self.send_response(200)
        self.send_header("content-type", stream.media_type)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        with server.lock:
            server.active += 1
        try:
            for piece in pieces:
                kept = piece[:left]
                if kept:
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(kept), kept))
                left -= len(kept)
                if len(kept) < len(piece):
                    self.close_connection = True
                    return
                time.sleep(modes.get("pace", 0))
            self.wfile.write(b"0\r\n\r\n")
        except OSError:
            self.close_connection = True
        finally:
            with server.lock:
                server.active -= 1


def main() -> None:
    """Serve the personalities that are named until the process is ended."""
    servers = {name: Server(PERSONALITIES[name]) for name in sys.argv[1:]}
    for server in servers.values():
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print(json.dumps({name: server.server_address[1] for name, server in servers.items()}), flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
