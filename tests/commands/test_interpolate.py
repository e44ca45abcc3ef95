"""Names of variables in a cell become their values; nothing else changes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from alain_magics.commands.interpolate import interpolate
from alain_magics.errors import KeyMisused
from alain_magics.keys import Key


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{name}", "Ada"),
        ("Hello {name}, {name}!", "Hello Ada, Ada!"),
        ("{{name}}", "{name}"),
        ('{"key": {name}}', '{"key": Ada}'),
        ("{{name}+1}", "{Ada+1}"),
        ("{größe}", "7"),
        ("{other}", "{other}"),
        ("{{other}}", "{{other}}"),
        ("{ name }", "{ name }"),
        ("{name.upper()}", "{name.upper()}"),
        ("{name!r} {name:>9} {0} {}", "{name!r} {name:>9} {0} {}"),
        (r"\frac{a}{b} \sqrt{{x}}", r"\frac{a}{b} \sqrt{{x}}"),
        ("{", "{"),
        ("}{", "}{"),
        ("{% if name %}{{ name }}{% endif %}", "{% if name %}{{ name }}{% endif %}"),
        ("${name}", "$Ada"),
        (r"\frac{name}{name} x_{name} x^{name} \sqrt[n]{name}", r"\frac{name}{name} x_{name} x^{name} \sqrt[n]{name}"),
        (r"\frac{\sqrt{2}}{name} \text{about {name}}", r"\frac{\sqrt{2}}{name} \text{about {name}}"),
        (r"\alpha {name}, \\{name}", r"\alpha Ada, \\Ada"),
        ("{name}{name} file{name}.txt", "AdaAda fileAda.txt"),
    ],
)
def test_exactly_the_names_of_variables_are_replaced(text: str, expected: str):
    assert interpolate(text, {"name": "Ada", "größe": 7}).text == expected


def test_a_value_is_not_looked_at_again():
    assert interpolate("{a}", {"a": "{b} {{b}}", "b": "secret"}).text == "{b} {{b}}"


def test_it_says_what_each_variable_put_in():
    result = interpolate("{a} {b} {a} {{c}}", {"a": "xyz", "b": 12, "c": "unused"})
    assert result.sent == {"a": 6, "b": 2}


braces = st.text(st.sampled_from("{}ab ") | st.characters(exclude_categories=["Cs"], exclude_characters="\\_^"))


@given(braces)
def test_without_variables_every_text_stays_byte_for_byte(text: str):
    result = interpolate(text, {})
    assert (result.text, result.sent) == (text, {})


@given(st.lists(braces.filter(lambda text: "a" not in text and "b" not in text) | st.just(None)))
def test_text_between_names_stays_byte_for_byte(parts: list[str | None]):
    text = "".join("§{a}§" if part is None else part for part in parts)
    expected = "".join("§{b}§" if part is None else part for part in parts)
    assert interpolate(text, {"a": "{b}"}).text == expected


def test_a_key_never_becomes_part_of_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "sk-canary-0123456789")
    secrets = {"key": Key("sk-1", "X", []), "hidden": SecretStr("abc"), "copied": "use sk-canary-0123456789 please"}
    for name in secrets:
        with pytest.raises(KeyMisused, match=name) as raised:
            interpolate(f"Tell me about {{{name}}}", secrets)
        assert "canary" not in str(raised.value)


def test_a_key_of_the_projects_file_never_becomes_part_of_the_text(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("OTHER_API_KEY=sk-canary-0123456789\nNAME=just some long words\n")
    with pytest.raises(KeyMisused):
        interpolate("{x}", {"x": "my sk-canary-0123456789"}, tmp_path)
    assert interpolate("{x}", {"x": "just some long words"}, tmp_path).text == "just some long words"


def test_a_value_like_a_short_word_of_the_environment_is_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USE_TOKEN", "true")
    assert interpolate("{x}", {"x": "true"}).text == "true"
