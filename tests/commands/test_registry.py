"""Verbs are found by name, imported late, and may come from other packages."""

from __future__ import annotations

import subprocess
import sys

import pytest

from alain_magics.commands.base import Command
from alain_magics.commands.registry import BUILT_IN, find, verbs
from alain_magics.errors import UsageError


def test_the_verbs_of_this_package_come_first():
    assert verbs()[:3] == ["generate", "verify", "progress"]


@pytest.mark.parametrize("verb", BUILT_IN)
def test_every_verb_has_its_command(verb: str):
    command = find(verb)
    assert isinstance(command, Command)
    assert command.name == verb
    assert command.summary
    assert all(example.startswith(verb) for example in command.examples)


def test_an_unknown_verb_gets_the_nearest_or_all():
    with pytest.raises(UsageError, match=r"no verb 'generat'\. Did you mean 'generate'\?"):
        find("generat")
    with pytest.raises(UsageError, match="Verbs: generate, verify, progress"):
        find("xyz")


def test_listing_verbs_imports_none():
    script = "import sys; from alain_magics.commands.registry import verbs; verbs(); print(*sys.modules)"
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(answer.stdout.split())
    assert {"pydantic", "alain_magics.commands.generate", "alain_magics.commands.progress"} & loaded == set()


def test_another_package_brings_verbs(plugin):
    assert {"count", "echo"} <= set(verbs())
    assert find("count").summary == "count to a number"


def test_another_package_cannot_replace_a_verb(plugin):
    assert verbs().count("generate") == 1
    assert find("generate").run.__module__ == "alain_magics.commands.generate"


@pytest.mark.parametrize(
    ("verb", "reason"), [("broken", "ModuleNotFoundError"), ("misnamed", "is not the command 'misnamed'")]
)
def test_a_verb_of_another_package_that_does_not_load_is_named(plugin, verb: str, reason: str):
    with pytest.raises(UsageError, match=reason) as caught:
        find(verb)
    assert "alain_plugin" in caught.value.what
    assert "the package that it comes from" in caught.value.advice
