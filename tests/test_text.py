"""Text that others wrote: whatever it holds, nothing of it becomes active and nothing is fetched."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from alain_magics.text import as_markdown, displayed, fenced, inline, neutralise, neutralise_answer, plain, render
from tests.payloads import ELEMENTS, LINKS, PAYLOADS

HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}
TABLE = {"table", "tbody", "td", "th", "thead", "tr"}
PROSE = {"a", "blockquote", "br", "code", "em", "hr", "li", "ol", "p", "pre", "span", "strong", "ul"} | HEADINGS | TABLE
ADDRESS = re.compile(r"(?:https?://|mailto:|#)", re.IGNORECASE)


class Elements(HTMLParser):
    """Lists what an HTML parser finds beyond text and the elements and attributes of prose."""

    def __init__(self) -> None:
        super().__init__()
        self.active: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        harmless = {("ol", "start"), ("code", "class"), ("td", "style"), ("th", "style"), ("a", "rel")}
        for name, value in attrs:
            address = tag == "a" and name == "href" and ADDRESS.match(value or "")
            if not address and (tag, name) not in harmless:
                self.active.append(f"{tag} {name}={value}")
        if tag not in PROSE:
            self.active.append(tag)

    def handle_comment(self, data: str) -> None:
        self.active.append(f"comment {data}")

    def handle_decl(self, decl: str) -> None:
        self.active.append(f"declaration {decl}")

    unknown_decl = handle_decl
    handle_pi = handle_decl


def active_parts(markup: str) -> list[str]:
    """Everything in HTML that is not plain prose."""
    parser = Elements()
    parser.feed(markup)
    parser.close()
    return parser.active


def permissive(markdown: str) -> str:
    """HTML by a renderer that lets raw HTML and every address through."""
    renderer = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    renderer.validateLink = lambda url: True  # type: ignore[method-assign]
    return renderer.render(markdown)


def by_nbconvert(markdown: str) -> str:
    """HTML by the renderer of nbconvert, which knows formulas and lets raw HTML through."""
    from nbconvert.filters.markdown_mistune import markdown2html_mistune

    markup = markdown2html_mistune(markdown)
    own = r' id="[^"]*"|<a class="anchor-link"[^>]*>|</?del>|<div class="highlight">|</?span[^>]*>|</div>'
    return re.sub(own, "", markup)


def test_the_corpus_is_large_and_the_permissive_renderer_would_let_it_act() -> None:
    assert len(set(PAYLOADS)) >= 500
    assert sum(bool(active_parts(permissive(payload))) for payload in PAYLOADS) >= 500


@pytest.mark.parametrize(
    "way",
    [
        render,
        lambda text: render(neutralise_answer(text)),
        lambda text: permissive(neutralise(text)),
        lambda text: permissive(displayed(text)),
        lambda text: by_nbconvert(neutralise(text)),
        lambda text: by_nbconvert(displayed(text)),
    ],
)
def test_no_payload_is_active_in_any_rendering(way: Callable[[str], str]) -> None:
    assert {payload: found for payload in PAYLOADS if (found := active_parts(way(payload)))} == {}


def without_code(text: str) -> str:
    """Markdown or HTML without its code, where nothing is taken for a formula."""
    return re.sub(r"(?s)<code.*?</code>|(`+)[^`].*?\1", "", text)


def test_no_payload_leaves_an_active_command_in_a_formula() -> None:
    left = re.compile(r"\\(?:href|includegraphics|url|class|style|require|html\w+|def)\b")
    ways = (neutralise, displayed, render)
    assert [payload for payload in PAYLOADS for way in ways if left.search(without_code(way(payload)))] == []


def test_a_second_pass_changes_no_payload() -> None:
    assert [payload for payload in PAYLOADS if neutralise(neutralise(payload)) != neutralise(payload)] == []


MARKS = (
    "\n¦\n\n¦    ¦  ¦- ¦* ¦> ¦1. ¦```¦~~~¦`¦``¦$¦$$¦\\¦*¦**¦_¦|¦|---|\n¦# ¦===\n¦---\n¦<¦&lt;¦&¦!¦[¦]¦(¦)¦a¦b c¦{¦}¦\t"
    "¦\u00a0¦é¦1¦\\begin{a}¦\\end{a}¦\\\\(¦\\\\)¦http://e.example/¦www.¦@¦\n> ¦\n- ¦\n  ¦\r¦\x00¦[b]: http://e.example\n"
)
LINKED = [link.format("http://e.example") for link in LINKS[:9]]
PIECES = st.sampled_from([*ELEMENTS[:16], *LINKED, *re.split("¦", MARKS)])


@given(st.one_of(st.lists(PIECES, max_size=20).map("".join), st.text(max_size=80)))
@settings(max_examples=300, deadline=None)
def test_any_text_is_neutral_after_one_pass_and_stays_so(text: str) -> None:
    neutral = neutralise(text)
    assert neutralise(neutral) == neutral
    assert active_parts(permissive(neutral)) == []
    assert active_parts(by_nbconvert(neutral)) == []
    assert active_parts(permissive(displayed(text))) == []


@given(st.one_of(st.lists(PIECES, max_size=20).map("".join), st.text(max_size=80)))
@settings(max_examples=200, deadline=None)
def test_plain_text_as_markdown_shows_itself(text: str) -> None:
    shown = re.sub(r"<[^>]*>", "", MarkdownIt("commonmark").render(as_markdown(text)))
    plain_text = text.replace("\x00", "\ufffd")
    assert re.sub(r"[\s`]", "", html.unescape(shown)) == re.sub(r"[\s`]", "", plain_text)


UNTOUCHED = [
    "Plain words, 3 * 4 = 12, snake_case_name, C:\\new and [1, 2].",
    "*one* **two** `three` [four](https://a.example/b?c=1&d=2)",
    "# Title\n\n## Section",
    "- a\n- b\n  - c",
    "1. a\n2. b",
    "> quoted\n>\n> again",
    "```python\nprint('<b>', \"$x$\")\n\n\n# two empty lines\n```",
    "`<script>` and `a && b` and ``a ` b``",
    "| a | b |\n| --- | ---: |\n| 1 | `x \\| y` |",
    "Mass is $m = \\frac{E}{c^2}$, and\n\n$$\n\\sum_{i=1}^n x_i\n$$",
    "a\\\nb",
    "___",
]


@pytest.mark.parametrize("markdown", UNTOUCHED)
def test_harmless_markdown_is_left_as_it_is(markdown: str) -> None:
    assert neutralise(markdown) == markdown


@pytest.mark.parametrize(
    ("markdown", "neutral"),
    [
        ("<b>x</b>", "&lt;b>x&lt;/b>"),
        ("![a chart](https://a.example/x.png)", "(image: a chart, https://a.example/x.png)"),
        ("![](attachment:x.png)", "(image)"),
        ("![plot](data:image/png;base64,AA)", "(image: plot)"),
        ("[x](ftp://a.example)", "x"),
        ("[x](other.ipynb)", "x"),
        ("[x][y]\n\n[y]: https://a.example", "[x](https://a.example)"),
        ("<https://a.example>", "[https://a.example](https://a.example)"),
        ("[up](#top)", "[up](#top)"),
        ("    indented", "```\nindented\n```"),
        ("```mermaid\ngraph\n```", "```\ngraph\n```"),
        ("costs $5 and $6", "costs &#36;5 and &#36;6"),
        ("$a<b$", "$a\\lt b$"),
        ("Setext\n======", "# Setext"),
    ],
)
def test_what_could_act_or_fetch_is_written_as_text(markdown: str, neutral: str) -> None:
    assert neutralise(markdown) == neutral


@pytest.mark.parametrize(
    ("answer", "neutral"),
    [
        (r"so \(x^2\) and \( a_1 \).", "so $x^2$ and $a_1$."),
        ("thus\n\\[\nx = \\frac{1}{2}\n\\]\nand", "thus\n$$\nx = \\frac{1}{2}\n$$\nand"),
        (r"`\(c\)` is code", r"`\(c\)` is code"),
        (r"\(5\)7 and \(open", "(5)7 and (open"),
        (r"\(\href{javascript:alert(1)}{x}\)", "$\\\u2060href{javascript:alert(1)}{x}$"),
        (r"\(a]( b\)", "(a&#93;( b)"),
        ("- \\(a<b\\)", "- $a\\lt b$"),
    ],
)
def test_formulas_of_answers_may_stand_in_brackets(answer: str, neutral: str) -> None:
    assert neutralise_answer(answer) == neutral


def test_brackets_of_other_texts_are_brackets() -> None:
    assert neutralise(r"see \[1\] and f\(x\)") == "see [1] and f(x)"


def test_prices_on_a_page_are_no_formula() -> None:
    assert displayed("$5 or $6, $x$") == "<span>&#36;</span>5 or <span>&#36;</span>6, $x$"
    assert render("$5 or $6, $x$") == "<p><span>$</span>5 or <span>$</span>6, $x$</p>\n"
    assert displayed("$5, `&#36;`") == "&#36;5, `&#36;`"


def test_text_that_does_not_settle_becomes_a_block_of_code(monkeypatch: pytest.MonkeyPatch) -> None:
    from alain_magics import text

    monkeypatch.setattr(text, "_PASSES", 0)
    assert neutralise("a ``` b") == "````\na ``` b\n````"


def cards(shared: Path) -> Iterator[str]:
    for path in sorted((shared / "fixtures" / "model_cards").glob("*.md")):
        yield re.sub(r"\A---\n.*?\n---\n", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)


def test_model_cards_lose_nothing_but_their_images(shared: Path) -> None:
    renderer = MarkdownIt("commonmark", {"html": False}).enable("table")
    for card in cards(shared):
        before, after = (re.sub(r"<[^>]*>", " ", renderer.render(text)).split() for text in (card, neutralise(card)))
        assert len(before) > 50
        assert len(set(before) - set(after)) <= 2


def test_render_gives_the_html_of_prose() -> None:
    assert render("**a** `b`\n\n| x |\n|---|\n| $y_1$ |") == (
        "<p><strong>a</strong> <code>b</code></p>\n<table>\n<thead>\n<tr>\n<th>x</th>\n</tr>\n</thead>\n"
        "<tbody>\n<tr>\n<td>$y_1$</td>\n</tr>\n</tbody>\n</table>\n"
    )


def test_rendered_links_tell_nothing_to_where_they_lead() -> None:
    assert render("[a](https://a.example)") == '<p><a href="https://a.example" rel="noopener noreferrer">a</a></p>\n'


def test_inline_marks_backticks_as_code_and_nothing_else() -> None:
    assert inline("`a<b>` & *c*") == "<code>a&lt;b&gt;</code> &amp; *c*"
    assert inline("a ` b") == "a ` b"


def test_plain_text_cannot_steer_a_terminal() -> None:
    assert plain("a\tb\n\x1b]0;owned\x07\x9b31m") == "a\tb\n\ufffd]0;owned\ufffd\ufffd31m"


@pytest.mark.parametrize("control", "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
def test_plain_text_cannot_turn_a_line_round(control: str) -> None:
    assert plain(f"name{control}txt.exe") == "name\ufffdtxt.exe"


@pytest.mark.parametrize("text", ["שלום, עולם 123", "مرحبا بالعالم", "می‌خواهم", "👩‍💻", "ക്‍ഷ", "ភាសា\u200bខ្មែរ"])
def test_plain_text_of_every_script_stays(text: str) -> None:
    assert plain(text) == text


@given(st.text(alphabet="`ab\n ", max_size=40))
def test_fenced_code_shows_exactly_the_code(code: str) -> None:
    (token,) = MarkdownIt("commonmark").parse(fenced(code, "python"))
    assert token.type == "fence"
    assert token.content.removesuffix("\n") == code.removesuffix("\n")
