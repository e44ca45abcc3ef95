"""Every setting once, and where its value comes from.

A value is looked for, in this order, in: the option of the call, ``%config AlainMagics.x``, the environment
(``ALAIN_X``), the project's ``alain.toml``, the user's ``alain.toml``, the default. This module stays light, since
``%config`` needs it as soon as the extension is loaded.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from alain_magics.errors import SettingsError

Value = str | int | float
LoopMode = Literal["off", "cheap", "full"]

PROJECT_FILE = "alain.toml"

configured: dict[str, Value] = {}
"""What ``%config AlainMagics.x = …`` set in this process."""

_STRICTNESS = ("limited", "auto", "isolated")


def _setting(
    default: Value,
    description: str,
    *,
    choices: tuple[str, ...] = (),
    bounds: tuple[float, float] | None = None,
    project: bool = True,
) -> Any:
    """Describe a setting; ``project`` says whether a project's file may give it."""
    metadata = {"description": description, "choices": choices, "bounds": bounds, "project": project}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Settings:
    """The values in force for one call; ``origins`` names where each comes from."""

    isolation: Literal["auto", "isolated", "limited"] = _setting(
        "auto",
        "How the code of lessons is kept apart: isolated (no network, no files of yours), limited (time and memory "
        "only), or auto (isolated where this machine can do it).",
        choices=("auto", "isolated", "limited"),
    )
    item_seconds: float = _setting(1.0, "Seconds that one program of a lesson may run.", bounds=(0.1, 600))
    import_seconds: float = _setting(10.0, "Seconds that importing a module may take.", bounds=(0.1, 600))
    item_memory_mb: int = _setting(128, "MiB of memory that one program of a lesson may use.", bounds=(64, 65536))
    difficulty: Literal["beginner", "intermediate", "advanced"] = _setting(
        "beginner",
        "For whom lessons are written.",
        choices=("beginner", "intermediate", "advanced"),
    )
    model: str = _setting(
        "",
        "The model to ask, as runtime/model; empty: of the preferred runtime the first that is loaded, or the first.",
    )
    loop_detection: LoopMode = _setting(
        "cheap",
        "Whether an answer that repeats itself endlessly is stopped: off, cheap (the tail), full (whole lines too).",
        choices=("off", "cheap", "full"),
    )
    connect_seconds: float = _setting(5.0, "Seconds to wait for a connection to a runtime.", bounds=(0.1, 600))
    first_token_seconds: float = _setting(60.0, "Seconds to wait for a model's first token.", bounds=(0.1, 3600))
    silence_seconds: float = _setting(60.0, "Seconds that a model may be silent within an answer.", bounds=(0.1, 3600))
    models_dir: str = _setting("", "A folder of GGUF files to list beside those of the Hub's cache.", project=False)
    replay: str = _setting(
        "", "A folder of recorded turns, from the project on, that answers in place of models; empty: ask the models."
    )
    user: str = _setting("", "Whose answers are recorded; empty: the name you are logged in with.", project=False)
    database_url: str = _setting(
        "", "Database for answers and jobs, as an SQLAlchemy URL; empty: a file in the data folder.", project=False
    )
    origins: Mapping[str, str] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class Setting:
    """The description of one setting."""

    name: str
    default: Value
    description: str
    choices: tuple[str, ...]
    bounds: tuple[float, float] | None
    project: bool

    def parse(self, raw: object) -> Value:
        """Return the value that ``raw`` (from a file, the environment or the user) stands for, or raise ValueError."""
        kind = type(self.default)
        if kind is str:
            if not isinstance(raw, str):
                raise ValueError("must be text")
            if self.choices and raw not in self.choices:
                raise ValueError(f"must be one of {', '.join(self.choices)}")
            return raw
        if isinstance(raw, bool) or not isinstance(raw, str | int | float):
            raise ValueError("must be a number")
        try:
            number = float(raw)
        except ValueError:
            raise ValueError("must be a number") from None
        if self.bounds and not self.bounds[0] <= number <= self.bounds[1]:
            raise ValueError(f"must be between {self.bounds[0]:g} and {self.bounds[1]:g}")
        if kind is int and not number.is_integer():
            raise ValueError("must be a whole number")
        return kind(number)


