"""Prompt profiles: TOML files of a project that say which model is asked, and how.

``profiles/NAME.toml`` holds a model, how its tokens are chosen, a system text with placeholders, example dialogues and
a context budget. What it leaves open is found elsewhere: :func:`resolve` knows the order.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from alain_magics.errors import ProfileError, UsageError
from alain_magics.runtimes.base import Effort, Message, Sampling
from alain_magics.settings import LoopMode, nearest

FOLDER = "profiles"
"""Where profiles lie, in the project."""

_SHAPE = 'with lines such as model = "ollama/qwen3:8b" and system = "You are brief."; docs/profiles.md has them all'

FIXED_SEED = 0
"""The seed of a profile with a fixed time that names none."""

PLACEHOLDER = re.compile(r"\{\{(?P<escaped>[^\W\d]\w*)\}\}|\{(?P<braced>[^\W\d]\w*)\}|<\|(?P<angled>\w+)\|>")
"""``{name}``, ``<|NAME|>``, and ``{{name}}``, which stands for the text ``{name}``."""

BOUNDS = {
    "temperature": (0, 5),
    "top_p": (0, 1),
    "top_k": (-1, 1_000_000),
    "min_p": (0, 1),
    "repetition_penalty": (0, 5),
    "repetition_context_size": (-1, 10_000_000),
    "presence_penalty": (-2, 2),
    "frequency_penalty": (-2, 2),
    "xtc_probability": (0, 1),
    "xtc_threshold": (0, 1),
}
"""The least and the greatest value with a meaning; -1 stands for no limit."""

_SAMPLING = tuple(entry.name for entry in fields(Sampling))
_UNUSED = "What has no meaning here belongs under [extra]."
_UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")  # how pydantic calls them
_Model = TypeVar("_Model", bound=BaseModel)


class Options(BaseModel):
    """What can be chosen for a conversation; ``None`` leaves it to a weaker place.

    ``max_tokens`` limits the answer, ``context_tokens`` is the window that prompt and answer share, ``context_margin``
    how many tokens of it stay free.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    model: str | None = None
    system: str | None = None
    effort: Effort | None = None
    loop_detection: LoopMode | None = None
    max_tokens: int | None = Field(None, ge=1)
    context_tokens: int | None = Field(None, ge=1)
    context_margin: int | None = Field(None, ge=0)
    sampling: Sampling = Sampling()

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Options:
        """Make options of values by name, as :meth:`values` returns them."""
        sampling = {name: value for name, value in values.items() if name in _SAMPLING}
        plain = {name: value for name, value in values.items() if name not in _SAMPLING}
        return Options.model_validate({**plain, "sampling": sampling})

    @staticmethod
    def names() -> list[str]:
        """Return the names of all options."""
        return [*_PLAIN, *_SAMPLING]

    def values(self) -> dict[str, Any]:
        """Return what is chosen, by name."""
        chosen = {name: getattr(self, name) for name in _PLAIN}
        chosen |= {name: getattr(self.sampling, name) for name in _SAMPLING}
        return {name: value for name, value in chosen.items() if value not in (None, ())}

    def without(self, names: Iterable[str]) -> Options:
        """Leave these open again."""
        left = set(names)
        return Options.of({name: value for name, value in self.values().items() if name not in left})


_PLAIN = tuple(name for name in Options.model_fields if name != "sampling")


class Said(BaseModel):
    """A message of an example."""

    model_config = ConfigDict(extra="forbid")

    role: Literal["user", "assistant"]
    content: str


class Example(BaseModel):
    """A dialogue that shows the model how to answer."""

    model_config = ConfigDict(extra="forbid")

    messages: list[Said]


