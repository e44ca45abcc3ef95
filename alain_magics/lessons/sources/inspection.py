"""What the inspector says of a module, checked: the module ran in the same process and can have said anything."""

from __future__ import annotations

import json
import keyword
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, Field, model_validator

from alain_magics.errors import ImportFailed
from alain_magics.lessons.sources.inspector import DOC_LIMIT, README_LIMIT


def is_path(text: str) -> bool:
    """Whether this is a name, or names with dots between, that can be written in code."""
    return all(part.isidentifier() and not keyword.iskeyword(part) for part in text.split("."))


def _path(text: str) -> str:
    if not is_path(text):
        raise ValueError("no name")
    return text


def _identifier(text: str) -> str:
    if not text.isidentifier():
        raise ValueError("no identifier")
    return text


def _usable(origins: dict[str, str]) -> dict[str, str]:
    """The origins that a program can import from; a function can claim any module as its own."""
    return {name: origin for name, origin in origins.items() if is_path(origin.partition(":")[0])}


Name = Annotated[str, AfterValidator(_path)]
Doc = Annotated[str, Field(max_length=DOC_LIMIT)]


class _Parameter(BaseModel):
    name: Annotated[str, AfterValidator(_identifier)]
    kind: str
    default: str | None
    annotation: str


class _Member(BaseModel):
    path: Name
    kind: str
    doc: Doc
    owner: str
    parameters: list[_Parameter] | None

    @model_validator(mode="after")
    def _is_of_its_owner(self) -> _Member:
        if self.owner not in ("", self.path.rpartition(".")[0]):
            raise ValueError("an object of something else")
        return self


class _Distribution(BaseModel):
    version: str
    licence: str
    readme: Annotated[str, Field(max_length=README_LIMIT)]


class _Inspection(BaseModel):
    name: Name
    doc: Doc
    members: list[_Member]
    aliases: dict[Name, Name]
    origins: Annotated[dict[str, str], AfterValidator(_usable)]
    submodules: list[Name]
    distribution: _Distribution


def read_inspection(name: str, printed: str) -> dict[str, Any]:
    """What the inspector printed of the module ``name``, with halves of characters replaced.

    Raises :class:`ImportFailed` where it is not what the inspector prints.
    """
    try:
        data = {**json.loads(printed), "name": name}
        text = json.dumps(data, ensure_ascii=False).encode("utf-8", "replace")
        return _Inspection.model_validate_json(text).model_dump()
    except (ValueError, TypeError, RecursionError):
        raise ImportFailed(
            f"{name} could not be inspected: it prints, or changes what is printed, while it is looked at.",
            "Try one of its submodules, or another module.",
        ) from None
