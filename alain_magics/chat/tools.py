"""A function of the user's as a tool that a model may ask for."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from pydantic.errors import PydanticUserError

from alain_magics.errors import InvalidOutput, UsageError
from alain_magics.runtimes.base import Tool, ToolCall


class FunctionTool:
    """A function, the schema of its arguments, and the way to call it with what a model wrote.

    The schema comes from the signature and its annotations, the description from the docstring. Raises
    :class:`~alain_magics.errors.UsageError` for what cannot be offered.
    """

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self._function = function
        self._arguments = _model(name, function)
        schema = self._arguments.model_json_schema()
        schema.pop("title", None)
        self.tool = Tool(name, inspect.getdoc(function) or "", schema)

    def prepared(self, call: ToolCall) -> dict[str, Any]:
        """Return the arguments of a call as the function wants them; ``InvalidOutput`` where they don't fit."""
        try:
            arguments = self._arguments.model_validate(call.parsed())
        except ValidationError as error:
            first = error.errors()[0]
            defect = f"{'.'.join(map(str, first['loc'])) or 'arguments'}: {first['msg']}"
            raise InvalidOutput(f"The model called {call.name} wrongly: {defect}.", "", defect=defect) from None
        return {name: getattr(arguments, name) for name in arguments.model_fields_set}

    def call(self, arguments: dict[str, Any]) -> str:
        """Call the function, and return what it gave as text for the model: JSON where it is plain data."""
        value = self._function(**arguments)
        if isinstance(value, str):
            return value
        try:
            return json.dumps(value, ensure_ascii=False)
        except (TypeError, ValueError):
            return str(value)


def _is_async(function: object) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


def _model(name: str, function: Callable[..., Any]) -> type[BaseModel]:
    if not callable(function):
        raise UsageError(f"{name} is no function.", "Give the name of a function that you defined.")
    if any(map(_is_async, (function, getattr(function, "__call__", None)))):  # noqa: B004  # its kind is asked for
        raise UsageError(f"{name} is an async function, which a model cannot call.", "Offer one without async.")
    fields: dict[str, Any] = {}
    try:
        parameters = inspect.signature(function, eval_str=True).parameters.values()
        for parameter in parameters:
            if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                raise UsageError(f"{name} takes {parameter}, which a model cannot fill.", "Give it named parameters.")
            kind = Any if parameter.annotation is parameter.empty else parameter.annotation
            fields[parameter.name] = (kind, ... if parameter.default is parameter.empty else parameter.default)
        model: type[BaseModel] = create_model(name, __config__=ConfigDict(extra="forbid"), **fields)
        model.model_json_schema()
    except (TypeError, ValueError, NameError, PydanticUserError) as error:
        what = f"{name} cannot be offered as a tool: {str(error).splitlines()[0]}."
        raise UsageError(what, "Annotate its parameters with plain types.") from None
    return model
