"""Keys of hosted runtimes: one lookup, an opaque type, and no way to another host.

A key is looked for in the environment, in the ``.env`` of the project, and, where the package is installed, in the
system's keyring (service ``alain_magics``, the variable's name as the user).
"""

from __future__ import annotations

import codecs
import io
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NoReturn

from alain_magics.errors import KeyMisused

KEYRING_SERVICE = "alain_magics"

REMEMBERED = 10.0
"""Seconds for which it is remembered what the keyring said: it may take long to answer."""

_remembered: dict[str, tuple[float, str]] = {}


class Key:
    """A secret that shows itself nowhere: not in ``repr``, in a traceback, in a pickle, in JSON or in a prompt.

    ``origin`` says where it was found, ``hosts`` where it may be sent.
    """

    __slots__ = ("_secret", "hosts", "origin")

    def __init__(self, secret: str, origin: str, hosts: Iterable[str]) -> None:
        self._secret = secret
        self.origin = origin
        self.hosts = frozenset(hosts)

    def reveal(self, host: str) -> str:
        """Return the secret for a request to ``host``; :class:`~alain_magics.errors.KeyMisused` for any other."""
        if host not in self.hosts:
            raise KeyMisused(f"The key of {self.origin} may not be sent to {host}.", "Add a runtime for that address.")
        return self._secret

    def __repr__(self) -> str:
        return f"<key from {self.origin}>"

    def __reduce__(self) -> NoReturn:
        raise KeyMisused("A key cannot be stored.", "Keep it in the environment or in the keyring.")

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)


def find_key(
    variables: Iterable[str],
    hosts: Iterable[str],
    *,
    folder: Path | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Key | None:
    """Look for a key under the names of ``variables``, for use at ``hosts`` only; ``folder`` may hold a ``.env``.

    Returns ``None`` where there is none. A keyring that is locked or broken counts as one that has no key.
    """
    names = list(variables)
    for name in names:
        if secret := environ.get(name, "").strip():
            return Key(secret, name, hosts)
    stored = dotenv(folder / ".env") if folder else {}
    for name in names:
        if secret := (stored.get(name) or "").strip():
            return Key(secret, f".env ({name})", hosts)
    for name in names:
        if secret := _from_keyring(name):
            return Key(secret, f"the keyring ({name})", hosts)
    return None


def dotenv(path: Path) -> Mapping[str, str | None]:
    """Return what a ``.env`` file sets; nothing where there is none or it cannot be read."""
    if not path.is_file():
        return {}
    from dotenv import dotenv_values

    try:
        raw = path.read_bytes()
    except OSError:
        return {}
    return dotenv_values(stream=io.StringIO(_decoded(raw)), interpolate=False)


def _decoded(raw: bytes) -> str:
    """Return the text of a file; keys are ASCII, so a comment in an unknown encoding harms none."""
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return raw.decode("utf-16", "replace")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _from_keyring(name: str) -> str:
    """Return a key of the keyring, as it was some seconds ago; empty where there is none."""
    asked, secret = _remembered.get(name, (-REMEMBERED, ""))
    if time.monotonic() - asked >= REMEMBERED:
        secret = _ask_keyring(name)
        _remembered[name] = time.monotonic(), secret
    return secret


def _ask_keyring(name: str) -> str:
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        return ""
    try:
        return (keyring.get_password(KEYRING_SERVICE, name) or "").strip()
    except (KeyringError, OSError, RuntimeError):
        return ""
