"""Program that runs inside the sandbox: import one module and print what is public in it, as JSON.

It is sent to the sandbox as text and uses the standard library alone; ``sys.argv[1]`` names the module.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import json
import keyword
import pkgutil
import sys
from typing import Any

DOC_LIMIT = 40_000
README_LIMIT = 4 * DOC_LIMIT


def parameters(value: object) -> list[dict[str, str | None]] | None:
    """The parameters of a callable, or ``None`` where it has no signature to read."""
    try:
        signature = inspect.signature(value)  # type: ignore[arg-type]
    except (ValueError, TypeError):
        return None
    return [
        {
            "name": parameter.name,
            "kind": parameter.kind.name,
            "default": None if parameter.default is parameter.empty else shown(parameter.default),
            "annotation": "" if parameter.annotation is parameter.empty else str(parameter.annotation)[:80],
        }
        for parameter in signature.parameters.values()
    ]


def shown(default: object) -> str:
    """A default as its repr, the same in every process."""
    text = repr(default)
    return "..." if " at 0x" in text or len(text) > 80 else text


def document(value: object) -> str:
    """The docstring of an object itself, never that of its type or of a base class."""
    text = getattr(value, "__doc__", None)
    if not isinstance(text, str):
        return ""
    inherited = type(value).__doc__
    return "" if text == inherited and not inspect.isclass(value) else inspect.cleandoc(text)[:DOC_LIMIT]


def line_of(value: object) -> int:
    """The line in the defining file, 0 where there is none."""
    code = getattr(inspect.unwrap(value) if callable(value) else value, "__code__", None)
    return getattr(code, "co_firstlineno", 0)


def kind_of(value: object) -> str:
    """What sort of thing it is: class, function, property or value."""
    if inspect.isclass(value):
        return "exception" if issubclass(value, BaseException) else "class"
    if isinstance(value, property) or inspect.isdatadescriptor(value):
        return "property"
    return "function" if callable(value) else "value"


def entry(path: str, value: object, owner: str) -> dict[str, Any]:
    """One public object as plain data."""
    plain = getattr(value, "__func__", value)
    return {
        "path": path,
        "kind": kind_of(plain),
        "doc": document(plain),
        "owner": owner,
        "module": getattr(plain, "__module__", "") or "",
        "line": line_of(plain),
        "parameters": parameters(plain) if callable(plain) else None,
    }


def belongs(value: object, root: str) -> bool:
    """Whether an object was defined by the package (or by its C half) rather than imported into it."""
    home = getattr(value, "__module__", None) or ""
    top = root.partition(".")[0]
    return home.partition(".")[0] in (top, "_" + top) or home == "builtins" == top


def is_name(name: object) -> bool:
    """Whether code can use this as a name: namespaces and lists of names can hold other things."""
    return isinstance(name, str) and name.isidentifier() and not keyword.iskeyword(name)


def public_names(module: Any) -> list[str]:
    """``__all__`` where it is given, else names without underscore that the package defines."""
    declared = getattr(module, "__all__", None)
    if declared:
        return [name for name in declared if is_name(name) and hasattr(module, name)]
    return [
        name
        for name, value in vars(module).items()
        if is_name(name) and not name.startswith("_") and belongs(value, module.__name__)
    ]


def members(module: Any) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """The public objects with the methods of public classes, and the aliases among them."""
    found: list[dict[str, Any]] = []
    seen: dict[int, str] = {}
    aliases: dict[str, str] = {}
    for name in public_names(module):
        value = getattr(module, name)
        path = f"{module.__name__}.{name}"
        if not callable(value):
            continue
        if id(value) in seen:
            aliases[path] = seen[id(value)]
            continue
        seen[id(value)] = path
        found.append(entry(path, value, ""))
        if not inspect.isclass(value):
            continue
        for attribute, member in vars(value).items():
            plain = getattr(member, "__func__", member)
            special = attribute.startswith("__") and ">>>" in document(plain)
            hidden = attribute.startswith("_") and not special
            if hidden or not is_name(attribute) or not (callable(plain) or isinstance(plain, property)):
                continue
            if id(plain) in seen:
                aliases[f"{path}.{attribute}"] = seen[id(plain)]
                continue
            seen[id(plain)] = f"{path}.{attribute}"
            found.append(entry(f"{path}.{attribute}", member, path))
    return found, aliases


def origins(module: Any) -> dict[str, str]:
    """Where the names that the module's namespace holds come from, so that examples can import them."""
    found = {}
    for name, value in vars(module).items():
        if inspect.ismodule(value):
            found[name] = value.__name__
        elif not name.startswith("__") and getattr(value, "__module__", None) and hasattr(value, "__qualname__"):
            found[name] = f"{value.__module__}:{value.__qualname__}"
    return found


def distribution(name: str) -> dict[str, str]:
    """Version, licence and README of the installed distribution that provides a package."""
    top = name.partition(".")[0]
    if top in sys.stdlib_module_names:
        return {
            "version": ".".join(map(str, sys.version_info[:2])),
            "licence": "PSF-2.0",
            "readme": "",
            "name": "python",
        }
    names = importlib.metadata.packages_distributions().get(top, [])
    if not names:
        return {"version": "", "licence": "", "readme": "", "name": ""}
    meta: Any = importlib.metadata.metadata(names[0])
    licence = meta.get("License-Expression") or meta.get("License") or ""
    return {
        "name": names[0],
        "version": meta.get("Version") or "",
        "licence": licence.splitlines()[0][:80] if licence else "",
        "readme": (meta.get_payload() or meta.get("Description") or "")[:README_LIMIT],
    }


def inspect_module(name: str) -> dict[str, Any]:
    """Everything about a module that a teacher can use, as plain data."""
    module = importlib.import_module(name)
    found, aliases = members(module)
    submodules = [info.name for info in pkgutil.iter_modules(getattr(module, "__path__", []))]
    return {
        "name": name,
        "doc": document(module),
        "members": found,
        "aliases": aliases,
        "origins": origins(module),
        "submodules": sorted(name for name in submodules if is_name(name) and not name.startswith("_")),
        "distribution": distribution(name),
    }


if __name__ == "__main__":
    print(json.dumps(inspect_module(sys.argv[1])))
