"""From words to a request: the parser of a verb is derived from its request's fields.

A positional field takes words, any other an option ``--kebab-case`` (with one ``short`` letter where it has one);
``bool`` is a flag, ``list`` may be given repeatedly, ``Literal`` lists its choices.
"""

from __future__ import annotations

import argparse
import os
import shlex
import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NoReturn, Union, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from alain_magics.commands.base import Command, Request
from alain_magics.commands.registry import find, verbs
from alain_magics.errors import AlainError, UsageError
from alain_magics.settings import nearest

COMMON = {
    "json": "give the result as JSON",
    "yes": "agree to run code that somebody else wrote",
    "debug": "show the traceback of an error",
}
"""Flags that every verb has, and their help."""

CONSENT = frozenset({"execute"})
"""What ``--yes`` agrees to: that code written by somebody else runs."""


@dataclass(frozen=True)
class Invocation:
    """What the user asked for: a command with its request, and the flags of :data:`COMMON`."""

    command: Command
    request: Request
    json: bool
    yes: bool
    debug: bool

    @property
    def consent(self) -> frozenset[str]:
        """What the user agreed to, as a command's context wants it."""
        return CONSENT if self.yes else frozenset()

    @property
    def words(self) -> list[str]:
        """The words for the model, where the verb takes a cell too."""
        said = [getattr(self.request, option.name) for option in options(self.command) if option.positional]
        return [word for words in said for word in words] if self.command.takes_cell else []


@dataclass(frozen=True)
class Help:
    """What the user asked for is text about verbs or options."""

    text: str


@dataclass(frozen=True)
class Option:
    """How a field of a request is written on a command line."""

    name: str
    info: FieldInfo
    positional: bool
    short: str
    complete: str
    choices: tuple[str, ...]
    flag: bool
    many: bool

    @property
    def spellings(self) -> list[str]:
        """``-s`` and ``--long``; nothing for a positional."""
        if self.positional:
            return []
        return [*([f"-{self.short}"] if self.short else []), f"--{self.name.replace('_', '-')}"]


class _Parser(argparse.ArgumentParser):
    """A parser that raises instead of leaving the process."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{self.prog}: {message}.", f"See {self.prog} --help.")


def split(line: str) -> list[str]:
    """Split a line into words as a shell does; on Windows a backslash is just a character."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=False)
    lexer.whitespace_split = True
    lexer.commenters = ""
    if os.name == "nt":
        lexer.escape = ""
    try:
        return list(lexer)
    except ValueError as error:
        raise UsageError(f"{error} in: {line}", "Close the quotation mark, or put a backslash before it.") from error


def parse(words: list[str], program: str, fill: Callable[[str], str] = str) -> Invocation | Help:
    """Read a verb and its options, or raise :class:`~alain_magics.errors.UsageError` that names the nearest.

    ``program`` is what stands before the verb: ``%alain`` or ``alain``. ``fill`` puts the values of variables into
    what is given to an option; where a verb takes a cell, it does that itself with the cell and the words before it.
    """
    before = words[: words.index("--")] if "--" in words else words
    wants_help = "--help" in before or "-h" in before
    if not words or (wants_help and words[0].startswith("-")):
        return Help(overview(program))
    command = find(words[0])
    parser = build_parser(command, program)
    if wants_help:
        return Help(parser.format_help())
    known, unknown = parser.parse_known_args(words[1:])
    if unknown:
        _refuse(unknown[0], command, parser.prog)
    values = vars(known)
    flags = {name: values.pop(name) for name in COMMON}
    for option in options(command):
        if option.name in values and not option.flag and not (option.positional and command.takes_cell):
            given = values[option.name]
            values[option.name] = [fill(each) for each in given] if option.many else fill(given)
    try:
        request = command.request.model_validate(values)
    except ValidationError as error:
        raise _usage_error(error, command, parser.prog) from None
    return Invocation(command, request, **flags)


