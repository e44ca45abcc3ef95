"""What others may rely on: these lists change only together with the changelog."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

import alain_magics
from alain_magics import errors

PUBLIC = ["AlainError", "__version__", "check", "load_ipython_extension", "question"]

ERRORS = {
    "AlainError": "Exception",
    "UsageError": "AlainError",
    "SettingsError": "AlainError",
    "SourceError": "AlainError",
    "UnknownSource": "SourceError",
    "UnreadableSource": "SourceError",
    "ImportFailed": "SourceError",
    "NothingToTeach": "SourceError",
    "NotebookError": "AlainError",
    "PayloadError": "AlainError",
    "TargetError": "AlainError",
    "ConsentNeeded": "AlainError",
    "SandboxError": "AlainError",
    "StoreError": "AlainError",
    "NoRuntime": "AlainError",
    "UnknownModel": "AlainError",
    "KeyMissing": "AlainError",
    "KeyMisused": "AlainError",
    "ProfileError": "AlainError",
    "ConversationError": "AlainError",
    "DownloadError": "AlainError",
    "ModelError": "AlainError",
    "Unreachable": "ModelError",
    "TimedOut": "ModelError",
    "Refused": "ModelError",
    "KeyRefused": "Refused",
    "QuotaExceeded": "Refused",
    "RateLimited": "Refused",
    "ModelMissing": "Refused",
    "ContextExceeded": "Refused",
    "ServerFailed": "ModelError",
    "BadProtocol": "ModelError",
    "StreamTruncated": "ModelError",
    "InvalidOutput": "ModelError",
}


def drawn_tree(text: str) -> dict[str, str]:
    """Each class of the tree drawn in a docstring with the class that it hangs from."""
    parents: dict[str, str] = {}
    branch: list[str] = []
    for line in text.splitlines():
        found = re.fullmatch(r"    ((?:│   |    )*(?:├── |└── )?)(\w+)(?: {2,}.*)?", line)
        if found:
            depth = len(found[1]) // 4
            branch[depth:] = [found[2]]
            parents[found[2]] = branch[depth - 1] if depth else "Exception"
    return parents


def test_public_names_are_frozen() -> None:
    assert alain_magics.__all__ == PUBLIC
    assert dir(alain_magics) == sorted(PUBLIC)


@pytest.mark.parametrize("name", [name for name in PUBLIC if name != "__version__"])
def test_every_public_name_resolves_and_is_documented(name: str) -> None:
    assert getattr(alain_magics, name).__doc__


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'answer_key'"):
        alain_magics.answer_key  # noqa: B018


def test_importing_the_package_imports_none_of_its_modules() -> None:
    script = "import sys, alain_magics; print(*(name for name in sys.modules if name.startswith('alain_magics')))"
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["alain_magics"]


def test_error_classes_are_frozen() -> None:
    classes = {name: value for name, value in vars(errors).items() if isinstance(value, type)}
    assert {name: value.__base__.__name__ for name, value in classes.items()} == ERRORS


def test_the_drawn_tree_of_errors_is_the_tree() -> None:
    assert drawn_tree(errors.__doc__ or "") == ERRORS


def test_an_error_reads_as_one_line() -> None:
    error = errors.SettingsError("alain.toml: no setting\n'lvel'.", "Did you mean 'level'?")
    assert str(error) == "alain.toml: no setting 'lvel'. Did you mean 'level'?"
