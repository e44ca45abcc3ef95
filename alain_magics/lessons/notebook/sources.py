"""The parts of a lesson as sources of cells, and what is read from a cell that somebody edited.

Every Markdown source written here is neutralised, for Jupyter draws it without asking this package.
"""

from __future__ import annotations

import re
from typing import Any

from alain_magics.lessons.schema import Exercise, Lesson, Question, content_hash
from alain_magics.text import as_markdown, fenced, neutralise

INTRO = {"objectives": "You will be able to", "prerequisites": "Before you start"}
CLOSING = {"references": "References", "next_steps": "Next steps"}
_HEADING = re.compile(r"^#{1,6}(?:[ \t]+(.*))?$", re.MULTILINE)
_CALL = re.compile(r"\s*(?:#[^\n]*\n\s*)*(?:question|check)\(\s*(['\"])([\w+/=-]*)\1\s*,?\s*\)\s*;?\s*")


def intro_source(lesson: Lesson) -> str:
    """Title, description, objectives, prerequisites, and what the lesson was made from."""
    source = lesson.source
    level = [f"about {lesson.minutes} minutes"] if lesson.minutes else []
    level += [lesson.difficulty, *([f"for {lesson.audience}"] if lesson.audience else [])]
    origin = [f"made from `{source.ref}`", *([f"version {source.revision}"] if source.revision else [])]
    origin += [f"licence {source.licence}"] if source.licence else []
    about = ["### About this lesson", _bullets([", ".join(level), ", ".join(origin)])]
    parts = [f"# {_line(lesson.title)}", lesson.description, *_lists(lesson, INTRO), *about]
    return neutralise("\n\n".join(part for part in parts if part))


def read_intro(source: str) -> dict[str, Any]:
    """The fields of a lesson that an edited intro still shows."""
    (_, before), *rest = _headed(source)
    title, description = rest[0] if rest else ("", before)
    return {"title": title, "description": description} | _read_lists(rest[1:], INTRO)


def closing_source(lesson: Lesson) -> str:
    """Summary, references and next steps; ``""`` where the lesson has none."""
    parts = ["## Summary", lesson.summary] if lesson.summary else []
    return neutralise("\n\n".join(part for part in (*parts, *_lists(lesson, CLOSING)) if part))


def read_closing(source: str) -> dict[str, Any]:
    """The fields of a lesson that an edited closing still shows."""
    rest = _headed(source)[1:]
    return {"summary": dict(rest).get("Summary", "")} | _read_lists(rest, CLOSING)


def heading_source(title: str) -> str:
    """The heading of a section."""
    return neutralise(f"## {_line(title)}")


def read_heading(source: str) -> str:
    """The title that a heading shows."""
    return " ".join(_HEADING.sub(lambda found: heading_text(found[1]), source).split())


def heading_text(text: str | None) -> str:
    """The text of a heading without the marks that may close it."""
    text = (text or "").rstrip()
    opened = text.rstrip("#")
    return opened.rstrip() if opened[-1:] in ("", " ", "\t") else text


def stem_source(question: Question) -> str:
    """What a question asks, and the code it asks about."""
    parts = (as_markdown(question.stem), fenced(question.code, "python") if question.code else "")
    return neutralise("\n\n".join(part for part in parts if part))


def read_stem(source: str) -> tuple[str, str]:
    """Stem and code from the Markdown of a question."""
    from markdown_it import MarkdownIt

    stem, code = [], ""
    for token in MarkdownIt("commonmark").parse(source):
        if token.type in ("fence", "code_block"):
            code = token.content.removesuffix("\n")
        elif token.type == "inline":
            marks = {"code_inline": "`", "softbreak": "\n", "hardbreak": "\n"}
            spans = [(marks.get(child.type, ""), child.content) for child in token.children or []]
            stem.append("".join(f"{mark}{text}{mark if text else ''}" for mark, text in spans))
    return "\n\n".join(stem), code


def part_id(part: Question | Exercise) -> str:
    """The identifier of a part, made from its content where it has none."""
    if part.id:
        return part.id
    return part.content_id() if isinstance(part, Question) else f"e-{content_hash([part.task, part.starter])[:12]}"


def encoded_source(part: Question | Exercise, payload: str, number: int, *, graded: bool = False) -> str:
    """The call that shows a question or checks an exercise; ``number`` counts its kind within the lesson."""
    verb, name = ("answer", "question") if isinstance(part, Question) else ("check", "check")
    secret = "its key is kept apart" if graded else "encoded, not secret"
    return f'#@title {part.kind.capitalize()} {number}: run to {verb} ({secret})\n{name}("{payload}")'


def read_encoded(source: str) -> str | None:
    """The payload of such a call, or ``None`` where the source is anything else."""
    found = _CALL.fullmatch(source)
    return found[2] if found else None


def _line(text: str) -> str:
    return " ".join(text.split())


def _bullets(items: list[str]) -> str:
    return "\n".join(f"- {_line(item)}" for item in items)


def _lists(lesson: Lesson, labels: dict[str, str]) -> list[str]:
    """Each list of a lesson that has items, below its label."""
    lists = {label: getattr(lesson, name) for name, label in labels.items()}
    return [part for label, items in lists.items() if items for part in (f"### {label}", _bullets(items))]


def _headed(source: str) -> list[tuple[str, str]]:
    """Each heading with the text below it; first the text above them all."""
    parts = _HEADING.split(source)
    return list(zip(["", *(heading_text(title) for title in parts[1::2])], map(str.strip, parts[::2]), strict=True))


def _read_lists(parts: list[tuple[str, str]], labels: dict[str, str]) -> dict[str, list[str]]:
    bodies = dict(parts)
    return {name: re.findall(r"^[-*+] +(.*\S)", bodies.get(label, ""), re.M) for name, label in labels.items()}
