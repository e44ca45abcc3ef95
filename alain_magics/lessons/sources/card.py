"""A model card: Markdown with front matter, beside it ``config.json`` and what the Hub says of the repository.

The document's text is the card, below it the text of ``config.json`` and an excerpt of the Hub's record, so that every
fact has a span. Facts say by ``ref`` where they stand: ``front matter``, ``card``, ``config.json`` or ``Hub record``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from alain_magics.errors import UnreadableSource
from alain_magics.lessons.document import Document, Fact, Span, text_hash
from alain_magics.lessons.schema import Provenance
from alain_magics.lessons.sources.markdown import Passage, read_markdown

MOST_BYTES = 2_000_000
_MOST_ENTRIES, _LONGEST_ENTRY, _MOST_MEMBERS = 200, 2_000, 2_000
_FRONT_MATTER = re.compile(r"\A---[ \t]*\r?\n(.*?)^---[ \t\r]*$", re.DOTALL | re.MULTILINE)
_ENTRY = re.compile(r"^([A-Za-z_][\w-]*):(?:[ \t].*)?(?:\r?\n(?:[ \t-].*)?)*", re.MULTILINE)
_KEY = re.compile(r'[\s,]*("(?:[^"\\]|\\.)*")\s*:\s*')
_STATED = re.compile(r"([^:.`]{2,60}):\s+(\S.{0,120})")
_MODEL_ID = re.compile(r"[\w.-]{1,60}(?:/[\w.-]{1,90})?")
# What no name holds: brackets of links and tags, a call, an address.
_MARKUP = re.compile(r"[<>\[\]{}`]|[a-z_]\(|\w:\w|://")
_LONGEST_TITLE = 60
_HALF = re.compile(r"[\ud800-\udfff]")
_TOKENS = ("bos_token", "eos_token", "pad_token", "unk_token", "sep_token", "cls_token", "mask_token")


@dataclass
class CardDocument(Document):
    """A document with its paragraphs and list items."""

    passages: list[Passage] = field(default_factory=list)


def read_card(path: Path) -> CardDocument:
    """Read a model card and, where they lie beside it, its configuration and its Hub record.

    For ``NAME.md`` these are ``NAME.config.json`` or ``config.json``, and ``NAME.model.json`` or ``model.json``.
    """
    card = read_utf8(path)
    if not card.strip():
        raise UnreadableSource(f"{path.name} is empty.", "Choose a model card with text.")
    parts, facts = [card], []
    if config := _beside(path, "config.json"):
        text = read_utf8(config)
        if {"model_type", "architectures"} & _json_object(text, config.name).keys():
            facts += _append(parts, "config.json", text)
    record: dict[str, Any] = {}
    if hub := _beside(path, "model.json"):
        record = _excerpt(_json_object(read_utf8(hub), hub.name))
        facts += _append(parts, "Hub record", json.dumps(record, indent=2, ensure_ascii=False))
    front = _FRONT_MATTER.match(card)
    stated = list(_front_matter(front)) if front else []
    body = read_markdown(card, front.end() if front else 0)
    stated += _stated_facts(body.passages)
    text = "".join(parts)
    title = _title(record, [heading.title for heading in body.headings], path)
    document = CardDocument(
        title=title,
        text=text,
        provenance=Provenance(
            kind="card",
            ref=str(record.get("id") or (title if _is_readme(path) else _printable(path.name))),
            file=_printable(path.name),
            revision=str(record.get("sha", "")),
        ),
        headings=body.headings,
        code_blocks=body.code_blocks,
        tables=body.tables,
        facts=stated + facts,
        passages=body.passages,
    )
    document.provenance.sha256 = text_hash(text)
    document.provenance.licence = _licence(document)
    return document


def read_utf8(path: Path) -> str:
    """The text of a file of at most 2 MB; a larger one is refused before it is read."""
    try:
        if path.is_dir():
            raise UnreadableSource(f"{path.name} is a folder.", f"Name the card in it, such as {path.name}/README.md.")
        if not path.is_file():
            raise UnreadableSource(f"{path.name} is not a file.", "Check the path.")
        with path.open("rb") as file:
            size = path.stat().st_size
            data = file.read(MOST_BYTES + 1) if size <= MOST_BYTES else b""
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise UnreadableSource(f"{path.name} cannot be read: {reason}.", "Check its permissions.") from error
    if max(size, len(data)) > MOST_BYTES:
        raise UnreadableSource(f"{path.name} is larger than 2 MB.", "Choose the card itself, or cut it down.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableSource(f"{path.name} is not UTF-8 text.", "Save it as UTF-8.") from error


def _beside(path: Path, name: str) -> Path | None:
    candidates = (path.with_name(f"{path.stem}.{name}"), path.with_name(name))
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def _json_object(text: str, name: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
        json.dumps(value, ensure_ascii=False).encode()  # half a character is none
    except (ValueError, RecursionError) as error:
        raise UnreadableSource(f"{name} is not valid JSON.", "Mend or remove it.") from error
    if not isinstance(value, dict):
        raise UnreadableSource(f"{name} holds no JSON object.", "Mend or remove it.")
    return value


def _append(parts: list[str], ref: str, text: str) -> list[Fact]:
    """Add a JSON text below a title and return its facts, with spans into the whole."""
    parts.append(f"\n\n{ref}\n")
    offset = sum(map(len, parts))
    parts.append(text)
    members = islice(_members(text, text.index("{") + 1, "", 4), _MOST_MEMBERS)
    return [Fact(name, value, Span(offset + start, offset + end), ref) for name, value, start, end in members]


def _members(text: str, at: int, prefix: str, depth: int) -> Iterator[tuple[str, Any, int, int]]:
    """Dotted name, value and range of every member of a valid JSON object, from ``at`` on, that is no object itself."""
    decoder = json.JSONDecoder()
    while match := _KEY.match(text, at):
        name = prefix + json.loads(match[1])
        value, at = decoder.raw_decode(text, match.end())
        if not isinstance(value, dict):
            yield name, value, match.start(1), at
        elif depth:
            yield from _members(text, match.end() + 1, name + ".", depth - 1)


def _excerpt(record: dict[str, Any]) -> dict[str, Any]:
    """What a lesson may use of the Hub's record: no counts of downloads, no names of people."""
    found: dict[str, Any] = {}
    if isinstance(record.get("id"), str) and _MODEL_ID.fullmatch(record["id"]):
        found["id"] = record["id"]
    if isinstance(record.get("sha"), str) and re.fullmatch(r"[0-9a-f]{7,64}", record["sha"]):
        found["sha"] = record["sha"]
    weights = record.get("safetensors")
    if isinstance(weights, dict):
        parameters = weights.get("parameters")
        kinds = parameters.items() if isinstance(parameters, dict) else ()
        found["safetensors"] = {
            "parameters": {kind: count for kind, count in kinds if kind.isalnum() and type(count) is int}
        }
        if type(weights.get("total")) is int:
            found["safetensors"]["total"] = weights["total"]
    config = record.get("config")
    tokenizer = config.get("tokenizer_config") if isinstance(config, dict) else None
    if isinstance(tokenizer, dict):
        values = {name: tokenizer.get(name) for name in _TOKENS}
        tokens = {name: value.get("content") if isinstance(value, dict) else value for name, value in values.items()}
        found["tokenizer"] = {
            name: token for name, token in tokens.items() if isinstance(token, str) and token.isprintable()
        }
    return found


