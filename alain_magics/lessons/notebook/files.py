"""Notebook files: reading any of them as far as possible, and writing the same notebook as the same bytes."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from alain_magics.errors import NotebookError
from alain_magics.lessons.schema import content_hash

if TYPE_CHECKING:
    from nbformat import NotebookNode

_GIVE_ONE = "Give a Jupyter notebook (.ipynb)."
_CELL_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def dumps(nb: NotebookNode) -> str:
    """The text of a notebook file, as Jupyter itself writes it: equal notebooks give equal text."""
    import nbformat

    text: str = nbformat.writes(nb)  # type: ignore[no-untyped-call]
    return text + "\n"


def loads(data: bytes | str) -> NotebookNode:
    """The notebook in a file as valid nbformat 4.5.

    Many tools leave out metadata, outputs or identifiers of cells: these are filled in, always alike. Of anything else
    that is wrong :class:`~alain_magics.errors.NotebookError` says in one line what it is.
    """
    import nbformat

    raw = _parsed(data)
    version = raw.get("nbformat")
    if not isinstance(version, int) or not isinstance(raw.get("cells", raw.get("worksheets")), list):
        raise NotebookError("This JSON is no notebook: it has no format version or no cells.", _GIVE_ONE)
    if version not in (3, 4):
        raise NotebookError(
            f"This notebook has format {version}; 3 and 4 can be read.", "Save it with a current Jupyter."
        )
    try:
        if version == 4:
            _complete(raw)
        nb = nbformat.versions[version].to_notebook_json(raw, minor=raw.get("nbformat_minor", 0))
        nb = nbformat.convert(nb, 4)  # type: ignore[no-untyped-call]
        nbformat.validate(nb)
    except nbformat.ValidationError as error:
        reason = str(error).strip().splitlines()[0][:120]
        raise NotebookError(f"This notebook is damaged: {reason}.", "Open it in Jupyter and save it.") from None
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        raise NotebookError("This notebook is damaged: a part is not what it must be.", _GIVE_ONE) from None
    completed: NotebookNode = nb
    return completed


def _parsed(data: bytes | str) -> dict[str, Any]:
    """The JSON object in a file."""
    try:
        text = data.decode("utf-8-sig") if isinstance(data, bytes) else data
    except UnicodeDecodeError:
        raise NotebookError("This file is not text in UTF-8, so it is no notebook.", _GIVE_ONE) from None
    if not text.strip():
        raise NotebookError("This file is empty.", _GIVE_ONE)
    try:
        raw = json.loads(text, parse_constant=_no_constant)
        if re.search(r"\\u[dD][89a-fA-F]", text):  # perhaps half a surrogate pair, which UTF-8 cannot hold
            raw = json.loads(json.dumps(raw, ensure_ascii=False).encode("utf-8", "replace"))
    except json.JSONDecodeError as error:
        raise NotebookError(f"This file is not JSON: line {error.lineno}: {error.msg}.", _GIVE_ONE) from None
    except (ValueError, RecursionError) as error:
        raise NotebookError(f"This file is not JSON: {str(error).splitlines()[0]}.", _GIVE_ONE) from None
    if not isinstance(raw, dict):
        raise NotebookError("This JSON is no notebook.", _GIVE_ONE)
    return raw


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _complete(raw: dict[str, Any]) -> None:
    """Fill in what nbformat 4.5 demands and many writers leave out."""
    raw.setdefault("metadata", {})
    raw["nbformat_minor"] = max(5, raw.get("nbformat_minor", 0))
    seen: set[str] = set()
    for number, cell in enumerate(raw["cells"]):
        cell.setdefault("metadata", {})
        cell.setdefault("source", "")
        if cell.get("cell_type") == "code":
            cell.setdefault("outputs", [])
            cell.setdefault("execution_count", None)
        else:
            cell.pop("outputs", None)
            cell.pop("execution_count", None)
        if not _CELL_ID.fullmatch(str(cell.get("id", ""))) or cell["id"] in seen:
            cell["id"] = content_hash([number, cell["source"]])[:12]
        seen.add(cell["id"])
