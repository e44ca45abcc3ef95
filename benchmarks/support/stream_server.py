"""A server for benchmarks: OpenAI chat completions as a stream, by hand on raw sockets so that it costs little.

Run as a program it prints its port. The model's name says what comes: ``chunks-5000`` that many pieces at once,
``tokens-500-5`` pieces 5 ms apart, ``wait-200`` one piece after 200 ms, ``clock-200`` the same, saying the time.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n"
    b"connection: keep-alive\r\n\r\n"
)
WORDS = "a small word and then an other one that is longer ".split(" ")


def event(model: str, delta: dict[str, str], finish: str | None = None) -> bytes:
    """One event as servers send them, in an HTTP chunk of its own."""
    body = {
        "id": "chatcmpl-8f1d2c3b4a59687766554433",
        "object": "chat.completion.chunk",
        "created": 1780000000,
        "model": model,
        "system_fingerprint": "b0000-00000000",
        "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}],
    }
    data = b"data: " + json.dumps(body).encode() + b"\n\n"
    return b"%x\r\n%s\r\n" % (len(data), data)


async def answer(model: str, writer: asyncio.StreamWriter) -> None:
    """Send what the model's name asks for."""
    kind, *numbers = model.split("-")
    count, pause = 1, 0.0
    if kind == "chunks":
        count = int(numbers[0])
    elif kind == "tokens":
        count, pause = int(numbers[0]), int(numbers[1]) / 1000
    elif kind in ("wait", "clock"):
        await asyncio.sleep(int(numbers[0]) / 1000)
    writer.write(HEAD)
    for number in range(count):
        word = str(time.time()) if kind == "clock" else f"{WORDS[number * number % 97 % len(WORDS)]}{number} "
        writer.write(event(model, {"content": word}))
        if pause:
            await asyncio.sleep(pause)
        if pause or number % 100 == 0:
            await writer.drain()
    usage = (
        b'data: {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": %d, "total_tokens": 9}}\n\n' % count
    )
    done = b"data: [DONE]\n\n"
    writer.write(event(model, {}, "stop"))
    writer.write(b"".join(b"%x\r\n%s\r\n" % (len(data), data) for data in (usage, done)) + b"0\r\n\r\n")
    await writer.drain()


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer the requests of one connection."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                (
                    int(line.split(b":")[1])
                    for line in head.split(b"\r\n")
                    if line.lower().startswith(b"content-length")
                ),
                0,
            )
            await answer(json.loads(await reader.readexactly(length))["model"], writer)
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main() -> None:
    """Serve until the process is stopped."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def running() -> Iterator[str]:
    """Start the server as a process of its own, and give its base URL."""
    process = subprocess.Popen([sys.executable, __file__], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    asyncio.run(main())
