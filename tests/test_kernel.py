"""``%alain`` in a real kernel: progress, completion, errors as a notebook sees them, the stop button."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager, start_new_kernel

TIMEOUT = 60


class Notebook:
    """A kernel with the extension loaded, and what cells do in it."""

    def __init__(self, manager: KernelManager, client: BlockingKernelClient) -> None:
        self.manager = manager
        self.client = client
        self.run("%load_ext alain_magics")

    def start(self, code: str) -> str:
        return self.client.execute(code)

    def messages(self, request: str) -> Iterator[dict[str, Any]]:
        """Yield what a cell sends, up to its end."""
        while True:
            message = self.client.get_iopub_msg(timeout=TIMEOUT)
            if message["parent_header"].get("msg_id") != request:
                continue
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                return
            yield message

    def run(self, code: str) -> list[dict[str, Any]]:
        return list(self.messages(self.start(code)))

    def complete(self, code: str) -> dict[str, Any]:
        return self.client.complete(code, reply=True, timeout=TIMEOUT)["content"]


@pytest.fixture(scope="module")
def kernel() -> Iterator[Notebook]:
    """Start one kernel for all tests here, which the package with more verbs is installed for."""
    with pytest.MonkeyPatch.context() as patch:
        import os

        folder = str(Path(__file__).parent / "plugin")
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [folder, os.environ.get("PYTHONPATH")])))
        manager, client = start_new_kernel()
    yield Notebook(manager, client)
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def of_type(messages: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [message["content"] for message in messages if message["msg_type"] == kind]


def page(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The outputs of a cell as they stand in the end."""
    found: dict[str, dict[str, Any]] = {}
    for message in messages:
        content = message["content"]
        if message["msg_type"] in ("display_data", "update_display_data"):
            found[content["transient"]["display_id"]] = content["data"]
    return [data for data in found.values() if any(data.values())]


def test_a_result_is_the_cells_output(kernel: Notebook):
    (result,) = of_type(kernel.run("%alain count 2"), "execute_result")
    assert result["data"] == {"text/plain": "counted to 2\ufffd[31m"}


def test_progress_is_one_display_that_changes_and_is_emptied(kernel: Notebook):
    messages = kernel.run("%alain count 100 --pause 0.005")
    first = of_type(messages, "display_data")[0]
    updates = of_type(messages, "update_display_data")
    assert "<progress value=" in first["data"]["text/html"]
    assert {update["transient"]["display_id"] for update in updates} == {first["transient"]["display_id"]}
    assert 2 <= len(updates) <= 40
    assert updates[-1]["data"] == {"text/plain": "", "text/html": ""}


def test_a_users_mistake_is_one_line_and_stops_run_all(kernel: Notebook):
    request = kernel.start("%alain counts 3")
    (error,) = of_type(list(kernel.messages(request)), "error")
    assert error["ename"] == "UsageError"
    assert error["traceback"] == ["There is no verb 'counts'. Did you mean 'count'?"]
    reply = kernel.client.get_shell_msg(timeout=TIMEOUT)
    while reply["parent_header"]["msg_id"] != request:
        reply = kernel.client.get_shell_msg(timeout=TIMEOUT)
    assert reply["content"]["status"] == "error"


@pytest.mark.parametrize(
    ("code", "matches", "start"),
    [
        ("%alain cou", ["count"], 7),
        ("%%alain cou", ["count"], 8),
        ("%alain everything --level ", ["low", "high"], 26),
        ("%alain everything statistic", ["statistics"], 18),
        ("%alain everything xml.etree.ElementT", ["xml.etree.ElementTree"], 18),
    ],
)
def test_tab_completes(kernel: Notebook, code: str, matches: list[str], start: int):
    reply = kernel.complete(code)
    assert (reply["matches"], reply["cursor_start"], reply["cursor_end"]) == (matches, start, len(code))


