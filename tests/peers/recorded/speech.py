"""What the recorded servers say: computed from the question."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass
class Said:
    """An answer to a question: what a model thinks, says and calls, in pieces."""

    thoughts: list[str] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)
    calls: list[tuple[str, Json]] = field(default_factory=list)
    length: bool = False
    stopped: str | None = None

    @property
    def tokens(self) -> int:
        return len(self.thoughts) + len(self.pieces) + 5 * len(self.calls)


def words(text: str) -> list[str]:
    """Cut a text into words with the space before them."""
    return re.findall(r"\s*\S+", text)


def sample(schema: Json, root: Json | None = None) -> Any:
    """Return a value that fits a simple schema."""
    root = root or schema
    if ref := schema.get("$ref"):
        return sample(root["$defs"][ref.rpartition("/")[2]], root)
    if "enum" in schema:
        return schema["enum"][0]
    if "anyOf" in schema:
        return sample(schema["anyOf"][0], root)
    kind = schema.get("type")
    if kind == "object":
        return {name: sample(each, root) for name, each in schema.get("properties", {}).items()}
    if kind == "array":
        return [sample(schema.get("items", {}), root)] * max(1, schema.get("minItems", 1))
    return {"integer": 7, "number": 0.5, "boolean": True, "null": None}.get(kind or "", "Paris")


def say(
    messages: list[Json],
    *,
    thinks: bool = False,
    tools: list[tuple[str, Json]] | None = None,
    schema: Json | None = None,
    limit: int | None = None,
    stop: list[str] | None = None,
) -> Said:
    """Answer the last message of a conversation (``role``, ``content`` as text)."""
    last = messages[-1]
    question = next((m["content"] for m in reversed(messages) if m["role"] == "user"), "")
    if tools and "weather" in question.lower() and last["role"] != "tool":
        name, parameters = tools[0]
        return Said(thoughts=words("I need the weather.") if thinks else [], calls=[(name, sample(parameters))])
    if schema is not None:
        text = json.dumps(sample(schema))
    elif "lesson" in question:
        text = " ".join(f"{number}. Things fall." for number in range(1, 134))
    else:
        text = f"Grüße 🌍! You said {question[:200]!r}, and that is {len(question)} characters, dear reader."
    said = Said(thoughts=words(f"They said {len(question)} characters.") if thinks else [], pieces=words(text))
    for sequence in stop or []:
        whole = "".join(said.pieces)
        if (at := whole.find(sequence)) >= 0:
            said.pieces, said.stopped = words(whole[:at]), sequence
    if limit is not None and said.tokens > limit:
        said.length, said.stopped = True, None
        said.thoughts = said.thoughts[:limit]
        said.pieces = said.pieces[: limit - len(said.thoughts)]
    return said


def count(messages: list[Json]) -> int:
    """Count the tokens of a conversation."""
    return sum(4 + len(words(message["content"])) for message in messages)
