"""Keys: found in three places, shown in none, sent to their own host only."""

from __future__ import annotations

import copy
import json
import pickle
import sys
import traceback
from pathlib import Path

import pytest

from alain_magics import keys
from alain_magics.errors import KeyMisused
from alain_magics.keys import KEYRING_SERVICE, Key, find_key

SECRET = "sk-canary-0123456789abcdef"
HOSTS = ["api.example.org"]


@pytest.fixture(autouse=True)
def no_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    """The keyring of whoever runs the tests is never looked at."""
    monkeypatch.setitem(sys.modules, "keyring", None)
    keys._remembered.clear()


def test_the_environment_comes_first(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("OTHER=from-file\n")
    key = find_key(["MISSING", "OTHER"], HOSTS, folder=tmp_path, environ={"OTHER": f" {SECRET}\n"})
    assert key is not None
    assert (key.reveal("api.example.org"), key.origin) == (SECRET, "OTHER")


def test_the_projects_env_file_comes_next(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f'# a comment\nexport API_KEY="{SECRET}"\nURL=${{API_KEY}}\n')
    key = find_key(["API_KEY"], HOSTS, folder=tmp_path, environ={})
    assert key is not None
    assert key.reveal("api.example.org") == SECRET
    assert key.origin == ".env (API_KEY)"


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"API_KEY", b"=", b"API_KEY=\n"])
def test_a_broken_env_file_holds_no_key(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ".env").write_bytes(content)
    assert find_key(["API_KEY"], HOSTS, folder=tmp_path, environ={}) is None


def test_the_keyring_comes_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "keyring")
    keyring = pytest.importorskip("keyring", reason="reason: keyring is not installed")
    from keyring.backend import KeyringBackend

    class Memory(KeyringBackend):
        priority = 1.0  # type: ignore[assignment]

        def get_password(self, service: str, username: str) -> str | None:
            return SECRET if (service, username) == (KEYRING_SERVICE, "API_KEY") else None

        def set_password(self, service: str, username: str, password: str) -> None:
            raise NotImplementedError

    before = keyring.get_keyring()
    keyring.set_keyring(Memory())
    try:
        key = find_key(["OTHER_KEY", "API_KEY"], HOSTS, environ={})
    finally:
        keyring.set_keyring(before)
    assert key is not None
    assert key.reveal("api.example.org") == SECRET


def test_a_locked_keyring_holds_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "keyring")
    keyring = pytest.importorskip("keyring", reason="reason: keyring is not installed")
    from keyring.backends import fail

    before = keyring.get_keyring()
    keyring.set_keyring(fail.Keyring())
    try:
        assert find_key(["API_KEY"], HOSTS, environ={}) is None
    finally:
        keyring.set_keyring(before)


def test_a_key_shows_itself_nowhere() -> None:
    key = Key(SECRET, "API_KEY", HOSTS)
    shown = [repr(key), str(key), f"{key}", f"{key!s:>40}", "{} {!r}".format(key, key)]  # noqa: UP032
    with pytest.raises(TypeError) as raised:
        json.dumps({"key": key})
    shown.append(str(raised.value))
    for copied in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(KeyMisused) as misused:
            copied(key)
        shown.append(str(misused.value))
    assert not hasattr(key, "__dict__")
    assert [text for text in shown if SECRET[:6] in text] == []


def test_a_key_goes_to_its_own_host_only() -> None:
    key = Key(SECRET, "API_KEY", HOSTS)
    with pytest.raises(KeyMisused, match="may not be sent to evil") as raised:
        key.reveal("evil.example")
    assert SECRET not in "".join(
        traceback.TracebackException.from_exception(raised.value, capture_locals=True).format()
    )


def test_without_the_keyring_package_there_is_no_key() -> None:
    assert find_key(["API_KEY"], HOSTS, environ={}) is None


@pytest.mark.parametrize(
    "content",
    [
        f"# für mich\nAPI_KEY={SECRET}\n".encode("latin-1"),
        f"API_KEY={SECRET}\n".encode("utf-8-sig"),
        f"API_KEY={SECRET}\n".encode("utf-16"),
    ],
    ids=["latin-1", "byte-order-mark", "utf-16"],
)
def test_an_env_file_counts_whatever_its_encoding(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ".env").write_bytes(content)
    key = find_key(["API_KEY"], HOSTS, folder=tmp_path, environ={})
    assert key is not None
    assert key.reveal("api.example.org") == SECRET


def test_the_keyring_is_asked_once_in_some_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(keys, "_ask_keyring", lambda name: asked.append(name) or "")
    for _ in range(3):
        assert find_key(["API_KEY"], HOSTS, environ={}) is None
    assert asked == ["API_KEY"]
    monkeypatch.setattr(keys, "REMEMBERED", 0.0)
    find_key(["API_KEY"], HOSTS, environ={})
    assert asked == ["API_KEY", "API_KEY"]
