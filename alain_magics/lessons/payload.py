"""The text inside a question's or exercise's cell: the whole part, encoded so that it is not read by accident."""

from __future__ import annotations

import base64
import json

from pydantic import ValidationError

from alain_magics.errors import PayloadError
from alain_magics.lessons.schema import Exercise, Question, canonical_json

LIMIT = 200_000
_AGAIN = "Take the cell from the original notebook, or generate the lesson again."
_KINDS: dict[str, type[Question] | type[Exercise]] = {"question": Question, "exercise": Exercise}


def encode(part: Question | Exercise) -> str:
    """Base64 of the canonical JSON of a part, with its proof and feedback: the same part gives the same text."""
    payload = base64.b64encode(canonical_json(part.model_dump(mode="json")).encode()).decode()
    if len(payload) > LIMIT:
        raise PayloadError(
            f"The {part.kind} {part.id!r} needs {len(payload):,} characters; a cell holds {LIMIT:,}.",
            "Shorten its code, options or proof.",
        )
    return payload


def decode(payload: str) -> Question | Exercise:
    """The part that :func:`encode` wrote, validated like any input from outside.

    :class:`~alain_magics.errors.PayloadError` says in one line what is wrong: not text, more than 200,000
    characters, not base64, not JSON, or not a question or exercise.
    """
    if not isinstance(payload, str):
        raise PayloadError("The encoded part of a cell is a text.", _AGAIN)
    if len(payload) > LIMIT:
        raise PayloadError(f"The encoded part is longer than {LIMIT:,} characters.", _AGAIN)
    try:
        data = json.loads(base64.b64decode(payload, validate=True), parse_constant=_no_constant)
        canonical_json(data).encode()  # half a surrogate pair could not be written again
    except (ValueError, RecursionError):
        raise PayloadError("The encoded part of this cell is damaged.", _AGAIN) from None
    model = _KINDS.get(str(data.get("kind"))) if isinstance(data, dict) else None
    if model is None:
        raise PayloadError("The encoded part of this cell is neither a question nor an exercise.", _AGAIN)
    try:
        return model.model_validate(data)
    except ValidationError as error:
        where = ".".join(str(place) for place in error.errors()[0]["loc"])
        raise PayloadError(
            f"The encoded {model.__name__.lower()} of this cell is damaged at {where!r}.", _AGAIN
        ) from None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