def _front_matter(match: re.Match[str]) -> Iterator[Fact]:
    """The entries whose value is text or a list of texts; what is not valid YAML is passed over.

    Every scalar stays the text that was written: ``no`` is a language here, not a falsehood.
    """
    import yaml

    for entry in islice(_ENTRY.finditer(match[1]), _MOST_ENTRIES):
        if len(entry[0]) > _LONGEST_ENTRY:
            continue
        try:
            value = yaml.load(entry[0], Loader=yaml.BaseLoader)[entry[1]]  # noqa: S506 - makes text, lists, dicts only
        except (yaml.YAMLError, ValueError, RecursionError):  # ValueError: beyond the last character
            continue
        texts = value if isinstance(value, list) else [value]
        if all(isinstance(text, str) and not _HALF.search(text) for text in texts):
            start = match.start(1) + entry.start()
            yield Fact(entry[1], value, Span(start, start + len(entry[0].rstrip())), "front matter")


def _stated_facts(passages: list[Passage]) -> Iterator[Fact]:
    """Passages of the form ``Label: value``."""
    for passage in passages:
        if match := _STATED.fullmatch(passage.text):
            yield Fact(match[1].strip(), match[2].strip(), passage.span, "card")


def _title(record: dict[str, Any], headings: list[str], path: Path) -> str:
    """The name on the Hub, else the first heading if it is plain text, else the name of the file or its folder."""
    if "id" in record:
        return str(record["id"]).rpartition("/")[2]
    heading = next((title for title in map(_printable, headings) if title), "")
    if heading and not _MARKUP.search(heading):
        return (
            heading
            if len(heading) <= _LONGEST_TITLE
            else heading[: _LONGEST_TITLE + 1].rpartition(" ")[0] or (heading[:_LONGEST_TITLE])
        )
    return _printable(path.absolute().parent.name if _is_readme(path) else path.stem)[:_LONGEST_TITLE] or "model card"


def _is_readme(path: Path) -> bool:
    return path.stem.casefold() == "readme"


def _printable(text: str) -> str:
    """The text without characters that show nothing or change how others are shown, at most 120 of them."""
    return "".join(character for character in text if character.isprintable())[:120].strip()


def _licence(document: Document) -> str:
    """The licence that the front matter names, if it is one short word."""
    fact = document.fact("license")
    value = str(fact.value) if fact and fact.ref == "front matter" else ""
    return value if re.fullmatch(r"[\w.-]{1,40}", value) else ""
