"""The Hugging Face Hub, as a real HTTP process with a few tiny repositories.

::

    with hub(weights) as peer:                 # weights: the folder of tiny models
        peer.url                               # what HF_ENDPOINT should be
        peer.behave(pace=0.01, cut=500_000)    # how transfers go from now on; without arguments: well
        peer.seen("/resolve/")                 # the requests so far whose path has this in it
        peer.active                            # how many transfers are going on
        peer.forget()                          # as if it had just been started

It answers what huggingface_hub and llama.cpp ask: ``/api/models`` (search, filter, sort, limit, expand), ``/api/models/
OWNER/NAME`` (``blobs``), ``…/refs``, ``…/tree/COMMIT``, and ``/OWNER/NAME/resolve/REVISION/FILE``, which leads to
another host for large files, as the real one does: there are the bytes, with ranges, and no token may come.

=========================  ==========================================================================================
repository                 what it is
=========================  ==========================================================================================
``tiny/Tiny-Chat-GGUF``    real models: ``Q4_K_M``, ``Q8_0``, ``UD-Q4_K_XL``, ``BF16`` in two parts in a folder; and
                           an importance matrix
``tiny/Tiny-One-GGUF``     one real model, and what makes it see
``tiny/Tiny-Chat-4bit``    weights for MLX
``tiny/Tiny-Chat``         weights in another form
``tiny/Tiny-Gated-GGUF``   a model whose terms must be accepted: only :data:`TOKEN` may fetch it
``tiny/Tiny-Huge-GGUF``    a model that fits nowhere; nobody can fetch it
=========================  ==========================================================================================

Modes of :meth:`Peer.behave`: ``pace`` seconds between pieces of 64 KiB, ``cut`` a transfer after that many bytes,
``cuts`` how many transfers are cut (default: all), ``ranges=0`` sends all that is there whatever part was wanted,
``spoilt=1`` sends other bytes, ``bent=1`` names large files so that they would lie outside of a cache, ``status`` fails
everything with that status, ``stall`` waits that many seconds before each answer.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.runtimes.local.gguf_files import encode

Json = dict[str, Any]

TOKEN = "hf_" + "t" * 34
COMMIT = "5" * 40
PIECE = 2**16
LARGE = 2**20  # files that lie on the other host
HUGE = 10**15


@dataclass(frozen=True)
class File:
    """A file of a repository; ``size`` alone where there are no bytes."""

    content: bytes
    size: int

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def oid(self) -> str:
        return hashlib.sha1(b"blob %d\0" % len(self.content) + self.content, usedforsecurity=False).hexdigest()

    @property
    def large(self) -> bool:
        return self.size >= LARGE

    @property
    def etag(self) -> str:
        return self.sha256 if self.large else self.oid


@dataclass(frozen=True)
class Repository:
    """A repository."""

    name: str
    tags: tuple[str, ...]
    downloads: int
    contents: dict[str, bytes]
    gated: bool = False
    size: int = 0  # of files without content
    files: dict[str, File] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, content in self.contents.items():
            self.files[name] = File(content, len(content) or self.size)


def repositories(weights: Path) -> list[Repository]:
    """Return what there is."""
    plain, chatml, harmony = ((weights / f"tiny-{name}.gguf").read_bytes() for name in ("random", "chatml", "harmony"))
    known = {"general.architecture": "llama", "llama.context_length": 2048, "general.file_type": 32}
    parts = [encode(known, {"token_embd.weight": (4, 3)}) + bytes(LARGE), encode({}, {"output.weight": (2,)})]
    readme = b"# A model\n"
    split = {f"BF16/Tiny-Chat-BF16-0000{number}-of-00002.gguf": part for number, part in enumerate(parts, 1)}
    chat = {f"Tiny-Chat-{name}.gguf": data for name, data in (("Q4_K_M", plain), ("Q8_0", chatml))}
    chat |= {"Tiny-Chat-UD-Q4_K_XL.gguf": harmony, **split, "imatrix_tiny.gguf": b"GGUF", "README.md": readme}
    mlx = {"config.json": b"{}", "model.safetensors": bytes(LARGE), "tokenizer.json": b"{}", "README.md": readme}
    return [
        Repository("tiny/Tiny-Chat-GGUF", ("gguf",), 1200, chat),
        Repository("tiny/Tiny-One-GGUF", ("gguf",), 80, {"Tiny-One-Q8_0.gguf": chatml, "mmproj-F16.gguf": b"GGUF"}),
        Repository("tiny/Tiny-Chat-4bit", ("mlx", "safetensors"), 300, mlx),
        Repository("tiny/Tiny-Chat", ("safetensors",), 5000, {"model.safetensors": bytes(LARGE)}),
        Repository("tiny/Tiny-Gated-GGUF", ("gguf",), 9, {"Tiny-Gated-Q8_0.gguf": chatml}, gated=True),
        Repository("tiny/Tiny-Huge-GGUF", ("gguf",), 7, {"Tiny-Huge-F16.gguf": b""}, size=HUGE),
    ]


class Refusal(Exception):
    """What is answered with another status than 200."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.headers = {"X-Error-Code": code, "X-Error-Message": message}


