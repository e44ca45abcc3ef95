"""Structure out of what models write: the JSON of an answer, or its largest sound part, checked against a schema here.

Thinking, fences and prose around the JSON are passed over. Harmless malformations are read as what they mean; no value
is made up, and what is cut is never completed: see ``lenient_json.py``. No server's promise to keep to a schema is
relied on: every value is validated.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from alain_magics.errors import InvalidOutput, UsageError
from alain_magics.runtimes.parsing.lenient_json import LOST_BACKSLASH, Reading
from alain_magics.runtimes.parsing.markup import THINKING

if TYPE_CHECKING:
    from referencing import Resource

CANDIDATES = 200
"""Brackets in the prose of an answer that are looked at as the beginning of its JSON."""

LARGEST_BOUND = 500
"""Bounds beyond which :func:`simplify` drops them: a grammar writes out every repetition."""

_BRACKET = re.compile(r"[{\[]")
_PROSE_IN_BRACKETS = re.compile(r"""\[[^\[\]{}"]*+\]|\{[^\[\]{}"]*+\}""")
_WITHIN_JSON = re.compile(r"""(?:["'”]\s{0,9}:|["'\d}\]]\s{0,9},)\s{0,99}\Z|["'“]\Z""")
_GOES_ON = re.compile(r"""\s*+(?:[}\]]\s*+)*+(?:["'“]|,\s*+["'“{\[]|[\w ]{1,60}["'”]\s*+:)""")
_BOUNDS = {"minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"}
_REFUSED = set(
    "pattern multipleOf uniqueItems if then else not contains minContains maxContains propertyNames patternProperties"
    " dependentSchemas dependentRequired unevaluatedItems unevaluatedProperties".split()
)
_NAMED_SCHEMAS = {"properties", "$defs", "definitions"}
_DATA = {"enum", "const", "default", "examples"}


@dataclass(frozen=True)
class Salvaged:
    """What could be had from an answer.

    ``complete``: ``value`` is the whole JSON value, and satisfies the schema where one was given; else it is the
    largest sound part, ``None`` where there is none, and ``defect`` says what is wrong. ``repaired``: harmless
    malformations were read as what they mean; ``defect`` names them.
    """

    value: Any
    complete: bool
    repaired: bool = False
    defect: str = ""


def parse(text: str, schema: Mapping[str, Any]) -> Any:
    """Return the value that an answer holds, if it is whole and satisfies the schema.

    Else :class:`~alain_magics.errors.InvalidOutput` with the defect and the largest sound part.
    """
    found = salvage(text, schema)
    if found.complete:
        return found.value
    raise InvalidOutput(
        f"The answer is not the JSON that was asked for: {found.defect}.",
        "Ask again.",
        defect=found.defect,
        partial=found.value,
    )


def salvage(text: str, schema: Mapping[str, Any] | None = None) -> Salvaged:
    """Return the JSON of an answer as far as it goes, and what is wrong with it; no text makes it raise.

    Of several values the longest that satisfies the schema is meant, unless a longer one is cut.
    """
    found = Salvaged(None, complete=False, defect="there is no JSON in it")
    for body in _without_thinking(text):
        found = _salvage(body, schema)
        if found.complete or found.value is not None:
            break
    return found


def violation(value: Any, schema: Mapping[str, Any]) -> str:
    """Return where and why a value does not satisfy a JSON schema, in one line; nothing when it does.

    :class:`~alain_magics.errors.UsageError` when the schema itself is none. References are not fetched.
    """
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match
    from jsonschema.validators import validator_for
    from referencing import Registry

    check_schema(schema)
    plain = dict(schema)
    kind = validator_for(plain, default=Draft202012Validator)
    try:
        error = best_match(kind(plain, registry=Registry()).iter_errors(value))
    except (RecursionError, ArithmeticError):
        return "it is too deep or its numbers are too large to be checked"
    if error is None:
        return ""
    place = error.json_path.removeprefix("$").removeprefix(".")
    return f"{place}: {_one_line(error.message)}" if place else _one_line(error.message)


def check_schema(schema: Mapping[str, Any]) -> None:
    """Raise :class:`~alain_magics.errors.UsageError` for a JSON schema that is none, or refers beyond itself.

    References are not fetched.
    """
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import validator_for
    from referencing import Registry, Resource
    from referencing.exceptions import CannotDetermineSpecification, Unresolvable
    from referencing.jsonschema import DRAFT202012

    plain = dict(schema)
    try:
        validator_for(plain, default=Draft202012Validator).check_schema(plain)
        root = Resource.from_contents(plain, default_specification=DRAFT202012)
        _resolve(root, Registry().resolver_with_root(root))
    except SchemaError as wrong:
        raise UsageError(f"The JSON schema is not valid: {_one_line(wrong.message)}.") from None
    except Unresolvable as missing:
        raise UsageError(f"The JSON schema refers to {missing.ref!r}, which is not part of it.") from None
    except CannotDetermineSpecification:
        raise UsageError(f"The JSON schema is of an unknown kind: {plain.get('$schema')!r}.") from None
    except RecursionError:
        raise UsageError("The JSON schema is nested too deeply.") from None


def simplify(schema: Any) -> Any:
    """Return a schema without what servers' grammars refuse or cannot express; values are validated here all the same.

    Dropped are patterns, multiples, uniqueness, conditions and the like, and bounds above ``LARGEST_BOUND``.
    """
    if isinstance(schema, list):
        return [simplify(each) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    simple = {}
    for name, value in schema.items():
        if name in _REFUSED or (name in _BOUNDS and isinstance(value, int | float) and value > LARGEST_BOUND):
            continue
        if name in _NAMED_SCHEMAS and isinstance(value, Mapping):
            simple[name] = {key: simplify(each) for key, each in value.items()}
        else:
            simple[name] = value if name in _DATA else simplify(value)
    return simple


def _resolve(resource: Resource[Any], resolver: Any) -> None:
    """Look every reference of a schema up."""
    if isinstance(resource.contents, Mapping):
        for name in ("$ref", "$dynamicRef"):
            if name in resource.contents:
                resolver.lookup(resource.contents[name])
    for each in resource.subresources():
        _resolve(each, resolver.in_subresource(each))


def _without_thinking(text: str) -> Iterator[str]:
    """Yield what may hold the answer, the likeliest first."""
    body = text.lstrip()
    for opener, closer in THINKING.items():
        if body.startswith(opener):
            yield body.partition(closer)[2]
            return
    before, closer, after = body.partition("</think>")  # the prompt may have held the opening tag
    if closer and not before.startswith(("{", "[")):
        yield after
    yield body


def _salvage(text: str, schema: Mapping[str, Any] | None) -> Salvaged:
    try:
        value = _strict(text)
    except ValueError:
        return _looked_for(text, schema)
    return _checked(value, schema, ())


def _looked_for(text: str, schema: Mapping[str, Any] | None) -> Salvaged:
    """Find the value in a text that is not sound JSON from its beginning to its end."""
    whole: list[tuple[int, Salvaged]] = []
    parts: list[tuple[int, Salvaged]] = []
    for reading in _readings(text):
        if reading.complete:
            whole.append((reading.end - reading.start, _checked(reading.value, schema, reading.liberties)))
        else:  # what follows may belong to it
            part = Salvaged(reading.value, complete=False, defect=reading.defect)
            parts.append((0 if reading.value is None else len(text) - reading.start, part))
    sound = [each for each in whole if each[1].complete]
    candidates = (sound or whole) + parts
    if not candidates:
        return Salvaged(None, complete=False, defect="there is no JSON in it")
    return max(candidates, key=lambda each: each[0])[1]


def _checked(value: Any, schema: Mapping[str, Any] | None, liberties: Sequence[str]) -> Salvaged:
    repairs = f"repaired: {', '.join(liberties)}" if liberties else ""
    wrong = violation(value, schema) if schema is not None else ""
    return Salvaged(value, complete=not wrong, repaired=bool(liberties), defect=wrong or repairs)


def _strict(text: str) -> Any:
    """Read a text that is nothing but sound JSON; ``ValueError`` for everything that needs a closer look."""
    value = from_json(text, allow_inf_nan=False)
    json.loads(text, object_pairs_hook=_unique, parse_float=_finite)
    if isinstance(value, dict | list) and LOST_BACKSLASH.search(text):
        raise ValueError("an escape may be a lost backslash")
    return value


def _unique(members: list[tuple[str, Any]]) -> None:
    if len(dict(members)) < len(members):
        raise ValueError("a key occurs twice")


def _finite(number: str) -> None:
    if not math.isfinite(float(number)):
        raise ValueError("a number is too large")


def _readings(text: str) -> Iterator[Reading]:
    """Yield what can be read from each bracket that is not part of what was read before, nor of prose."""
    end = 0
    for _ in range(CANDIDATES):
        bracket = _BRACKET.search(text, end)
        if bracket is None:
            return
        reading = Reading(text, bracket.start())
        end = reading.end
        if reading.value is None and not reading.complete:
            prose = _PROSE_IN_BRACKETS.match(text, reading.start)
            if prose and (text[: prose.start()].strip() or text[prose.end() :].strip()):
                end = prose.end()
                continue
        if _WITHIN_JSON.search(text, max(0, reading.start - 128), reading.start):
            reading.value, reading.complete, reading.defect = None, False, "it lacks its beginning"
        elif reading.complete and _GOES_ON.match(text, reading.end):
            reading.complete, reading.defect = False, "it closes before its end"
        yield reading
        if not reading.complete:
            return  # what follows belongs to it


def _one_line(message: str) -> str:
    line = " ".join(message.split())
    return line if len(line) <= 160 else f"…{line[-160:]}"  # the reason stands at the end
