"""The presets: what is known of each runtime, as data."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields
from urllib.parse import urlsplit

import pytest

from alain_magics.runtimes.base import Sampling
from alain_magics.runtimes.providers import PROVIDERS, Provider

HOSTED = [each for each in PROVIDERS.values() if not each.local]
LOCAL = [each for each in PROVIDERS.values() if each.local and each.name != "scripted"]


def test_every_runtime_that_is_promised_has_a_preset() -> None:
    promised = "openai lmstudio llamacpp vllm together poe openrouter azure anthropic ollama local scripted".split()
    assert set(promised) <= set(PROVIDERS)
    assert all(name == each.name for name, each in PROVIDERS.items())


def test_servers_of_this_machine_are_preferred_in_a_fixed_order() -> None:
    assert [each.name for each in LOCAL] == ["lmstudio", "ollama", "llamacpp", "vllm", "mlx", "local"]
    assert list(PROVIDERS)[: len(LOCAL)] == [each.name for each in LOCAL]


@pytest.mark.parametrize("provider", HOSTED, ids=lambda each: each.name)
def test_a_hosted_runtime_takes_a_key_over_https_only(provider: Provider) -> None:
    assert provider.key_variables
    assert provider.auth != "none"
    assert provider.name == "azure" or urlsplit(provider.base_url).scheme == "https"
    assert not provider.base_url.endswith("/")


@pytest.mark.parametrize("provider", LOCAL, ids=lambda each: each.name)
def test_a_local_runtime_tells_the_two_steps_to_start_a_model(provider: Provider) -> None:
    assert all(provider.steps)
    assert len(set(provider.steps)) == 2


@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=lambda each: each.name)
def test_sampling_names_are_those_of_the_contract(provider: Provider) -> None:
    assert set(provider.capabilities.sampling) <= {each.name for each in fields(Sampling)}
    assert len(set(provider.capabilities.sampling.values())) == len(provider.capabilities.sampling)


def test_keys_of_different_providers_stand_under_different_names() -> None:
    names = [name for each in PROVIDERS.values() for name in each.key_variables]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("address", "base_url", "query", "local"),
    [
        ("http://127.0.0.1:9/v1/", "http://127.0.0.1:9/v1", "", True),
        ("http://[::1]:9", "http://[::1]:9", "", True),
        (" https://a.test/openai/deployments/d?api-version=2024-10-21 ", "https://a.test/openai/deployments/d",
         "api-version=2024-10-21", False),
    ],
)  # fmt: skip
def test_a_preset_moves_to_another_address(address: str, base_url: str, query: str, local: bool) -> None:
    moved = PROVIDERS["azure"].at(address)
    assert (moved.base_url, moved.query, moved.local) == (base_url, query, local)
    assert moved.capabilities == PROVIDERS["azure"].capabilities
    assert not PROVIDERS["azure"].base_url


def test_a_preset_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        PROVIDERS["openai"].base_url = "http://elsewhere.test"  # type: ignore[misc]
