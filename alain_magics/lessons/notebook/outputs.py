"""What a code cell shows: the output of a lesson's code step as a notebook stores it, and back."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from typing import Any

_PRINTERS = re.compile(r"p?print\w*|pp|help|dis|pr(?:month|year|week)|write")


def to_outputs(source: str, output: str) -> list[dict[str, Any]]:
    """The outputs of a cell: what was printed, then the value of the last expression.

    A lesson keeps both as one text, so the code decides: where the last statement is an expression that does not
    print, the value is all of the text, or its last lines if something else in the code prints.
    """
    printed, value = _parts(source, output)
    outputs: list[dict[str, Any]] = []
    if printed:
        outputs.append({"output_type": "stream", "name": "stdout", "text": printed})
    if value:
        outputs.append(result({"text/plain": value}))
    return outputs


def result(views: dict[str, str]) -> dict[str, Any]:
    """The output of a cell whose last expression has these views, by MIME type."""
    return {"output_type": "execute_result", "execution_count": None, "metadata": {}, "data": views}


def from_outputs(outputs: Iterable[dict[str, Any]]) -> str:
    """What the outputs of a cell show as text, without a trailing newline."""
    parts = []
    for output in outputs:
        if output["output_type"] == "stream" and output["name"] == "stdout":
            parts.append(output["text"].rstrip("\n"))
        elif output["output_type"] in ("execute_result", "display_data"):
            parts.append(output["data"].get("text/plain", ""))
    return "\n".join(part for part in parts if part)


def _parts(source: str, output: str) -> tuple[str, str]:
    """What was printed, with its last newline, and the value."""
    if not output:
        return "", ""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return output + "\n", ""
    prints = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _prints(node)]
    last = tree.body[-1] if tree.body else None
    if not isinstance(last, ast.Expr) or last.value in prints or _only_prints(last.value, tree):
        return output + _ending(prints), ""
    if not prints:
        return "", output
    lines = output.split("\n")
    start = _start_of_value(lines)
    return "".join(f"{line}\n" for line in lines[:start]), "\n".join(lines[start:])


def _prints(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    return bool(_PRINTERS.fullmatch(name))


def _only_prints(value: ast.expr, tree: ast.Module) -> bool:
    """Whether this calls a function of the same code that returns nothing."""
    if not isinstance(value, ast.Call) or not isinstance(value.func, ast.Name):
        return False
    called = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == value.func.id]
    return bool(called) and not any(
        isinstance(node, ast.Return | ast.Yield | ast.YieldFrom) for node in ast.walk(called[-1])
    )


def _ending(prints: list[ast.Call]) -> str:
    """What the last print ends with: a newline, unless it says otherwise."""
    ends = [keyword.value for call in prints[-1:] for keyword in call.keywords if keyword.arg == "end"]
    other = ends and isinstance(ends[0], ast.Constant) and ends[0].value and not str(ends[0].value).endswith("\n")
    return "" if other else "\n"


def _start_of_value(lines: list[str]) -> int:
    """The line at which the value begins: of the last lines the fewest that are an expression, else the last one."""
    for start in range(len(lines) - 1, -1, -1):
        try:
            ast.parse("\n".join(lines[start:]).strip(), mode="eval")
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            continue
        return start
    return len(lines) - 1
