"""The user's own addresses: what is kept, what is refused, and that a file keeps what its owner wrote."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alain_magics.errors import AlainError, KeyMisused, SettingsError, UsageError
from alain_magics.runtimes.addresses import Addresses
from alain_magics.runtimes.providers import PROVIDERS


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config" / "alain-runtimes.toml"


def test_without_a_file_there_are_the_presets(file: Path) -> None:
    assert Addresses(file, {}).providers() == PROVIDERS
    assert Addresses(file, {}).own() == []


def test_a_server_of_ones_own_comes_after_the_presets(file: Path) -> None:
    addresses = Addresses(file, {})
    added = addresses.add("work", "https://llm.example.org/v1/", key_variable="WORK_KEY")
    assert list(addresses.providers()) == [*PROVIDERS, "work"]
    assert addresses.providers()["work"] == added
    assert (added.base_url, added.kind, added.key_variables) == ("https://llm.example.org/v1", "openai", ("WORK_KEY",))
    assert (added.auth, added.host, added.local) == ("bearer", "llm.example.org", False)


@pytest.mark.parametrize(
    ("kind", "variable", "auth"),
    [(None, "", "none"), ("openai", "K", "bearer"), ("anthropic", "K", "x-api-key"), ("ollama", "", "none")],
)
def test_the_kind_says_how_a_key_is_sent(file: Path, kind, variable: str, auth: str) -> None:
    assert Addresses(file, {}).add("work", "https://llm.example.org", kind, variable).auth == auth


def test_a_preset_of_this_machine_can_be_moved_and_goes_back(file: Path) -> None:
    addresses = Addresses(file, {})
    moved = addresses.add("lmstudio", "http://127.0.0.1:4321/v1")
    assert moved.capabilities == PROVIDERS["lmstudio"].capabilities
    assert addresses.providers()["lmstudio"].base_url == "http://127.0.0.1:4321/v1"
    assert list(addresses.providers()) == list(PROVIDERS)
    addresses.remove("lmstudio")
    assert addresses.providers() == PROVIDERS


def test_a_preset_without_an_address_gets_one_and_its_query_is_kept(file: Path) -> None:
    added = Addresses(file, {}).add("azure", "https://name.openai.azure.com/openai/v1?api-version=preview")
    assert (added.base_url, added.query) == ("https://name.openai.azure.com/openai/v1", "api-version=preview")
    assert added.auth == "api-key"


@pytest.mark.parametrize("name", ["openai", "anthropic", "local", "scripted"])
def test_no_other_preset_can_be_moved(file: Path, name: str) -> None:
    with pytest.raises(UsageError, match="stays where it is"):
        Addresses(file, {}).add(name, "https://elsewhere.example.org/v1")
    assert not file.exists()


def test_a_preset_keeps_its_kind(file: Path) -> None:
    with pytest.raises(UsageError, match="ollama is of the kind ollama"):
        Addresses(file, {}).add("ollama", "http://127.0.0.1:1", "openai")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "work",
        "localhost:8000",
        "ftp://x/v1",
        "http://",
        "http://x:port",
        "http://x/v1#part",
        "http://a b/",
        "http://[x",
    ],
)
def test_what_is_no_address_is_refused(file: Path, url: str) -> None:
    with pytest.raises(UsageError, match="no address of a server"):
        Addresses(file, {}).add("work", url)


@pytest.mark.parametrize("name", ["", "Work", "a/b", "localhost:8000", "..", "-x", "x" * 41, "new\nline"])
def test_what_can_be_no_name_is_refused(file: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be a runtime's name"):
        Addresses(file, {}).add(name, "http://127.0.0.1:1/v1")


@pytest.mark.parametrize(
    ("url", "variable"),
    [
        ("https://user:hunter2-secret@example.org/v1", ""),
        ("https://example.org/v1", "sk-hunter2-secret"),
        ("https://example.org/v1", "gsk_hunter2_secret"),
        ("http://203.0.114.7/v1", "WORK_KEY"),
        ("http://example.org/v1", "WORK_KEY"),
    ],
)
def test_a_key_in_the_open_is_refused_and_not_repeated(file: Path, url: str, variable: str) -> None:
    with pytest.raises(KeyMisused) as caught:
        Addresses(file, {}).add("work", url, key_variable=variable)
    assert "hunter2" not in str(caught.value)
    assert not file.exists()


@pytest.mark.parametrize(
    "host",
    ["[2600:1901::1]", "[::ffff:8.8.8.8]", "134744072", "0x08080808", "8.8", "example.org.", "8.8.8.8", "010.8.8.8"],
)
def test_a_key_does_not_go_unencrypted_to_an_address_of_the_internet_however_it_is_written(
    file: Path, host: str
) -> None:
    with pytest.raises(KeyMisused, match="unencrypted"):
        Addresses(file, {}).add("work", f"http://{host}:8000/v1", key_variable="WORK_KEY")


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "192.168.1.5", "gpu", "gpu.local", "[::1]", "[fd00::1]", "127.1", "2130706433"]
)
def test_a_key_may_go_to_a_server_nearby(file: Path, host: str) -> None:
    assert Addresses(file, {}).add("work", f"http://{host}:8000/v1", key_variable="WORK_KEY").host == f"{host}:8000"


def test_a_file_keeps_its_comments_and_is_readable_by_its_owner_alone(file: Path) -> None:
    file.parent.mkdir()
    file.write_text('# Mine.\n[lab] # in the cellar\nbase_url = "http://gpu:8000/v1"\n')
    addresses = Addresses(file, {})
    addresses.add("work", "https://llm.example.org/v1")
    addresses.add("work", "https://llm.example.org/v2")
    addresses.remove("work")
    assert file.read_text().rstrip() == '# Mine.\n[lab] # in the cellar\nbase_url = "http://gpu:8000/v1"'
    if os.name == "posix":
        assert file.stat().st_mode & 0o777 == 0o600


def test_what_was_not_added_cannot_be_removed(file: Path) -> None:
    addresses = Addresses(file, {})
    addresses.add("work", "https://llm.example.org/v1")
    with pytest.raises(UsageError, match=r"no runtime 'wrok'\. Did you mean 'work'\?"):
        addresses.remove("wrok")
    with pytest.raises(UsageError, match="presets stay"):
        addresses.remove("openai")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("work = 3", "'work' is no runtime"),
        ("[Work]\nbase_url = 'http://x/v1'", "'Work' is no runtime"),
        ("[work]\nbase_ur = 'http://x/v1'", "there is no 'base_ur'. Did you mean 'base_url'?"),
        ("[work]\nbase_url = 3", "base_url must be text"),
        ("[work]\nkind = 'ollama'", "no address of a server"),
        ("[work]\nbase_url = 'http://x/v1'\nkind = 'local'", "the kind cannot be 'local'"),
        ("[openai]\nbase_url = 'https://elsewhere.example.org/v1'", "OpenAI stays where it is"),
        ("[work]\nbase_url = 'http://example.org/v1'\nkey_variable = 'K'", "unencrypted"),
    ],
)
def test_a_mistake_in_the_file_is_named_with_the_file(file: Path, content: str, says: str) -> None:
    file.parent.mkdir()
    file.write_text(content + '\n[lab]\nbase_url = "http://gpu:8000/v1"')
    addresses = Addresses(file, {})
    (name,) = addresses.problems()
    assert name in ("work", "Work", "openai")
    assert isinstance(problem := addresses.problems()[name], SettingsError)
    assert str(file) in str(problem)
    assert f"{file}: {name}: " in str(problem) or f"{file}: {name!r} is no runtime" in str(problem)
    assert says in str(problem)
    assert name not in addresses.providers()
    assert "lab" in addresses.providers()


def test_a_file_that_cannot_be_read_is_told(file: Path) -> None:
    file.parent.mkdir()
    file.write_text("[work")
    with pytest.raises(SettingsError, match="cannot be read"):
        Addresses(file, {}).providers()


def test_a_byte_order_mark_is_no_mistake(file: Path) -> None:
    file.parent.mkdir()
    file.write_text('[lab]\nbase_url = "http://gpu:8000/v1"\n', encoding="utf-8-sig")
    addresses = Addresses(file, {})
    addresses.add("work", "https://llm.example.org/v1")
    assert addresses.own() == ["lab", "work"]


@pytest.mark.parametrize("query", ["key=abc", "api_key=abc", "apikey", "access_token=x", "a=1&sig=2"])
def test_a_key_in_the_query_is_refused(file: Path, query: str) -> None:
    with pytest.raises(KeyMisused, match="key-variable"):
        Addresses(file, {}).add("work", f"https://llm.example.org/v1?{query}")


def test_what_every_request_appends_is_taken_off_an_address(file: Path) -> None:
    added = Addresses(file, {}).add("work", "https://llm.example.org/v1/chat/completions/")
    assert added.base_url == "https://llm.example.org/v1"


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1:4000", "http://127.0.0.1:4000"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("0.0.0.0:4000", "http://127.0.0.1:4000"),
        ("[::]:4000", "http://127.0.0.1:4000"),
        ("[::1]", "http://[::1]:11434"),
        (":4000", "http://127.0.0.1:4000"),
        ("gpu", "http://gpu:11434"),
        ("http://gpu", "http://gpu:80"),
        ("https://gpu.example.org/ollama", "https://gpu.example.org:443/ollama"),
        ("gpu:many", "http://127.0.0.1:11434"),
        ("", "http://127.0.0.1:11434"),
    ],
)
def test_ollama_is_where_its_own_variable_says(file: Path, host: str, url: str) -> None:
    assert Addresses(file, {"OLLAMA_HOST": host}).providers()["ollama"].base_url == url


def test_the_users_file_outranks_the_variable_of_ollama(file: Path) -> None:
    addresses = Addresses(file, {"OLLAMA_HOST": "gpu"})
    addresses.add("ollama", "http://127.0.0.1:5000")
    assert addresses.providers()["ollama"].base_url == "http://127.0.0.1:5000"


@given(
    st.text(max_size=40),
    st.text(st.sampled_from("htps:/@[]#? .x1") | st.characters(), max_size=40),
    st.text(max_size=10),
)
def test_what_is_accepted_can_be_read_again(
    tmp_path_factory: pytest.TempPathFactory, name: str, url: str, key: str
) -> None:
    addresses = Addresses(tmp_path_factory.mktemp("own") / "runtimes.toml", {})
    try:
        added = addresses.add(name, url, key_variable=key)
    except AlainError:
        assert addresses.own() == []
    else:
        assert addresses.providers()[name] == added