class Profile(Options):
    """What a profile's file holds.

    ``greeting`` is shown when a conversation begins, and not sent. ``fixed_time`` makes everything repeatable: it is
    the time that placeholders show, and the seed is 0 where none is named. ``extra`` is kept and means nothing here.
    """

    greeting: str = ""
    knowledge_cutoff: str = ""
    fixed_time: datetime | None = None
    placeholders: dict[str, str] = {}
    examples: list[Example] = []
    extra: dict[str, Any] = {}

    def chosen(self) -> Options:
        """Return what the profile chooses; its system text comes with :meth:`to_messages`."""
        sampling = self.sampling
        if self.fixed_time and sampling.seed is None:
            sampling = replace(sampling, seed=FIXED_SEED)
        named = {name: getattr(self, name) for name in Options.model_fields}
        return Options(**{**named, "system": None, "sampling": sampling})

    def to_messages(self, now: datetime, system: str | None = None) -> list[Message]:
        """Return what every prompt begins with: the system message, if any, and the example dialogues.

        ``system`` replaces the profile's own text, and is used as it is. Raises
        :class:`~alain_magics.errors.ProfileError` for a placeholder without a value.
        """
        text = self.rendered(self.system or "", now) if system is None else system
        cutoff = f"Knowledge cutoff: {self.rendered(self.knowledge_cutoff, now)}" if self.knowledge_cutoff else ""
        parts = [part for part in (text, cutoff) if part]
        head = [Message("system", "\n\n".join(parts))] if parts else []
        said = [each for example in self.examples for each in example.messages]
        return [*head, *(Message(each.role, self.rendered(each.content, now)) for each in said)]

    def rendered(self, text: str, now: datetime) -> str:
        """Replace ``{name}`` and ``<|NAME|>`` (in any case) by their values, once; ``{{name}}`` gives ``{name}``.

        Raises :class:`~alain_magics.errors.ProfileError` for a name without a value.
        """
        values = {**times(self.fixed_time or now), **self.placeholders}
        angled = {name.upper(): value for name, value in values.items()}

        def value(match: re.Match[str]) -> str:
            if match["escaped"]:
                return f"{{{match['escaped']}}}"
            known, name = (values, match["braced"]) if match["braced"] else (angled, match["angled"].upper())
            if name not in known:
                advice = nearest(name, known) or "Give it one under [placeholders]."
                if match["braced"]:
                    advice += f" To mean the text itself, write {{{{{name}}}}}."
                raise ProfileError(f"The placeholder {match[0]} has no value.", advice)
            return known[name]

        return PLACEHOLDER.sub(value, text)


def times(now: datetime) -> dict[str, str]:
    """Return the placeholders that every profile knows: date and time, local but for ``TIMEU``, which is UTC."""
    here, there = now.astimezone(), now.astimezone(UTC)
    return {
        "DATE": f"{here:%Y-%m-%d}",
        "DATETIME": here.replace(tzinfo=None).isoformat(timespec="seconds"),
        "TIME": f"{here:%H:%M:%S}",
        "TIMEZ": f"{here:%H:%M:%S}",
        "TIMEA": f"{here:%I:%M:%S %p}",
        "TIMEU": f"{there:%H:%M:%S} UTC",
    }


def resolve(*layers: Options) -> Options:
    """Choose each value from the first layer that gives it.

    The order is: explicit option, loaded chat, profile, settings.
    """

    def first(values: Iterable[Any]) -> Any:
        return next((value for value in values if value not in (None, ())), None)

    plain = {name: first(getattr(layer, name) for layer in layers) for name in _PLAIN}
    sampling: dict[str, Any] = {name: first(getattr(layer.sampling, name) for layer in layers) for name in _SAMPLING}
    return Options(**plain, sampling=Sampling(**{**sampling, "stop": sampling["stop"] or ()}))


