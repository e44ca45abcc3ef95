"""What a whole turn costs over the bare wire, beside httpx alone, the openai SDK and litellm.

Each client is a process of its own that asks a local server for 5,000 pieces several times; the figure is its CPU time
for a piece, after one turn to warm up, the median of the repetitions. Then: the time to the first token over a raw
socket, the throughput with 200 turns in flight against a server that takes 200 ms, and the first call of a process.

Run ``python benchmarks/streaming.py --sdks PYTHON`` (or with ``ALAIN_SDKS``): the Python of an environment that has
``openai`` and ``litellm``; they are left out where it has not.
Exit status 1 where a goal is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys

from support import stream_server

CHUNKS = 5000
COMMON = """
import asyncio, json, statistics, sys, time
base, count, repeats = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
MODEL = f"chunks-{count}"
async def measured(turn):
    await turn()
    figures = []
    for _ in range(repeats):
        begun = time.process_time()
        pieces = await turn()
        figures.append((time.process_time() - begun) / count * 1e6)
        assert pieces == count, pieces
    print(json.dumps(statistics.median(figures)))
"""
HTTPX = (
    COMMON
    + """
import httpx
from pydantic_core import from_json
async def main():
    async with httpx.AsyncClient() as client:
        async def turn():
            pieces, rest = 0, b""
            body = {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}], "stream": True}
            async with client.stream("POST", base + "/chat/completions", json=body) as response:
                async for chunk in response.aiter_raw():
                    *events, rest = (rest + chunk).split(b"\\n\\n")
                    for event in events:
                        if event[6:] != b"[DONE]":
                            choices = from_json(event[6:])["choices"]
                            if choices and choices[0]["delta"].get("content"):
                                pieces += 1
            return pieces
        await measured(turn)
asyncio.run(main())
"""
)
TURN = (
    COMMON
    + """
from alain_magics.runtimes.base import ChatRequest, Message
from alain_magics.runtimes.http import Http, Pool
from alain_magics.runtimes.openai.runtime import OpenAIRuntime
from alain_magics.runtimes.providers import Provider
from alain_magics.runtimes.turn import Turn
async def main():
    pool, provider = Pool(), Provider("bench", "Bench", "openai", base)
    runtime = OpenAIRuntime(provider, Http(pool, provider))
    async def turn():
        pieces = 0
        async for delta in Turn(runtime, ChatRequest(MODEL, (Message("user", "Hi"),))).stream():
            pieces += 1
        return pieces
    await measured(turn)
    await pool.aclose()
asyncio.run(main())
"""
)
OPENAI = (
    COMMON
    + """
from openai import AsyncOpenAI
async def main():
    client = AsyncOpenAI(base_url=base, api_key="none")
    async def turn():
        pieces = 0
        messages = [{"role": "user", "content": "Hi"}]
        async for chunk in await client.chat.completions.create(model=MODEL, messages=messages, stream=True):
            if chunk.choices and chunk.choices[0].delta.content:
                pieces += 1
        return pieces
    await measured(turn)
asyncio.run(main())
"""
)
LITELLM = (
    COMMON
    + """
import litellm
async def main():
    async def turn():
        pieces = 0
        messages = [{"role": "user", "content": "Hi"}]
        stream = await litellm.acompletion(
            model="openai/" + MODEL, api_base=base, api_key="none", messages=messages, stream=True)
        async for chunk in stream:
            if chunk.choices and chunk.choices[0].delta.content:
                pieces += 1
        return pieces
    await measured(turn)
asyncio.run(main())
"""
)
FIRST_TOKEN = """
import asyncio, json, statistics, sys, time, socket
from urllib.parse import urlsplit
from alain_magics.runtimes.base import ChatRequest, Message
from alain_magics.runtimes.http import Http, Pool
from alain_magics.runtimes.openai.runtime import OpenAIRuntime
from alain_magics.runtimes.providers import Provider
from alain_magics.runtimes.turn import Turn
base, repeats = sys.argv[1], int(sys.argv[2])
MODEL = "chunks-1"
address = urlsplit(base)
raw = socket.create_connection((address.hostname, address.port))
raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
body = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": "Hi"}], "stream": True}).encode()
request = b"POST /v1/chat/completions HTTP/1.1\\r\\nhost: x\\r\\ncontent-length: %d\\r\\n\\r\\n%s" % (len(body), body)
def over_a_socket():
    begun = time.perf_counter()
    raw.sendall(request)
    seen, first = b"", None
    while not seen.endswith(b"0\\r\\n\\r\\n"):
        seen += raw.recv(65536)
        if first is None and b'"content"' in seen:
            first = time.perf_counter() - begun
    return first
async def main():
    pool, provider = Pool(), Provider("bench", "Bench", "openai", base)
    runtime = OpenAIRuntime(provider, Http(pool, provider))
    async def over_a_turn():
        begun = time.perf_counter()
        first = None
        async for _ in Turn(runtime, ChatRequest(MODEL, (Message("user", "Hi"),))).stream():
            first = first or time.perf_counter() - begun
        return first
    ours, theirs = [], []
    for number in range(repeats + 20):
        one, other = over_a_socket(), await over_a_turn()
        if number >= 20:
            theirs.append(one), ours.append(other)
    print(json.dumps([statistics.median(theirs) * 1e3, statistics.median(ours) * 1e3]))
    await pool.aclose()
