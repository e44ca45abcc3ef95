"""Markdown becomes headings, passages, tables and code, and every span quotes what it says."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alain_magics.lessons.document import Span
from alain_magics.lessons.sources.markdown import MOST_CHARACTERS, Markdown, read_markdown

TEXT = """# Model *One*

Runs in `bf16`.
Second line.

## Use

- **Fast:** answers [soon](http://x)
- slow

| name | score |
|------|------:|
| a    | 1.5   |
| `b`  | 2     |

```python
x = 1
```

# Next
End."""


def quoted(text: str, span: Span) -> str:
    return text[span.start : span.end]


def test_a_heading_spans_its_body_up_to_the_next_of_its_level() -> None:
    found = read_markdown(TEXT).headings
    assert [(heading.title, heading.level) for heading in found] == [("Model One", 1), ("Use", 2), ("Next", 1)]
    assert quoted(TEXT, found[0].span).startswith("\n\nRuns")
    assert quoted(TEXT, found[0].span).endswith("```\n\n")
    assert quoted(TEXT, found[2].span) == "\nEnd."


def test_passages_are_plain_text_and_their_spans_quote_the_source() -> None:
    found = [(passage.text, quoted(TEXT, passage.span)) for passage in read_markdown(TEXT).passages]
    assert found == [
        ("Runs in `bf16`. Second line.", "Runs in `bf16`.\nSecond line."),
        ("Fast: answers soon", "- **Fast:** answers [soon](http://x)"),
        ("slow", "- slow"),
        ("End.", "End."),
    ]


def test_a_table_has_its_header_and_rows_without_markup() -> None:
    (table,) = read_markdown(TEXT).tables
    assert table.header == ("name", "score")
    assert table.rows == (("a", "1.5"), ("b", "2"))
    assert quoted(TEXT, table.span).startswith("| name")
    assert quoted(TEXT, table.span).endswith("| 2     |")


def test_a_code_block_has_its_language_and_the_span_of_its_fences() -> None:
    (block,) = read_markdown(TEXT).code_blocks
    assert (block.code, block.language) == ("x = 1\n", "python")
    assert quoted(TEXT, block.span) == "```python\nx = 1\n```"


def test_html_is_passed_over() -> None:
    text = '<script>alert(1)</script>\n\nA <img src="http://x/y.png"> b ![z](http://x) c.'
    assert [passage.text for passage in read_markdown(text).passages] == ["A b c."]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_spans_hold_for_every_kind_of_newline(newline: str) -> None:
    text = f"first{newline}{newline}# H{newline}{newline}second"
    assert [quoted(text, passage.span) for passage in read_markdown(text).passages] == ["first", "second"]


def test_spans_count_from_the_start_of_the_whole_text() -> None:
    text = "---\nx: 1\n---\nBody"
    (passage,) = read_markdown(text, text.index("Body")).passages
    assert quoted(text, passage.span) == "Body"


def test_what_lies_beyond_the_bound_is_passed_over() -> None:
    found = read_markdown("first\n\n" + "x " * MOST_CHARACTERS + "\n\n# last")
    assert found.passages[0].text == "first"
    assert found.headings == []


def check_spans(text: str, found: Markdown) -> None:
    for block in found.code_blocks:
        lines = [line.strip() for line in block.code.splitlines() if line.strip()]
        assert all(line.replace("\ufffd", "\0") in quoted(text, block.span).replace("\ufffd", "\0") for line in lines)
    for passage in found.passages:
        span = quoted(text, passage.span)
        assert span == span.strip()
        assert span
    for heading in found.headings:
        assert 0 <= heading.span.start <= heading.span.end <= len(text)
    for table in found.tables:
        assert "|" in quoted(text, table.span) or "-" in quoted(text, table.span)


markdown = st.lists(
    st.one_of(
        st.text(max_size=20),
        st.sampled_from(
            [
                "# ",
                "- ",
                "> ",
                "| a | b |\n|-|-|\n| 1 | 2 |\n",
                "```\n",
                "`",
                "**",
                "\n",
                "\r\n",
                "\r",
                "\n\n",
                "<b>",
                "1. ",
            ]
        ),
    ),
    max_size=30,
).map("".join)


@given(markdown, st.integers(0, 10))
@settings(deadline=None)
def test_any_text_is_read_with_spans_inside_it(text: str, offset: int) -> None:
    offset = min(offset, len(text))
    found = read_markdown(text, offset)
    check_spans(text, found)
    assert all(passage.span.start >= offset for passage in found.passages)


@given(st.lists(st.from_regex(r"[a-z][a-z ]{0,20}[a-z]", fullmatch=True), min_size=1, max_size=8))
def test_the_span_of_a_plain_paragraph_is_the_paragraph(paragraphs: list[str]) -> None:
    text = "\n\n".join(paragraphs)
    found = read_markdown(text).passages
    assert [quoted(text, passage.span) for passage in found] == paragraphs
    assert [passage.text for passage in found] == [" ".join(paragraph.split()) for paragraph in paragraphs]


@pytest.mark.parametrize("piece", ["_a*", "![[", "- a\n", "> ", "<div>", "|a|b|\n|-|-|\n"])
def test_pathological_markdown_is_read_in_seconds(piece: str) -> None:
    start = time.perf_counter()
    read_markdown(piece * (2_000_000 // len(piece)))
    assert time.perf_counter() - start < 20
