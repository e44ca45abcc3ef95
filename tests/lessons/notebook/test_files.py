"""Notebook files: all kinds are read as far as possible, and what is wrong is said in one line."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alain_magics.errors import NotebookError
from alain_magics.lessons.notebook import dumps, loads


def notebook(**fields: Any) -> str:
    return json.dumps({"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": [], **fields})


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "This file is empty."),
        (b"\xff\xfe\x00", "This file is not text in UTF-8, so it is no notebook."),
        (b"PK\x03\x04 a zip file", "This file is not JSON: line 1: Expecting value."),
        ('{"nbformat": 4,\n"cells": [', "This file is not JSON: line 2: Expecting value."),
        ("[" * 100_000, "This file is not JSON: maximum recursion depth exceeded"),
        ("9" * 5000, "This file is not JSON: Exceeds the limit (4300 digits) for integer string conversion"),
        (notebook(metadata={"a": float("nan")}), "This file is not JSON: NaN is not a JSON number."),
        ("[]", "This JSON is no notebook."),
        ("{}", "This JSON is no notebook: it has no format version or no cells."),
        ('{"nbformat": 4, "cells": {}}', "This JSON is no notebook: it has no format version or no cells."),
        (notebook(nbformat=5), "This notebook has format 5; 3 and 4 can be read."),
        (notebook(cells=[1]), "This notebook is damaged: "),
        (notebook(cells=[{}]), "This notebook is damaged: "),
        (notebook(cells=[{"cell_type": "code", "outputs": [{"output_type": "odd"}]}]), "This notebook is damaged: "),
        (notebook(cells=[{"cell_type": "markdown", "source": 5}]), "This notebook is damaged: "),
        (notebook(metadata=[]), "This notebook is damaged: "),
        (notebook(nbformat_minor="x"), "This notebook is damaged: "),
    ],
)
def test_what_is_wrong_with_a_file_is_said_in_one_line(data: bytes | str, says: str) -> None:
    with pytest.raises(NotebookError) as caught:
        loads(data)
    assert str(caught.value).startswith(says)
    assert re.fullmatch(r"[^\n]{10,300}", str(caught.value))
    assert caught.value.advice


JSON_VALUES = st.recursive(
    st.one_of(st.none(), st.integers(), st.text(max_size=5)),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["cells", "metadata", "nbformat", "source", "cell_type", "outputs", "id"]), inner
        )
    ),
    max_leaves=8,
)


@given(st.one_of(st.binary(max_size=60), JSON_VALUES.map(lambda cells: notebook(cells=[cells], metadata=cells))))
def test_any_file_is_a_notebook_or_a_notebook_error(data: bytes | str) -> None:
    with contextlib.suppress(NotebookError):
        nbformat.validate(loads(data))


def test_what_writers_leave_out_is_filled_in_always_alike() -> None:
    cells = [
        {"cell_type": "code", "source": ["a\n", "b"]},
        {"cell_type": "markdown", "metadata": {}, "source": "text", "outputs": []},
        {"cell_type": "markdown", "id": "not an id!", "source": "text"},
        {"cell_type": "raw", "id": "same"},
        {"cell_type": "raw", "id": "same"},
    ]
    nb = loads(notebook(cells=cells))
    nbformat.validate(nb)
    assert (nb.nbformat, nb.nbformat_minor) == (4, 5)
    assert nb.cells[0].source == "a\nb"
    assert len({cell.id for cell in nb.cells}) == 5
    assert loads(notebook(cells=cells)) == nb


def test_the_oldest_format_in_use_is_converted() -> None:
    cell = {"cell_type": "code", "input": ["1 + 1"], "language": "python", "outputs": [], "metadata": {}}
    old = {"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": [{"cells": [cell], "metadata": {}}]}
    assert loads(json.dumps(old)).cells[0].source == "1 + 1"


def test_half_a_surrogate_pair_is_replaced() -> None:
    nb = loads(notebook(cells=[{"cell_type": "markdown", "source": "a \ud800 b"}]))
    assert nb.cells[0].source == "a ? b"
    assert loads(dumps(nb).encode()) == nb


def test_a_byte_order_mark_is_no_obstacle() -> None:
    assert loads(b"\xef\xbb\xbf" + notebook().encode()).cells == []


def test_what_jupyter_writes_is_written_the_same(shared: Path) -> None:
    for path in sorted((shared / "fixtures" / "alain_notebooks").glob("*.ipynb")):
        nb = loads(path.read_bytes())
        assert dumps(nb) == nbformat.writes(nb) + "\n"
        assert loads(dumps(nb)) == nb