asyncio.run(main())
"""
THROUGHPUT = """
import asyncio, json, sys, time
from alain_magics.runtimes.base import ChatRequest, Message
from alain_magics.runtimes.http import Http, Pool
from alain_magics.runtimes.openai.runtime import OpenAIRuntime
from alain_magics.runtimes.providers import Provider
from alain_magics.runtimes.turn import Turn
base, in_flight, each = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
async def main():
    pool, provider = Pool(), Provider("bench", "Bench", "openai", base)
    runtime = OpenAIRuntime(provider, Http(pool, provider))
    async def worker(count):
        for _ in range(count):
            answer = await Turn(runtime, ChatRequest("wait-200", (Message("user", "Hi"),))).run()
            assert answer.text == "a0 "
    await asyncio.gather(*(worker(1) for _ in range(in_flight)))
    begun = time.perf_counter()
    await asyncio.gather(*(worker(each) for _ in range(in_flight)))
    print(json.dumps(in_flight * each / (time.perf_counter() - begun)))
    await pool.aclose()
asyncio.run(main())
"""
FIRST_CALL = """
import time, json, sys
begun = time.perf_counter()
import asyncio
from alain_magics.runtimes.base import ChatRequest, Message
from alain_magics.runtimes.http import Http, Pool
from alain_magics.runtimes.openai.runtime import OpenAIRuntime
from alain_magics.runtimes.providers import Provider
from alain_magics.runtimes.turn import Turn
async def main():
    provider = Provider("bench", "Bench", "openai", sys.argv[1])
    runtime = OpenAIRuntime(provider, Http(Pool(), provider))
    await Turn(runtime, ChatRequest("chunks-1", (Message("user", "Hi"),))).run()
asyncio.run(main())
print(json.dumps((time.perf_counter() - begun) * 1e3))
"""
IMPORT_HTTPX = """
import time, json
begun = time.perf_counter()
import asyncio
import httpx
print(json.dumps((time.perf_counter() - begun) * 1e3))
"""


def run(python: str, program: str, *arguments: object) -> object:
    """Run a program in a fresh process, and return the JSON that it prints; nothing where a package is missing."""
    environment = os.environ | {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    done = subprocess.run(
        [python, "-c", program, *map(str, arguments)], capture_output=True, text=True, check=False, env=environment
    )
    if done.returncode:
        if "ModuleNotFoundError" in done.stderr:
            return None
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> int:
    """Measure and print Markdown tables; 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument(
        "--sdks", default=os.environ.get("ALAIN_SDKS", sys.executable), help="Python of an environment with the SDKs"
    )
    options = parser.parse_args()
    print(f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores\n")
    with stream_server.running() as base:
        clients = {
            "httpx's bytes and `from_json`": (sys.executable, HTTPX),
            "a whole turn": (sys.executable, TURN),
            "openai SDK": (options.sdks, OPENAI),
            "litellm": (options.sdks, LITELLM),
        }
        figures: dict[str, list[float]] = {name: [] for name in clients}
        for _ in range(3):  # in turn, so that all meet the same machine
            for name, (python, program) in clients.items():
                figure = run(python, program, base, CHUNKS, options.repeats)
                if isinstance(figure, float):
                    figures[name].append(figure)
        medians = {name: statistics.median(found) for name, found in figures.items() if found}
        bare, ours = medians["httpx's bytes and `from_json`"], medians["a whole turn"]
        print(f"| {CHUNKS} pieces | µs CPU a piece | × httpx | × a whole turn |\n|---|---:|---:|---:|")
        for name in clients:
            figure = medians.get(name)
            print(
                f"| {name} | {figure:.1f} | {figure / bare:.2f} | {figure / ours:.2f} |"
                if figure
                else f"| {name} | – | – | – |"
            )
        socket_ms, turn_ms = run(sys.executable, FIRST_TOKEN, base, 300)  # type: ignore[misc]
        throughput = run(sys.executable, THROUGHPUT, base, 200, 10)
        assert isinstance(throughput, float)
        first = [run(sys.executable, FIRST_CALL, base) for _ in range(9)]
        bare_import = [run(sys.executable, IMPORT_HTTPX) for _ in range(9)]
    first_ms, import_ms = (statistics.median(found) for found in (first, bare_import))  # type: ignore[type-var]
    share = throughput / (200 / 0.2)
    print("\n| | | goal |\n|---|---:|---:|")
    print(
        f"| first token, over a raw socket | +{turn_ms - socket_ms:.2f} ms ({socket_ms:.2f} → {turn_ms:.2f}) | ≤ 1 ms |"
    )
    print(f"| 200 in flight, 200 ms each: share of the ideal 1,000 turns a second | {share:.0%} | ≥ 75 % |")
    print(f"| first call of a process, × `import httpx` | {first_ms / import_ms:.2f} ({first_ms:.0f} ms) | ≤ 2 |")
    sdks = [medians[name] / ours for name in ("openai SDK", "litellm") if name in medians]
    reached = ours / bare <= 1.5 and turn_ms - socket_ms <= 1 and share >= 0.75 and first_ms <= 2 * import_ms
    return 0 if reached and all(times >= 5 for times in sdks) else 1


if __name__ == "__main__":
    sys.exit(main())