def build_parser(command: Command, program: str) -> argparse.ArgumentParser:
    """Derive the parser of a command from the fields of its request."""
    examples = [f"  {program} {example}" for example in command.examples]
    parser = _Parser(
        prog=f"{program} {command.name}",
        description=command.summary,
        epilog="\n".join(["examples:", *examples]) if examples else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=False,
        allow_abbrev=False,
    )
    for option in options(command):
        _add(parser, option)
    common = parser.add_argument_group("with every verb")
    for name, description in COMMON.items():
        common.add_argument(f"--{name}", action="store_true", help=description)
    common.add_argument("--help", "-h", action="store_true", default=argparse.SUPPRESS, help="show this")
    return parser


def options(command: Command) -> list[Option]:
    """How the fields of a command's request are written, positionals first in their order."""
    found = [_option(name, info) for name, info in command.request.model_fields.items()]
    return sorted(found, key=lambda option: not option.positional)


def overview(program: str) -> str:
    """The verbs, a line each, and how to go on."""
    lines = []
    for verb in verbs():
        try:
            summary = find(verb).summary
        except (ImportError, AlainError) as error:
            summary = f"(not available: {error})"
        lines.append(f"  {verb:<12}{summary}")
    return "\n".join([f"{program} VERB ...", "", *lines, "", f"{program} VERB --help says more."])


def _option(name: str, info: FieldInfo) -> Option:
    extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    kind = _without_none(info.annotation)
    many = get_origin(kind) is list
    inner = _without_none(get_args(kind)[0]) if many else kind
    return Option(
        name=name,
        info=info,
        positional=bool(extra.get("positional")),
        short=str(extra.get("short", "")),
        complete=str(extra.get("complete", "")),
        choices=tuple(map(str, get_args(inner))) if get_origin(inner) is Literal else (),
        flag=kind is bool,
        many=many,
    )


def _without_none(annotation: Any) -> Any:
    """Return ``T`` for ``T | None``."""
    if get_origin(annotation) in (Union, types.UnionType):
        kinds = [kind for kind in get_args(annotation) if kind is not types.NoneType]
        return kinds[0] if len(kinds) == 1 else annotation
    return annotation


def _add(parser: argparse.ArgumentParser, option: Option) -> None:
    settings: dict[str, Any] = {
        "default": argparse.SUPPRESS,
        "help": (option.info.description or "").replace("%", "%%"),
    }
    if option.flag:
        on_by_default = option.info.default is not False
        settings["action"] = argparse.BooleanOptionalAction if on_by_default else "store_true"
        parser.add_argument(*option.spellings, dest=option.name, **settings)
        return
    settings["metavar"] = f"{{{','.join(option.choices)}}}" if option.choices else option.name.upper()
    if option.positional:
        optional = not option.info.is_required()
        settings["nargs"] = ("*" if optional else "+") if option.many else ("?" if optional else None)
        parser.add_argument(option.name, **settings)
    else:
        settings["action"] = "append" if option.many else "store"
        settings["required"] = option.info.is_required()
        parser.add_argument(*option.spellings, dest=option.name, **settings)


def _refuse(word: str, command: Command, program: str) -> NoReturn:
    known = [spelling for option in options(command) for spelling in option.spellings]
    known += [f"--{name}" for name in (*COMMON, "help")]
    if word.startswith("-"):
        raise UsageError(f"{program} has no option {word}.", nearest(word, known) or f"See {program} --help.")
    raise UsageError(f"{program} does not expect {word!r}.", f"See {program} --help.")


def _usage_error(error: ValidationError, command: Command, program: str) -> UsageError:
    first = error.errors(include_url=False)[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    option = next((option for option in options(command) if option.name == name), None)
    if option is None:
        return UsageError(f"{program}: {first['msg']}.", f"See {program} --help.")
    spelling = option.spellings[-1] if option.spellings else option.name.upper()
    given = first["input"]
    if option.choices:
        advice = f"It is one of {', '.join(option.choices)}. {nearest(str(given), option.choices)}".rstrip()
    else:
        advice = f"{first['msg'].removeprefix('Value error, ')}."
    return UsageError(f"{program}: {spelling} cannot be {given!r}.", advice)
