"""The addresses that a user has given: runtimes of their own, and other places for presets of this machine.

They lie in one TOML file of the user, a table for each::

    [work]
    base_url = "https://llm.example.org/v1"
    kind = "openai"
    key_variable = "WORK_API_KEY"

``OLLAMA_HOST`` counts too, where the file does not say where Ollama is.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import SplitResult, parse_qsl, urlsplit

from alain_magics.errors import KeyMisused, SettingsError, UsageError
from alain_magics.runtimes.providers import PROVIDERS, Provider
from alain_magics.settings import nearest
from alain_magics.store.files import atomic_write

Kind = Literal["openai", "anthropic", "ollama"]

KINDS: tuple[Kind, ...] = ("openai", "anthropic", "ollama")
"""The protocols that a server of one's own may speak."""

_FIELDS = ("base_url", "kind", "key_variable")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
_SECRET = re.compile(r"key|token|secret|passw|auth|^sig", re.IGNORECASE)

REQUEST_PATH = "/chat/completions"
"""What every request appends by itself: it is taken off an address."""


class Addresses:
    """The user's file of runtimes, and the environment."""

    def __init__(self, file: Path, environ: Mapping[str, str]) -> None:
        self._file = file
        self._environ = environ

    def providers(self) -> dict[str, Provider]:
        """Return the presets, where the user wants them, and after them what the user added.

        A name whose entry is wrong is left out: see :meth:`problems`.
        """
        found = dict(PROVIDERS)
        if host := self._environ.get("OLLAMA_HOST", "").strip():
            with suppress(
                UsageError, KeyMisused
            ):  # it also tells a server where to listen, in ways that are no address
                found["ollama"] = found["ollama"].at(_checked(_client_url(host)).geturl())
        for name, entry in self._read().items():
            try:
                found[name] = self._provider(name, entry)
            except SettingsError:
                found.pop(name, None)  # the user wants a preset elsewhere than where it is by itself
        return found

    def problems(self) -> dict[str, SettingsError]:
        """Return what is wrong with entries of the file, by their names."""
        found = {}
        for name, entry in self._read().items():
            try:
                self._provider(name, entry)
            except SettingsError as error:
                found[name] = error
        return found

    def own(self) -> list[str]:
        """Return the names that the user's file has."""
        return list(self._read())

    def add(self, name: str, base_url: str, kind: Kind | None = None, key_variable: str = "") -> Provider:
        """Keep an address under a name, and return what it stands for.

        Raises :class:`~alain_magics.errors.UsageError` for what cannot be one, and
        :class:`~alain_magics.errors.KeyMisused` where a key would travel in the open.
        """
        if not _NAME.fullmatch(name):
            raise UsageError(f"{name!r} cannot be a runtime's name.", "Take lower-case letters, digits, . _ and -.")
        entry = {"base_url": _checked(base_url).geturl()}
        if kind:
            entry["kind"] = kind
        if key_variable:
            entry["key_variable"] = key_variable
        provider = _provider(name, entry)
        document = self._document()
        document[name] = entry
        self._write(document)
        return provider

    def remove(self, name: str) -> None:
        """Forget a name; a preset goes back to its own address."""
        document = self._document()
        if name not in document:
            advice = nearest(name, document) or "alain runtimes lists them; presets stay."
            raise UsageError(f"You have added no runtime {name!r}.", advice)
        del document[name]
        self._write(document)

    def _provider(self, name: str, entry: Any) -> Provider:
        if not _NAME.fullmatch(name) or not isinstance(entry, dict):
            raise SettingsError(f"{self._file}: {name!r} is no runtime.", 'Write a table: [name] base_url = "http://…"')
        try:
            return _provider(name, entry)
        except (UsageError, KeyMisused) as error:
            named = error.what if error.what.startswith(name) else f"{name}: {error.what}"
            raise SettingsError(f"{self._file}: {named}", error.advice) from None

    def _read(self) -> dict[str, Any]:
        try:
            return tomllib.loads(self._file.read_text(encoding="utf-8-sig"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise SettingsError(f"{self._file} cannot be read: {error}.", "Correct it or move it away.") from error

    def _document(self) -> Any:
        import tomlkit

        self._read()  # says what is wrong with it
        try:
            return tomlkit.parse(self._file.read_text(encoding="utf-8-sig"))
        except FileNotFoundError:
            return tomlkit.document()

    def _write(self, document: Any) -> None:
        import tomlkit

        self._file.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(self._file, tomlkit.dumps(document), force=True, private=True)


def _provider(name: str, entry: Mapping[str, Any]) -> Provider:
    """Return what an entry of the file stands for."""
    for field, value in entry.items():
        if field not in _FIELDS:
            raise UsageError(
                f"{name}: there is no {field!r}.", nearest(field, _FIELDS) or f"Give {', '.join(_FIELDS)}."
            )
        if not isinstance(value, str):
            raise UsageError(f"{name}: {field} must be text.")
    kind, variable = entry.get("kind"), entry.get("key_variable", "")
    if kind is not None and kind not in KINDS:
        raise UsageError(f"{name}: the kind cannot be {kind!r}.", f"It is one of {', '.join(KINDS)}.")
    if variable and not _VARIABLE.fullmatch(variable):
        advice = "Give a name in capitals, such as WORK_API_KEY, and put the key into that variable."
        raise KeyMisused(f"{name}: that is no name of a variable.", advice)
    address = _checked(entry.get("base_url", ""))
    provider = PROVIDERS.get(name)
    if provider is None:
        auth: Literal["none", "x-api-key", "bearer"] = "bearer"
        if not variable:
            auth = "none"
        elif kind == "anthropic":
            auth = "x-api-key"
        provider = Provider(name, name, kind or "openai", auth=auth)
    elif (provider.base_url and not provider.local) or provider.kind in ("local", "scripted"):
        raise UsageError(f"{provider.title} stays where it is.", "Add the address under another name.")
    elif kind not in (None, provider.kind):
        raise UsageError(f"{name} is of the kind {provider.kind}.", "Add the address under another name.")
    if variable:
        provider = replace(provider, key_variables=(variable,))
    if provider.key_variables and exposed(address.geturl()):
        raise KeyMisused(f"{name}: the key would go to {address.hostname} unencrypted.", "Use its https:// address.")
    return provider.at(address.geturl())


def _checked(url: str) -> SplitResult:
    """Return the parts of an address, or say what is wrong with it (without repeating it: it may hold a key)."""
    try:
        parts = urlsplit(url.strip())
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    if parts.username is not None or parts.password is not None:
        raise KeyMisused("An address may hold no key or password.", "Name the key's variable: --key-variable NAME.")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.fragment or re.search(r"\s", url.strip()):
        raise UsageError("That is no address of a server.", "Give one such as http://localhost:8000/v1.")
    if any(_SECRET.search(name) for name, _ in parse_qsl(parts.query, keep_blank_values=True)):
        raise KeyMisused("An address may hold no key.", "Name the key's variable: --key-variable NAME.")
    return parts._replace(path=parts.path.rstrip("/").removesuffix(REQUEST_PATH))


def exposed(url: str) -> bool:
    """Whether what is sent to an address can be read on its way through the internet."""
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    if parts.scheme == "https":
        return False
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        try:
            address = ipaddress.ip_address(socket.inet_aton(host))  # 134744072, 0x8080808, 8.8: all are 8.8.x.8
        except (OSError, ValueError):
            return "." in host and not host.endswith(".local")
    return not (getattr(address, "ipv4_mapped", None) or address).is_private


def _client_url(host: str) -> str:
    """Return the address for asking a server that ``OLLAMA_HOST`` tells to listen somewhere."""
    parts = urlsplit(host if "://" in host else f"http://{host}")
    name = parts.hostname or "127.0.0.1"
    if name in ("0.0.0.0", "::"):  # noqa: S104  # that is every address of this machine
        name = "127.0.0.1"
    with suppress(ValueError):
        port = parts.port or (11434 if "://" not in host else {"http": 80, "https": 443}.get(parts.scheme, 11434))
        return f"{parts.scheme}://{f'[{name}]' if ':' in name else name}:{port}{parts.path}"
    return ""
