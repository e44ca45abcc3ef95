"""The encoded part of a cell: the same for the same part, and never trusted."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alain_magics.errors import PayloadError
from alain_magics.lessons.payload import LIMIT, decode, encode
from alain_magics.lessons.schema import Exercise, Option, Proof, Question, Run, Test

QUESTION = Question(
    form="predict",
    stem="What does `len('é')` give?",
    options=[Option(text="1", correct=True, feedback="One character.", future=[1, None])],
    proof=Proof(runs=[Run(code="len('é')", output="1")], versions={}, isolation="isolated", seeds=[0, 1]).sealed(),
)
EXERCISE = Exercise(id="e", task="t", starter="...", solution="1", tests=[Test(call="f()", output="1")])


def encoded(data: object) -> str:
    return base64.b64encode(json.dumps(data).encode()).decode()


@pytest.mark.parametrize("part", [QUESTION, EXERCISE])
def test_a_part_comes_back_whole(part: Question | Exercise) -> None:
    assert decode(encode(part)) == part


def test_the_payload_is_base64_of_canonical_json() -> None:
    text = base64.b64decode(encode(EXERCISE)).decode()
    assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def test_equal_parts_have_equal_payloads() -> None:
    fields = QUESTION.model_dump()
    assert encode(Question(**dict(reversed(fields.items())))) == encode(QUESTION)


@pytest.mark.parametrize(
    ("payload", "says"),
    [
        ("", "damaged"),
        ("no base64!", "damaged"),
        (encode(QUESTION)[:-8], "damaged"),
        (encode(QUESTION)[4:], "damaged"),
        (base64.b64encode(b"\xff\xfe").decode(), "damaged"),
        (base64.b64encode(b"[" * 90_000).decode(), "damaged"),
        (base64.b64encode(b'{"kind":"question","form":"single","stem":"\\ud800"}').decode(), "damaged"),
        (base64.b64encode(b'{"kind":"question","form":"numeric","stem":"s","answer":NaN}').decode(), "damaged"),
        (encoded({"kind": "question", "form": "single"}), "damaged at 'stem'"),
        (encoded({"kind": "question", "form": "essay", "stem": "s"}), "damaged at 'form'"),
        (encoded({"kind": "question", "form": "single", "stem": "s", "options": [{}]}), "damaged at 'options.0.text'"),
        (encoded({"kind": "question", "form": "numeric", "stem": "s", "answer": 10**400}), "damaged at 'answer'"),
        (encoded({"kind": "text", "id": "t", "markdown": "m"}), "neither a question nor an exercise"),
        (encoded({"kind": ["question"]}), "neither a question nor an exercise"),
        (encoded([1]), "neither a question nor an exercise"),
        ("A" * (LIMIT + 4), "longer than 200,000 characters"),
        (b"e30=", "is a text"),
    ],
)
def test_what_is_wrong_with_a_payload_is_said_in_one_line(payload: str, says: str) -> None:
    with pytest.raises(PayloadError) as caught:
        decode(payload)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.one_of(st.text(), st.binary().map(lambda raw: base64.b64encode(raw).decode())))
def test_no_text_breaks_decoding(payload: str) -> None:
    with pytest.raises(PayloadError):
        decode(payload)


def test_a_part_too_large_for_a_cell_is_refused() -> None:
    with pytest.raises(PayloadError, match="a cell holds 200,000"):
        encode(QUESTION.model_copy(update={"code": "x" * LIMIT}))
