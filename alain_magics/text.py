"""The one renderer and neutraliser of text that a model, a source or a foreign notebook wrote.

Notebook trust protects nobody: a cell that ran is trusted, and its HTML is then drawn as it is. And Markdown cells are
drawn by Jupyter itself, by editors and by GitHub, never by this package. So there are two ways out of here:
:func:`render` gives HTML that is safe to display, and :func:`neutralise` gives Markdown that is safe in every renderer.
Neither lets anything run, and neither makes a reader's browser fetch anything.

``neutralise`` parses as CommonMark and writes everything anew. Outside code it writes no ``<`` at all, no image, no
reference definition, and no link but those that :func:`_safe` allows, so no renderer can find one. JupyterLab takes
formulas out of the text before it parses it; a formula that began in one block of code and ended in another could turn
what stands between into markup. Formulas never reach over an empty line, so code always stands between empty lines.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_inline import StateInline
    from markdown_it.tree import SyntaxTreeNode

# What follows three backticks: other names are dropped, since some renderers run them (``mermaid`` fetches images).
_LANGUAGES = frozenset(
    "bash c console cpp css diff html ini java javascript js json pycon py python rst sh shell sql text toml ts "
    "typescript xml yaml".split()
)
_TAGS = frozenset(
    "a blockquote br code em h1 h2 h3 h4 h5 h6 hr li ol p pre strong table tbody td th thead tr ul".split()
)
_FORMULA = re.compile(r"\$\$[^$`]+\$\$|\$(?![\s$])[^$`\n]*(?<![\s\\])\$(?![0-9$])")
# Commands of MathJax and KaTeX that make links, styles, elements or further commands.
_ACTIVE_COMMAND = re.compile(
    r"\\(?=(?:class|csname|cssId|data|def|href|html|include|let|new|providecommand|renew|require|style|url))"
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_BLANK = "\0"  # an empty line within code, until its containers are written
_PASSES = 8


def plain(text: str) -> str:
    """Text that cannot steer a terminal: control characters but newline and tab become U+FFFD."""
    return _CONTROL.sub("\ufffd", text)


def inline(text: str) -> str:
    """HTML of plain text in which only `backticks` mark code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))


def as_markdown(text: str) -> str:
    """Markdown of plain text in which only `backticks` mark code: nothing else in it means anything."""
    parts = re.split(r"`([^`]+)`", text)
    return neutralise(_guarded("".join(_code(part) if n % 2 else _escaped(part) for n, part in enumerate(parts))))


def fenced(code: str, language: str = "") -> str:
    """Markdown that shows code as it is, whatever it contains."""
    fence = "`" * max(3, 1 + _longest_run(code))
    ending = "" if code.endswith("\n") or not code else "\n"
    return f"{fence}{language}\n{code}{ending}{fence}"


def render(markdown: str) -> str:
    """HTML of CommonMark with tables, safe to display whoever wrote it.

    Raw HTML and remote media are shown as text; links lead to http, https, mailto or within the page; nothing but the
    elements of an allow-list comes out, without styles.
    """
    import nh3

    return nh3.clean(
        _parser().render(neutralise(markdown)),
        tags=set(_TAGS),
        attributes={"a": {"href"}, "ol": {"start"}},
        attribute_filter=lambda _tag, name, value: value if name != "href" or _safe(value) else None,
        url_schemes={"http", "https", "mailto"},
    )


def neutralise(markdown: str) -> str:
    """Markdown that means the same, but in which no renderer finds anything active or anything to fetch.

    Raw HTML is escaped, media become text, links keep safe schemes only, reference links are resolved; code and
    ``$formulas$`` stay. A second pass changes nothing: what does not settle is returned as a block of code.
    """
    markdown = re.sub(r"\r\n?", "\n", markdown).replace("\0", "\ufffd")
    for _ in range(_PASSES):
        before, markdown = markdown, _rewritten(markdown)
        if markdown == before:
            return markdown
    return fenced(markdown)


@cache
def _parser() -> MarkdownIt:
    """CommonMark with tables and formulas, without raw HTML."""
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    parser.inline.ruler.before("escape", "formula", _formula)
    parser.add_render_rule("formula", lambda _self, tokens, at, _options, _env: html.escape(tokens[at].content))
    return parser


def _formula(state: StateInline, silent: bool) -> bool:
    """The rule of the parser that takes ``$formula$`` and ``$$formula$$`` as they are."""
    found = _FORMULA.match(state.src, state.pos, state.posMax)
    if not found or "](" in found[0] or not _balanced(found[0]) or found[0].endswith("\\$$"):
        return False
    if not silent:
        token = state.push("formula", "", 0)
        token.content = _ACTIVE_COMMAND.sub(r"\\\\ ", found[0]).replace("<", r"\lt ")
    state.pos = found.end()
    return True


def _balanced(formula: str) -> bool:
    """Whether braces pair: JupyterLab lets a formula with an open brace go on past its end."""
    depth = 0
    for brace in re.findall(r"(?<!\\)[{}]", formula):
        depth += 1 if brace == "{" else -1
        if depth < 0:
            return False
    return depth == 0


def _safe(url: str) -> bool:
    return bool(re.match(r"(?:https?://[^/]|mailto:|#)", url, re.IGNORECASE))
