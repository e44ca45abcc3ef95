"""What a code cell shows: prints as a stream, the value of the last expression as the result."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alain_magics.lessons.notebook.outputs import from_outputs, to_outputs

CASES = [
    ("x = 1\nx", "1", ("", "1")),
    ("print(1)\nprint(2)", "1\n2", ("1\n2\n", "")),
    ("print('a')\n1 + 1", "a\n2", ("a\n", "2")),
    ("print('a')\n[1,\n 2]", "a\n[1,\n 2]", ("a\n", "[1,\n 2]")),
    ("print('a')\nobject()", "a\n<object at 1>", ("a\n", "<object at 1>")),
    ("[[1, 2],\n [3, 4]]", "[[1, 2],\n [3, 4]]", ("", "[[1, 2],\n [3, 4]]")),
    ("for n in range(2):\n    print(n)", "0\n1", ("0\n1\n", "")),
    ("from pprint import pprint\npprint({})", "{}", ("{}\n", "")),
    ("parser.print_help()", "usage", ("usage\n", "")),
    ("def show():\n    print('x')\nshow()", "x", ("x\n", "")),
    ("def show():\n    print('x')\n    return 1\nshow()", "x\n1", ("x\n", "1")),
    ("for n in range(2):\n    print(n, end=' ')", "0 1 ", ("0 1 ", "")),
    ("print(''.join(lines), end='')", "a\nb", ("a\nb\n", "")),
    ("%magic", "text", ("text\n", "")),
    ("x = 1", "", ("", "")),
    ("", "", ("", "")),
]


@pytest.mark.parametrize(("source", "output", "parts"), CASES)
def test_the_code_says_what_is_printed_and_what_is_the_value(source: str, output: str, parts: tuple[str, str]) -> None:
    outputs = to_outputs(source, output)
    printed = "".join(out["text"] for out in outputs if out["output_type"] == "stream")
    value = "".join(out["data"]["text/plain"] for out in outputs if out["output_type"] == "execute_result")
    assert (printed, value) == parts


LINES = st.lists(st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), min_size=1), max_size=4)


@given(st.sampled_from([source for source, _, _ in CASES]), LINES.map("\n".join))
def test_outputs_read_back_as_the_output_they_were_made_from(source: str, output: str) -> None:
    assert from_outputs(to_outputs(source, output)) == output


def test_errors_pictures_and_messages_are_no_output() -> None:
    outputs = [
        {"output_type": "stream", "name": "stderr", "text": "warning\n"},
        {"output_type": "display_data", "metadata": {}, "data": {"image/png": "AA=="}},
        {"output_type": "error", "ename": "E", "evalue": "", "traceback": []},
        {"output_type": "stream", "name": "stdout", "text": "kept\n"},
    ]
    assert from_outputs(outputs) == "kept"
