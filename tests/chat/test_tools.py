"""Functions of the user's as tools: their schema, and calls with what a model wrote."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from alain_magics.chat.tools import FunctionTool
from alain_magics.errors import InvalidOutput, UsageError
from alain_magics.runtimes.base import ToolCall


def weather(city: str, unit: Literal["C", "F"] = "C", days: int = 1) -> dict[str, Any]:
    """Say what the weather will be."""
    return {"city": city, "unit": unit, "days": days}


def test_the_schema_comes_from_signature_and_docstring() -> None:
    tool = FunctionTool("weather", weather).tool
    assert (tool.name, tool.description) == ("weather", "Say what the weather will be.")
    properties = tool.parameters["properties"]
    assert properties["city"]["type"] == "string"
    assert properties["unit"]["enum"] == ["C", "F"]
    assert properties["days"]["default"] == 1
    assert tool.parameters["required"] == ["city"]


def test_a_call_is_validated_and_made() -> None:
    tool = FunctionTool("weather", weather)
    arguments = tool.prepared(ToolCall("1", "weather", '{"city": "Lima", "days": "3"}'))
    assert arguments == {"city": "Lima", "days": 3}
    assert tool.call(arguments) == '{"city": "Lima", "unit": "C", "days": 3}'


def test_text_goes_back_as_it_is_and_other_things_as_their_text() -> None:
    assert FunctionTool("f", lambda: "äöü {").call({}) == "äöü {"
    assert FunctionTool("f", lambda: 3 + 4j).call({}) == "(3+4j)"


@pytest.mark.parametrize(
    ("arguments", "defect"),
    [
        ('{"days": 2}', "city"),
        ('{"city": "Lima", "unit": "K"}', "unit"),
        ('{"city": "Lima", "planet": "Mars"}', "planet"),
        ('{"city": ', "no JSON"),
        ("[1]", "no JSON object"),
    ],
)
def test_arguments_that_do_not_fit_are_named(arguments: str, defect: str) -> None:
    with pytest.raises(InvalidOutput) as raised:
        FunctionTool("weather", weather).prepared(ToolCall("1", "weather", arguments))
    assert defect in raised.value.defect


def positional(a: int, /) -> None: ...


def starred(*numbers: int) -> None: ...


def unknown(thing: NoSuchType) -> None: ...  # type: ignore[name-defined]  # noqa: F821


async def waiting(city: str) -> str: ...


class Waiting:
    """Something else that can be called."""

    async def __call__(self, city: str) -> str: ...


def opened(file: type(open)) -> None: ...  # type: ignore[valid-type]


@pytest.mark.parametrize("value", [3, positional, starred, unknown, opened, waiting, Waiting()], ids=str)
def test_what_cannot_be_offered_is_refused(value: Any) -> None:
    with pytest.raises(UsageError):
        FunctionTool("tool", value)
