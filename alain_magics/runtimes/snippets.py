"""A request as code to copy: for a shell, for Python, for JavaScript.

Keys stay out: where one belongs, the code reads the environment variable that holds it. The answer is asked for in one
piece (``stream`` off), so that the code shows it without parsing events.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from typing import Any

from alain_magics.runtimes.base import HttpCall

_KEY = "$KEY"  # where the headers of a call want the key


def snippets(call: HttpCall) -> dict[str, str]:
    """Return the request in every language: ``curl``, ``python``, ``javascript``."""
    return {"curl": curl(call), "python": python(call), "javascript": javascript(call)}


def curl(call: HttpCall) -> str:
    """Return a command for a POSIX shell."""
    parts = [f"curl {shlex.quote(call.url)}"]
    parts += [f"-H {_shell_header(f'{name}: {value}', call.key_variable)}" for name, value in _headers(call).items()]
    parts.append(f"-d {_shell_quoted(_json(_body(call), 2))}")
    return " \\\n  ".join(parts)


def python(call: HttpCall) -> str:
    """Return a program that needs httpx, which this package brings."""
    read = f"os.environ[{call.key_variable!r}]"
    lines = [
        f"        {name!r}: {_expression(value, call.key_variable, repr, read)},\n"
        for name, value in _headers(call).items()
    ]
    imports = "import os\n\nimport httpx" if call.key_variable else "import httpx"
    return (
        f"{imports}\n\n"
        "response = httpx.post(\n"
        f"    {call.url!r},\n"
        f"    headers={{\n{''.join(lines)}    }},\n"
        f"    json={_python(_body(call), 1)},\n"
        "    timeout=600,\n"
        ")\n"
        "response.raise_for_status()\n"
        "print(response.json())\n"
    )


def javascript(call: HttpCall) -> str:
    """Return a module for Node.js 18 or newer."""
    read = f"process.env.{call.key_variable}"
    lines = [
        f"    {_json(name)}: {_expression(value, call.key_variable, _json, read)},\n"
        for name, value in _headers(call).items()
    ]
    body = _json(_body(call), 2).replace("\n", "\n  ")
    return (
        f"const response = await fetch({_json(call.url)}, {{\n"
        '  method: "POST",\n'
        f"  headers: {{\n{''.join(lines)}  }},\n"
        f"  body: JSON.stringify({body}),\n"
        "});\n"
        "console.log(JSON.stringify(await response.json(), null, 2));\n"
    )


def _headers(call: HttpCall) -> dict[str, str]:
    """The headers of a call, with the one that says what the body is."""
    named = {name.lower() for name in call.headers}
    return {**({} if "content-type" in named else {"Content-Type": "application/json"}), **call.headers}


def _body(call: HttpCall) -> dict[str, Any]:
    """The body as plain data, for an answer in one piece."""
    body: dict[str, Any] = json.loads(json.dumps(call.body, default=dict))
    if "stream" in body:
        body["stream"] = False
    body.pop("stream_options", None)
    return body


def _json(value: Any, indent: int | None = None) -> str:
    """JSON in which every character can be seen: it may come from a model, and goes into a terminal."""
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    return "".join(char if char.isprintable() or char == "\n" else json.dumps(char)[1:-1] for char in text)


def _shell_quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _shell_header(header: str, variable: str) -> str:
    """A header in double quotes where the shell must put the key in, else in single ones."""
    before, found, after = header.partition(_KEY)
    if not variable or not found:
        return _shell_quoted(header)
    escaped = re.sub(r'([\\"$`])', r"\\\1", before)
    return f'"{escaped}${variable}"' + (_shell_quoted(after) if after else "")


def _expression(value: str, variable: str, literal: Callable[[str], str], read: str) -> str:
    """A header's value as an expression: text, and what reads the variable where the key belongs."""
    before, found, after = value.partition(_KEY)
    if not variable or not found:
        return literal(value)
    return " + ".join([*([literal(before)] if before else []), read, *([literal(after)] if after else [])])


def _python(value: Any, depth: int = 0) -> str:
    """JSON data as a Python literal, a line for each item."""
    if not value or not isinstance(value, dict | list):
        return repr(value)
    if isinstance(value, dict):
        (opening, closing), items = "{}", [f"{key!r}: {_python(item, depth + 1)}" for key, item in value.items()]
    else:
        (opening, closing), items = "[]", [_python(item, depth + 1) for item in value]
    indent = "    " * depth
    return f"{opening}\n" + "".join(f"{indent}    {item},\n" for item in items) + indent + closing