def from_words(words: Iterable[str]) -> tuple[Options, list[str]]:
    """Read options from ``NAME=VALUE``, and the names of those that ``NAME=`` leaves open again.

    Raises :class:`~alain_magics.errors.UsageError` for a wrong name or value.
    """
    known = Options.names()
    values: dict[str, Any] = {}
    cleared: list[str] = []
    for word in words:
        name, equals, value = word.partition("=")
        name = name.strip().replace("-", "_")
        if not equals:
            raise UsageError(f"{word[:80]!r} sets nothing.", "Write NAME=VALUE, such as temperature=0.7.")
        if name not in known:
            advice = nearest(name, known) or f"Options: {', '.join(known)}."
            raise UsageError(f"There is no option {name[:80]!r}.", advice)
        if value.strip():
            values[name] = [value] if name == "stop" else value.strip()
        else:
            cleared.append(name)
    try:
        options = Options.of(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        what = f"{first['loc'][-1]} cannot be {str(first['input'])[:80]!r}."
        raise UsageError(what, f"{first['msg']}.") from None
    if problem := _out_of_bounds(options.sampling):
        raise UsageError(*problem)
    return options, cleared


def _out_of_bounds(sampling: Sampling) -> tuple[str, str] | None:
    """Return what is wrong with the first value without a meaning, and what is possible."""
    for name, (least, greatest) in BOUNDS.items():
        value = getattr(sampling, name)
        if value is not None and not least <= value <= greatest:
            return f"{name} cannot be {value}.", f"It is between {least} and {greatest}."
    return None


def load(folder: Path, name: str) -> Profile:
    """Read ``NAME.toml`` of a folder; :class:`~alain_magics.errors.ProfileError` where it cannot be used."""
    import tomllib

    if name not in names(folder):
        advice = nearest(name, names(folder)) or f"Write {folder / f'{Path(name).name}.toml'}, {_SHAPE}."
        raise ProfileError(f"There is no profile {name[:80]!r}.", advice)
    path = folder / f"{name}.toml"
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ProfileError(f"{path} cannot be read: {error}.", "Correct the file or move it away.") from error
    return checked(Profile, data, str(path))


def names(folder: Path) -> list[str]:
    """Return the names of the profiles of a folder, which need not exist."""
    return sorted(path.stem for path in folder.glob("*.toml"))


def checked(kind: type[_Model], data: Mapping[str, Any], origin: str) -> _Model:
    """Validate data; :class:`~alain_magics.errors.ProfileError` names the key, and the nearest one that exists."""
    try:
        model = kind.model_validate(data)
    except ValidationError as error:
        found = error.errors(include_url=False)
        first = next((each for each in found if each["type"] in _UNKNOWN), found[0])
    else:
        if isinstance(model, Options) and (problem := _out_of_bounds(model.sampling)):
            raise ProfileError(f"{origin}: sampling.{problem[0]}", problem[1])
        return model
    where = ".".join(str(part) for part in first["loc"])[:80]
    if first["type"] in _UNKNOWN:
        known = _keys(kind, first["loc"][:-1])
        advice = _elsewhere(first["loc"]) or nearest(str(first["loc"][-1]), known) or _UNUSED
        raise ProfileError(f"{origin}: there is no key {where!r}.", advice)
    if first["type"] == "missing":
        raise ProfileError(f"{origin}: {where} is missing.", "Add it.")
    raise ProfileError(f"{origin}: {where} cannot be {str(first['input'])[:80]!r}.", f"{first['msg']}.")


def _elsewhere(place: Sequence[int | str]) -> str:
    """Say where a key belongs that stands in the wrong table; empty for one that is not known at all."""
    match place:
        case [str(name)] if name in _SAMPLING:
            return f"{name} belongs under [sampling]."
        case ["sampling", str(name)] if name in Profile.model_fields:
            return f"{name} belongs at the top, above all tables."
    return ""


def _keys(kind: type[BaseModel], table: Sequence[int | str]) -> Iterable[str]:
    """Return the keys that a table of a profile can have."""
    match table:
        case []:
            return kind.model_fields
        case ["sampling"]:
            return _SAMPLING
        case ["examples", int()]:
            return Example.model_fields
        case _:
            return Said.model_fields


def dumps(profile: Profile) -> str:
    """Write a profile as TOML, from which it is read as it was."""
    import tomlkit

    data = profile.model_dump(exclude_defaults=True)
    if sampling := data.get("sampling"):
        data["sampling"] = {name: value for name, value in sampling.items() if value not in (None, ())}
    for name in ("system", "greeting"):
        text = data.get(name) or ""
        if "\n" in text and "\r" not in text and not text.startswith("\n"):  # which TOML would change
            data[name] = tomlkit.string(text, multiline=True)
    return tomlkit.dumps(data)