def test_the_stop_button_cancels_at_once_and_keeps_what_was_shown(kernel: Notebook, tmp_path: Path):
    marker = tmp_path / "marker"
    stream = kernel.messages(kernel.start(f"%alain count 100000 --pause 0.01 --marker {marker}"))
    seen = [next(message for message in stream if message["msg_type"] == "display_data")]
    kernel.manager.interrupt_kernel()
    begun = time.monotonic()
    seen += stream
    assert time.monotonic() - begun < 2
    assert marker.read_text() == "cancelled"
    (error,) = of_type(seen, "error")
    assert error["ename"] == "KeyboardInterrupt"
    assert error["traceback"] == ["Interrupted. What was shown until now stays."]
    assert (
        "counting" in (of_type(seen, "update_display_data") or of_type(seen, "display_data"))[-1]["data"]["text/plain"]
    )
    assert of_type(kernel.run("%alain count 1"), "execute_result")


def test_an_answer_is_shown_as_it_comes_and_not_a_second_time(kernel: Notebook):
    messages = kernel.run("%%alain speak\nAn *answer*")
    text, bar = page(messages)
    assert text["text/markdown"] == "An *answer*"
    assert "application/vnd.jupyter.widget-view+json" in bar
    assert of_type(messages, "execute_result") == []
    (result,) = of_type(kernel.run("_.text, _.usage['input']"), "execute_result")
    assert result["data"]["text/plain"] == "('An *answer*', 12)"


def test_an_answer_can_be_kept_in_a_variable(kernel: Notebook):
    kernel.run("%%alain speak -o kept\nAn answer")
    (result,) = of_type(kernel.run("kept"), "execute_result")
    assert result["data"]["text/plain"] == "An answer"


def test_json_is_all_there_is_where_it_was_asked_for(kernel: Notebook):
    messages = kernel.run("%%alain speak --json\nAn answer")
    assert page(messages) == []
    (result,) = of_type(messages, "execute_result")
    assert json.loads(result["data"]["text/plain"])["text"] == "An answer"


def test_five_hundred_tokens_are_few_and_small_messages(kernel: Notebook):
    kernel.run("%%alain speak\nwarm")
    messages = kernel.run("%%alain speak --size 5 --pause 0.005\n" + "word " * 500)
    assert len(messages) <= 40
    sizes = [len(json.dumps(message["content"])) for message in messages]
    assert sum(sizes) <= 130_000


def test_the_stop_button_keeps_the_text_of_an_answer_and_says_so(kernel: Notebook):
    stream = kernel.messages(kernel.start("%%alain speak --pause 0.005 --size 5\n" + "word " * 5000))
    seen: list[dict[str, Any]] = []
    while not any("word word" in data.get("text/markdown", "") for data in page(seen)):
        seen.append(next(stream))
    kernel.manager.interrupt_kernel()
    begun = time.monotonic()
    seen += stream
    assert time.monotonic() - begun < 2
    text, figures = page(seen)
    assert text["text/markdown"].startswith("word word")
    assert "stopped by you" in figures["text/plain"]
    (error,) = of_type(seen, "error")
    assert error["traceback"] == ["Interrupted. What was shown until now stays."]


@pytest.mark.parametrize(("typed", "result"), [("y", "3"), ("n", "ConsentNeeded")])
def test_a_model_may_call_a_function_of_the_notebook_once_the_user_allows_it(kernel: Notebook, typed: str, result: str):
    kernel.run("def add():\n    return 3")
    request = kernel.client.execute("%%alain speak --trouble tool\nLet me add.", allow_stdin=True)
    asked = kernel.client.get_stdin_msg(timeout=TIMEOUT)
    assert asked["content"]["prompt"] == "The model wants to call add(). Allow it? [y/N] "
    kernel.client.input(typed)
    *_, tool = page(list(kernel.messages(request)))
    assert result in tool["text/html"]


def test_where_nobody_can_be_asked_nothing_is_called(kernel: Notebook):
    request = kernel.client.execute("%%alain speak --trouble tool\nLet me add.", allow_stdin=False)
    *_, tool = page(list(kernel.messages(request)))
    assert "ConsentNeeded" in tool["text/html"]