class Server(ThreadingHTTPServer):
    """The Hub, and the other host with its large files."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, weights: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.repositories = repositories(weights)
        self.blobs = {file.sha256: file for each in self.repositories for file in each.files.values()}
        self.lock = threading.Lock()
        self.begin()

    def begin(self) -> None:
        """Be as if just started."""
        self.modes: dict[str, float] = {}
        self.seen: list[Json] = []
        self.active = 0

    def cuts(self) -> int:
        """Return after how many bytes the next transfer ends."""
        with self.lock:
            if "cut" not in self.modes or self.modes.get("cuts", 1) <= 0:
                return sys.maxsize
            if "cuts" in self.modes:
                self.modes["cuts"] -= 1
            return int(self.modes["cut"])

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
        if parts.path == "/__control__":
            self._control()
            return
        query = parse_qs(parts.query)
        headers = {name.lower(): value for name, value in self.headers.items()}
        seen = {"method": self.command, "path": parts.path, "query": query, "headers": headers}
        with server.lock:
            server.seen.append(seen)
        time.sleep(server.modes.get("stall", 0))
        try:
            self._serve(unquote(parts.path), query, headers)
        except Refusal as refusal:
            self._say(refusal.status, {"error": str(refusal)}, refusal.headers)
        except OSError:
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_DELETE = _answer  # noqa: N815

    def _serve(self, path: str, query: dict[str, list[str]], headers: dict[str, str]) -> None:
        if "status" in self.server.modes:
            raise Refusal(int(self.server.modes["status"]), "", "This did not work")
        self._api(path, query) if path.startswith("/api/") else self._file(path, headers)

    def _control(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.command == "DELETE":
            self.server.begin()
        elif self.command == "POST":
            self.server.modes = json.loads(raw)
        self._say(200, {"seen": self.server.seen, "active": self.server.active})

    def _say(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"content-type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _find(self, name: str) -> Repository:
        """Return a repository, whatever the case of its name; who has no token is not told what there is."""
        for each in self.server.repositories:
            if each.name.lower() == name.lower():
                return each
        raise Refusal(401, "RepoNotFound", "Repository not found")

    def _api(self, path: str, query: dict[str, list[str]]) -> None:
        if path == "/api/models":
            self._say(200, self._search(query))
            return
        match = re.fullmatch(r"/api/models/([^/]+/[^/]+)(/refs|/tree/[0-9a-f]{40})?", path)
        if not match:
            raise Refusal(404, "", "There is nothing here")
        repository = self._find(match[1])
        if match[2] is None:
            self._say(200, self._info(repository, blobs="blobs" in query))
        elif match[2] == "/refs":
            branch = {"name": "main", "ref": "refs/heads/main", "targetCommit": COMMIT}
            self._say(200, {"branches": [branch], "tags": [], "converts": []})
        else:
            self._check(repository)
            self._say(200, [self._entry(name, file) for name, file in repository.files.items()])

    def _search(self, query: dict[str, list[str]]) -> list[Json]:
        text, wanted = query.get("search", [""])[0].lower(), query.get("filter", [])
        fits = [each for each in self.server.repositories if text in each.name.lower() and {*wanted} <= {*each.tags}]
        if query.get("sort") == ["downloads"]:
            fits.sort(key=lambda each: -each.downloads)
        fields = {"id", "_id", *query.get("expand", ["downloads", "tags"])}
        found = [self._info(each) for each in fits[: int(query.get("limit", ["1000"])[0])]]
        return [{name: value for name, value in each.items() if name in fields} for each in found]

    def _info(self, repository: Repository, *, blobs: bool = False) -> Json:
        def sibling(name: str, file: File) -> Json:
            more: Json = {"size": file.size, "blobId": file.oid} if blobs else {}
            if blobs and file.large:
                more["lfs"] = {"sha256": file.sha256, "size": file.size, "pointerSize": 134}
            return {"rfilename": name, **more}

        return {
            "_id": "0" * 24,
            "id": repository.name,
            "modelId": repository.name,
            "sha": COMMIT,
            "tags": [*repository.tags, "text-generation"],
            "downloads": repository.downloads,
            "likes": repository.downloads // 10,
            "lastModified": "2026-09-01T10:20:30.000Z",
            "private": False,
            "gated": "manual" if repository.gated else False,
            "siblings": [sibling(*each) for each in repository.files.items()],
        }

    def _entry(self, name: str, file: File) -> Json:
        more = {"lfs": {"oid": file.sha256, "size": file.size, "pointerSize": 134}} if file.large else {}
        return {"type": "file", "oid": file.oid, "size": file.size, "path": name, **more}

    def _check(self, repository: Repository) -> None:
        if repository.gated and self.headers.get("authorization") != f"Bearer {TOKEN}":
            told = f"Access to model {repository.name} is restricted. You must have access to it and be authenticated."
            raise Refusal(401, "GatedRepo", told)

    def _file(self, path: str, headers: dict[str, str]) -> None:
        if match := re.fullmatch("/cdn/([0-9a-f]{64})", path):
            if "authorization" in headers:
                raise Refusal(400, "", "Only one auth mechanism allowed")
            self._send(self.server.blobs[match[1]], headers)
            return
        match = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
        if not match:
            raise Refusal(404, "", "There is nothing here")
        repository = self._find(match[1])
        self._check(repository)
        file = repository.files.get(match[3])
        if match[2] not in ("main", COMMIT):
            raise Refusal(404, "RevisionNotFound", "Invalid rev id")
        if file is None:
            raise Refusal(404, "EntryNotFound", "Entry not found")
        if not file.large:
            self._send(file, headers, {"X-Repo-Commit": COMMIT})
            return
        self.send_response(302)
        etag = "../../../bent" if self.server.modes.get("bent") else file.sha256
        told = {"X-Repo-Commit": COMMIT, "X-Linked-Size": str(file.size), "X-Linked-ETag": f'"{etag}"'}
        told["Location"] = f"http://localhost:{self.server.server_address[1]}/cdn/{file.sha256}?signed=a%2Fb"
        for name, value in {**told, "content-length": "0"}.items():
            self.send_header(name, value)
        self.end_headers()

    def _send(self, file: File, headers: dict[str, str], more: dict[str, str] | None = None) -> None:
        server, content, first = self.server, file.content, 0
        wanted = re.fullmatch(r"bytes=(\d+)-", headers.get("range", ""))
        if wanted and server.modes.get("ranges", 1):
            first = int(wanted[1])
            if first >= len(content):
                raise Refusal(416, "", "Range not satisfiable")
        if server.modes.get("spoilt"):
            content = content[:-1] + bytes([content[-1] ^ 1])
        self.send_response(206 if wanted and server.modes.get("ranges", 1) else 200)
        told = {"ETag": f'"{file.etag}"', "Accept-Ranges": "bytes", "Content-Type": "application/octet-stream"}
        if wanted and server.modes.get("ranges", 1):
            told["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
        for name, value in {**told, **(more or {}), "Content-Length": str(len(content) - first)}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self._transfer(content[first:])

    def _transfer(self, content: bytes) -> None:
        server = self.server
        left = server.cuts()
        with server.lock:
            server.active += 1
        try:
            for at in range(0, len(content), PIECE):
                piece = content[at : at + min(PIECE, left)]
                self.wfile.write(piece)
                left -= len(piece)
                if left <= 0:
                    self.close_connection = True
                    return
                time.sleep(server.modes.get("pace", 0))
        finally:
            with server.lock:
                server.active -= 1


@dataclass(frozen=True)
class Peer:
    """The running process."""

    url: str

    def behave(self, **modes: float) -> None:
        """Say how it is to behave from now on."""
        self._ask("POST", modes)

    def seen(self, part: str = "") -> list[Json]:
        """Return the requests so far (``method``, ``path``, ``query``, ``headers``) whose path has ``part`` in it."""
        return [request for request in self._ask("GET")["seen"] if part in request["path"]]

    def ranges(self) -> list[str]:
        """Return which parts of large files were asked for."""
        return [each["headers"].get("range", "") for each in self.seen("/cdn/") if each["method"] == "GET"]

    @property
    def active(self) -> int:
        """How many transfers are going on."""
        return int(self._ask("GET")["active"])

    def forget(self) -> None:
        """Begin anew."""
        self._ask("DELETE")

    def _ask(self, method: str, body: Any = None) -> Json:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/__control__", data, method=method)
        with urllib.request.urlopen(request, timeout=5) as answer:
            found: Json = json.load(answer)
            return found


@contextlib.contextmanager
def hub(weights: Path) -> Iterator[Peer]:
    """Run the process until the context ends."""
    command = [sys.executable, "-m", __name__, str(weights)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=_ROOT)
    try:
        assert process.stdout
        yield Peer(f"http://127.0.0.1:{int(process.stdout.readline())}")
    finally:
        process.terminate()
        process.communicate()


_ROOT = Path(__file__).parents[2]


def main() -> None:
    """Serve until the process is ended."""
    server = Server(Path(sys.argv[1]))
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