SETTINGS: dict[str, Setting] = {
    entry.name: Setting(entry.name, getattr(Settings, entry.name), **entry.metadata)
    for entry in fields(Settings)
    if entry.name != "origins"
}


def nearest(name: str, names: Iterable[str]) -> str:
    """Ask whether the nearest of ``names`` was meant; empty where none is near."""
    from difflib import get_close_matches

    close = get_close_matches(name, list(names), n=1)
    return f"Did you mean {close[0]!r}?" if close else ""


def user_file() -> Path:
    """Return the place of the user's own settings, whether the file exists or not."""
    from jupyter_core.paths import jupyter_config_dir

    return Path(jupyter_config_dir()) / PROJECT_FILE


def resolve(
    options: Mapping[str, Any] | None = None,
    *,
    project: Path | None = None,
    user: Path | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Settings:
    """Find every setting's value for one call.

    ``options`` are those of the call (``None`` values count as not given), ``project`` and ``user`` the settings
    files. Raises :class:`~alain_magics.errors.SettingsError` for a wrong name or value anywhere.
    """
    values: dict[str, Any] = {}
    origins = dict.fromkeys(SETTINGS, "default")
    for origin, given in _layers(options or {}, project, user, environ):
        for name, raw in given.items():
            value = _checked(name, raw, origin)
            if project and origin == str(project):
                _allow(name, value, values, project)
            values[name] = value
            origins[name] = origin
    return Settings(**values, origins=origins)


def _layers(
    options: Mapping[str, Any], project: Path | None, user: Path | None, environ: Mapping[str, str]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the places that may give values, the weakest first."""
    for path in (user, project):
        if path:
            yield str(path), _read(path)
    for name in SETTINGS:
        variable = f"ALAIN_{name.upper()}"
        if environ.get(variable):
            yield variable, {name: environ[variable]}
    yield "%config AlainMagics", configured
    yield "option", {name: value for name, value in options.items() if value is not None}


def _read(path: Path) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path} cannot be read: {error}.", "Correct the file or move it away.") from error


def _checked(name: str, raw: object, origin: str) -> Value:
    if name not in SETTINGS:
        advice = nearest(name, SETTINGS) or f"The settings are {', '.join(SETTINGS)}."
        raise SettingsError(f"{origin}: there is no setting {name!r}.", advice)
    setting = SETTINGS[name]
    try:
        return setting.parse(raw)
    except ValueError as error:
        what = f"{origin}: {name} = {raw!r} is not possible."
        raise SettingsError(what, f"It {error}. {nearest(str(raw), setting.choices)}".rstrip()) from None


def _allow(name: str, value: Value, weaker: Mapping[str, Any], project: Path) -> None:
    """Let a project's file, which may come from a stranger, change only what is harmless."""
    advice = f"Remove the line; you can give it yourself in {user_file()} or as ALAIN_{name.upper()}."
    if not SETTINGS[name].project:
        raise SettingsError(f"{project}: {name} cannot be set by a project.", advice)
    if name == "isolation":
        yours = weaker.get(name, SETTINGS[name].default)
        if _STRICTNESS.index(str(value)) < _STRICTNESS.index(yours):
            what = f"{project}: a project may only make isolation stricter than your {yours!r}, not {value!r}."
            raise SettingsError(what, advice)
    if name == "replay" and not _inside(project.parent, str(value)):
        raise SettingsError(f"{project}: replay = {value!r} leads out of the project.", advice)


def _inside(folder: Path, name: str) -> bool:
    """Whether a path that a file of the folder names leads to a place in that folder, links followed."""
    try:
        return (folder / Path(name).expanduser()).resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError):
        return False
