"""Words become requests; a mistake names what was nearest."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alain_magics.commands.arguments import COMMON, Help, Invocation, build_parser, options, parse, split
from alain_magics.commands.registry import find
from alain_magics.errors import UsageError

DEFAULTS = {
    "source": "x", "more": [], "level": None, "out_file": "", "tag": [], "seconds": 1.0, "force": False, "shuffle": True
}  # fmt: skip


def read(line: str) -> dict[str, object]:
    asked = parse(split(line), "alain")
    assert isinstance(asked, Invocation)
    return asked.request.model_dump()


@pytest.mark.parametrize(
    ("line", "differs"),
    [
        ("everything x", {}),
        ("everything x y z", {"more": ["y", "z"]}),
        ("everything x --level low", {"level": "low"}),
        ("everything -l high x", {"level": "high"}),
        ("everything x --out-file=a.md", {"out_file": "a.md"}),
        ("everything x -o 'a b'", {"out_file": "a b"}),
        ("everything x --tag red --tag green", {"tag": ["red", "green"]}),
        ("everything x --seconds 2.5", {"seconds": 2.5}),
        ("everything x --force --no-shuffle", {"force": True, "shuffle": False}),
        ("everything --force -- --odd", {"force": True, "source": "--odd"}),
        ("everything --force -- --help", {"force": True, "source": "--help"}),
    ],
)
def test_every_kind_of_field_is_read(plugin, line: str, differs: dict[str, object]):
    assert read(line) == {**DEFAULTS, **differs}


@pytest.mark.parametrize(
    ("line", "what", "advice"),
    [
        ("everything", "required: SOURCE", "alain everything --help"),
        ("everything x --levle low", "no option --levle", "Did you mean '--level'?"),
        ("everything x --lev low", "no option --lev", "Did you mean '--level'?"),
        ("everything x --zzz", "no option --zzz", "See alain everything --help."),
        ("everything x --level lowe", "--level cannot be 'lowe'", "one of low, high. Did you mean 'low'?"),
        ("everything x --tag gren", "--tag cannot be 'gren'", "Did you mean 'green'?"),
        ("everything x --seconds soon", "--seconds cannot be 'soon'", "valid number"),
        ("everything x --seconds 0", "--seconds cannot be '0'", "greater than 0"),
        ("everything x -o", "-o/--out-file: expected one argument", "--help"),
        ("count x", "TO cannot be 'x'", "valid integer"),
        ("count 1 2", "does not expect '2'", "See alain count --help."),
        ("everything 'x", "No closing quotation", "Close the quotation mark"),
        ("counts 1", "no verb 'counts'", "Did you mean 'count'?"),
    ],
)
def test_a_mistake_says_what_is_wrong_and_what_was_meant(plugin, line: str, what: str, advice: str):
    with pytest.raises(UsageError) as caught:
        read(line)
    assert what in caught.value.what
    assert advice in caught.value.advice


def test_every_verb_takes_the_common_flags(plugin):
    asked = parse(["count", "--json", "--debug"], "alain")
    assert (asked.json, asked.debug, asked.consent) == (True, True, frozenset())
    assert parse(["count", "--yes"], "alain").consent == {"execute"}


@pytest.mark.parametrize("words", [["everything", "--help"], ["everything", "x", "--level", "nonsense", "-h"]])
def test_help_comes_before_any_mistake_and_describes_every_option(plugin, words: list[str]):
    asked = parse(words, "%alain")
    assert isinstance(asked, Help)
    for option in options(find("everything")):
        assert option.info.description in asked.text
        assert all(spelling in asked.text for spelling in option.spellings)
    assert "{low,high}" in asked.text
    assert all(f"--{name}" in asked.text for name in (*COMMON, "help"))


def test_help_ends_with_examples_as_they_are_typed(plugin):
    assert parse(["count", "--help"], "%alain").text.endswith("examples:\n  %alain count 3\n")


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_without_a_verb_the_verbs_are_listed(plugin, words: list[str]):
    text = parse(words, "%alain").text
    assert "  count       count to a number\n" in text
    assert "  broken      (not available: The verb 'broken'" in text
    assert text.endswith("%alain VERB --help says more.")


@given(st.lists(st.text()))
def test_a_line_is_split_as_a_shell_does(words: list[str]):
    assert split(shlex.join(words)) == words


values = st.fixed_dictionaries(
    {},
    optional={
        "level": st.sampled_from(["low", "high"]),
        "out_file": st.text().filter(lambda text: not text.startswith("-")),
        "tag": st.lists(st.sampled_from(["red", "green"]), min_size=1),
        "seconds": st.floats(0.001, 1e9),
        "force": st.just(True),
        "shuffle": st.just(False),
    },
)


@pytest.mark.usefixtures("plugin")
class TestAnyRequest:
    """Any request can be written as a line and is read back the same."""

    @given(source=st.text(), given_=values)
    def test_round_trip(self, source: str, given_: dict[str, object]):
        words = ["everything"]
        for name, value in given_.items():
            spelling = f"--{name.replace('_', '-')}"
            if name == "shuffle":
                words.append("--no-shuffle")
            elif value is True:
                words.append(spelling)
            else:
                for each in value if isinstance(value, list) else [value]:
                    words += [spelling, str(each)]
        assert read(shlex.join([*words, "--", source])) == {**DEFAULTS, "source": source, **given_}


def test_parsers_of_all_verbs_can_be_built():
    for verb in ("generate", "progress"):
        assert build_parser(find(verb), "alain").prog == f"alain {verb}"
