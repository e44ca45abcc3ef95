"""The one renderer and neutraliser of text that a model, a source or a foreign notebook wrote.

Notebook trust protects nobody: a cell that ran is trusted, and its HTML is then drawn as it is. And Markdown cells are
drawn by Jupyter itself, by editors and by GitHub, never by this package. So there are two ways out of here:
:func:`render` gives HTML that is safe to display, and :func:`neutralise` gives Markdown that is safe in every renderer.
Neither lets anything run, and neither makes a reader's browser fetch anything.

``neutralise`` parses as CommonMark and writes everything anew. Outside code it writes no ``<`` at all, no image, no
reference definition, and no link but those that are safe, so no renderer can find one. JupyterLab takes formulas out of
the text before it parses it; a formula that began in one block of code and ended in another could turn what stands
between into markup. Formulas never reach over an empty line, so blocks of code stand between empty lines.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_inline import StateInline
    from markdown_it.tree import SyntaxTreeNode

# What may follow three backticks: some renderers run other names (``mermaid`` fetches images).
_LANGUAGES = re.compile(
    "bash|c|console|cpp|css|diff|html|ini|java|javascript|js|json|pycon|py|python|rst|sh|shell|sql|text|toml|ts"
    "|typescript|xml|yaml"
)
_HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}
_TAGS = {"a", "blockquote", "br", "code", "em", "hr", "li", "ol", "p", "pre", "strong", "ul"} | _HEADINGS
_TAGS |= {"span", "table", "tbody", "td", "th", "thead", "tr"}
_FORMULA = re.compile(r"\$\$[^$`]+(?<!\\)\$\$|\$(?![\s$])[^$`\n]*(?<![\s\\])\$(?![0-9$])")
# As many models write formulas; where people write Markdown, these are just brackets.
_BRACKETED = re.compile(r"\\\((?P<inline>[^$`\n]{1,999}?)\\\)|\\\[(?P<block>[^$`]{1,9999}?)\\\]")
# Commands of MathJax and KaTeX that make links, styles, elements or further commands.
_ACTIVE_COMMAND = re.compile(
    r"\\(?=(?:class|csname|cssId|data|def|href|html|include|let|newcommand|newenv|providecommand|renew|require|style|url))"
)
# In text: what an entity must replace, and what a backslash must precede.
_SPECIAL = re.compile(
    r"(?P<entity>&(?=#?\w+;)|[<`$]|\\(?=[^a-zA-Z0-9\s]|(?i:begin|end)|\s|\Z)|\](?=[(\[:]|\Z)|!(?=\[|\Z)|(?<=\{)\{|\}\Z)"
    r"|~|(?<!\s)\*|\*(?!\s)|(?<![^\W_])_|_(?![^\W_])"
)
# Where JupyterLab or nbconvert begin and end a formula, even in code within a line.
_DELIMITER = re.compile(r"\\(?:begin|end)\{|\\\\[()\[\]]|\$\$", re.IGNORECASE)
_ADDRESS = re.compile(r"://|www\.|@", re.IGNORECASE)
_NUMBERED = re.compile(r"^(\d{1,9})(?=[.)](?:\s|$))")
_BLOCK_START = re.compile(r"[>#]|[-+*](?:\s|$)|:::|[=|:-][=|:\-\s]*$")
# Those of writing directions too, which show a line in another order than it has; joiners are letters' business.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_INLINE = {"text", "code_inline", "em", "strong", "link", "image", "softbreak", "hardbreak", "formula"}
_SIMPLE = _INLINE | {"bullet_list", "ordered_list", "list_item", "paragraph", "inline"}
_ALIGNMENTS = {"text-align:left": ":---", "text-align:center": ":---:", "text-align:right": "---:"}
_BLANK = "\0"  # an empty line within code, until its containers are written
_PASSES = 8


def plain(text: str) -> str:
    """Text that cannot steer a terminal or turn lines round: controls but newline and tab become U+FFFD."""
    return _CONTROL.sub("\ufffd", text)


def inline(text: str) -> str:
    """HTML of plain text in which only `backticks` mark code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))


def as_markdown(text: str) -> str:
    """Markdown of plain text in which only `backticks` mark code: nothing else in it means anything."""
    parts = re.split(r"`([^`]+)`", _clean(text))
    return neutralise(_guarded(_joined(_code(part) if n % 2 else _escaped(part) for n, part in enumerate(parts))))


def fenced(code: str, language: str = "") -> str:
    """Markdown that shows code as it is, whatever it contains."""
    fence = "`" * max(3, 1 + _longest_run(code))
    ending = "\n" if code and not code.endswith("\n") else ""
    return f"{fence}{language}\n{code}{ending}{fence}"


def render(markdown: str) -> str:
    """HTML of CommonMark with tables, safe to display whoever wrote it.

    Raw HTML and media are shown as text; links lead to http, https, mailto or within the page; nothing but the
    elements of an allow-list comes out, without styles. A ``$`` outside formulas has an element of its own, so that no
    page takes two of them for a formula.
    """
    import nh3

    return nh3.clean(
        _parser().render(neutralise(markdown)),
        tags=_TAGS,
        attributes={"a": {"href"}, "ol": {"start"}},
        attribute_filter=lambda _tag, name, value: value if name != "href" or _safe(value) else None,
        url_schemes={"http", "https", "mailto"},
    )


def neutralise(markdown: str) -> str:
    """Markdown that means the same, but in which no renderer finds anything active or anything to fetch.

    Raw HTML is escaped, media become text, links keep safe schemes only, reference links are resolved; code and
    ``$formulas$`` stay. A second pass changes nothing: what does not settle is returned as a block of code.
    """
    markdown = _clean(markdown)
    for _ in range(_PASSES):
        before, markdown = markdown, _rewritten(markdown)
        if markdown == before:
            return markdown
    return fenced(markdown)


def neutralise_answer(markdown: str) -> str:
    r"""The same for what a model answers: formulas may stand in ``\(…\)`` and ``\[…\]``, which become dollars."""
    return neutralise(_rewritten(_clean(markdown), brackets=True) if re.search(r"\\[(\[]", markdown) else markdown)


def displayed(markdown: str) -> str:
    """The Markdown of an answer for an output of a notebook, where two prices in dollars would make a formula."""
    neutral = neutralise_answer(markdown)
    return neutral if "&#36;" in markdown else neutral.replace("&#36;", "<span>&#36;</span>")


def _clean(text: str) -> str:
    """Text with one kind of line ending and no NUL, as a parser sees it."""
    return re.sub(r"\r\n?", "\n", text).replace("\0", "\ufffd")


@cache
def _parser(*, brackets: bool = False) -> MarkdownIt:
    """CommonMark with tables and formulas (with ``brackets``: in brackets too), without raw HTML."""
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    parser.inline.ruler.before("escape", "formula", _formula)
    if brackets:
        parser.inline.ruler.before("formula", "bracketed", _bracketed)
    parser.add_render_rule("formula", lambda _self, tokens, at, _options, _env: html.escape(tokens[at].content))
    parser.add_render_rule("text", lambda _self, tokens, at, _options, _env: _prose(tokens[at].content))
    return parser


def _prose(text: str) -> str:
    return html.escape(text).replace("$", "<span>$</span>")


def _formula(state: StateInline, silent: bool) -> bool:
    """The parser's rule that takes ``$formula$`` and ``$$formula$$`` as they are."""
    found = _FORMULA.match(state.src, state.pos, state.posMax)
    return found is not None and _take_formula(state, silent, found[0], found.end())


def _bracketed(state: StateInline, silent: bool) -> bool:
    """The parser's rule that takes a formula in brackets as one in dollars."""
    found = _BRACKETED.match(state.src, state.pos, state.posMax)
    if not found:
        return False
    formula = f"$${found['block']}$$" if found["block"] else f"${found['inline'].strip()}$"
    whole = _FORMULA.match(formula + state.src[found.end() : found.end() + 1])
    return whole is not None and whole[0] == formula and _take_formula(state, silent, formula, found.end())


def _take_formula(state: StateInline, silent: bool, formula: str, end: int) -> bool:
    """Let a formula stand where the parser is, if it is one for every renderer."""
    if not _closed(formula):
        return False
    if not silent:
        state.push("formula", "", 0).content = re.sub("< ?", r"\\lt ", _disarmed(formula))
    state.pos = end
    return True


def _closed(formula: str) -> bool:
    """Whether all that a formula opens ends within it (else renderers let it go on), and it is no link without them."""
    opened = []
    for mark, name in re.findall(r"(?<!\\)([{}])|(\\(?:begin|end)\{[^{}]*\})", formula, re.IGNORECASE):
        opening = name.replace("\\end", "\\begin") or "{"
        if mark == "{" or name == opening:
            opened.append(opening)
        elif not opened or opened.pop() != opening:
            return False
    return not opened and not re.search(r"\]\(|\\\\[()\[\]]", formula)


def _disarmed(text: str) -> str:
    """No command that a formula should not have: a word joiner breaks its name."""
    return _ACTIVE_COMMAND.sub("\\\\\u2060", text)


def _safe(url: str) -> bool:
    return bool(re.match(r"https?://[^/]|mailto:|#", url, re.IGNORECASE))


def _rewritten(markdown: str, *, brackets: bool = False) -> str:
    """One pass: parse, and write every block anew."""
    from markdown_it.tree import SyntaxTreeNode

    root = SyntaxTreeNode(_parser(brackets=brackets).parse(markdown))
    return re.sub(f" *{_BLANK}", "", _blocks(root.children))


def _blocks(nodes: Iterable[SyntaxTreeNode], gap: str = "\n\n") -> str:
    return gap.join(block for node in nodes if (block := _block(node)))


def _block(node: SyntaxTreeNode) -> str:
    match node.type:
        case "heading":
            text = re.sub(r"(?<!\S)(#+)$", r"\\\1", _one_line(node))
            return f"{'#' * int(node.tag[1])} {text}".rstrip()
        case "fence" | "code_block":
            language = node.info.partition(" ")[0].lower()
            code = fenced(node.content, language if _LANGUAGES.fullmatch(language) else "")
            return re.sub(r"^$", _BLANK, code, flags=re.MULTILINE)
        case "hr":
            return "___"
        case "blockquote":
            return _quote(node)
        case "bullet_list" | "ordered_list":
            return _list(node)
        case "table":
            return _table(node)
        case _:
            return _guarded(_spans(node.children[0].children))


def _quote(node: SyntaxTreeNode) -> str:
    # A line with only ">" is not empty for JupyterLab, so code in which it could begin a formula splits the quote.
    code = "".join(inner.content for inner in node.walk() if inner.type in ("fence", "code_block"))
    empty = "" if "$" in code or _DELIMITER.search(code) else ">"
    return "\n".join(f"> {line}" if line else empty for line in _blocks(node.children).split("\n"))


def _list(node: SyntaxTreeNode) -> str:
    tight = all(inner.type in _SIMPLE and (inner.type != "paragraph" or inner.hidden) for inner in node.walk())
    gap = "\n" if tight else "\n\n"
    items = []
    for number, item in enumerate(node.children, int(node.attrs.get("start", 1))):
        marker = f"{number}{item.markup} " if node.type == "ordered_list" else f"{item.markup} "
        first, *rest = _blocks(item.children, gap).split("\n")
        indented = (" " * len(marker) + line if line else "" for line in rest)
        items.append("\n".join(((marker + first).rstrip(), *indented)))
    return gap.join(items)


def _table(node: SyntaxTreeNode) -> str:
    head, *rows = [row.children for part in node.children for row in part.children]
    rule = [_ALIGNMENTS.get(str(cell.attrs.get("style")), "---") for cell in head]
    lines = [[_cell(cell) for cell in head], rule, *([_cell(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(node: SyntaxTreeNode) -> str:
    return re.sub(r"(?<!\\)\|", r"\\|", _one_line(node, "table"))


def _one_line(node: SyntaxTreeNode, inside: str = "") -> str:
    return re.sub(r"\\?\n", " ", _spans(node.children[0].children, inside)).strip()


def _spans(nodes: Iterable[SyntaxTreeNode], inside: str = "") -> str:
    return _joined(_span(node, inside) for node in nodes)


def _joined(spans: Iterable[str]) -> str:
    text = ""
    for span in spans:
        text += f" {span}" if _would_join(text, span) else span
    return text


def _would_join(text: str, span: str) -> bool:
    """Whether code would be taken for a part of what stands before it: other code, or a bare address.

    An address ends at a space, but not at one within a formula.
    """
    if "`" not in (span if "$" in span else re.split(r"[ \n]", span, maxsplit=1)[0]) or text[-1:] in ("", " ", "\n"):
        return False
    start = 0 if "$" in text else max(text.rfind(" "), text.rfind("\n")) + 1
    return text[-1] == "`" or bool(_ADDRESS.search(text, start))


def _span(node: SyntaxTreeNode, inside: str) -> str:
    match node.type:
        case "em" | "strong":
            text, mark = _spans(node.children, inside), "*" if node.type == "em" else "**"
            return f"{mark}{text}{mark}" if text and text == text.strip() else text
        case "link":
            url = str(node.attrs["href"])
            if not _safe(url):
                return _spans(node.children, inside)
            text = _spans(node.children, f"{inside} link") or _escaped(url, "link")
            return f"[{text}]({_destination(url)})"
        case "image":
            url = str(node.attrs["src"])
            described = [part for part in (node.content.strip(), url if _safe(url) else "") if part]
            return _escaped(f"(image: {', '.join(described)})" if described else "(image)", inside)
        case "code_inline":
            return _code(node.content, inside)
        case "softbreak":
            return "\n"
        case "hardbreak":
            return "\\\n"
        case "formula":
            return node.content
        case _:
            return _escaped(node.content, inside)


def _escaped(text: str, inside: str = "") -> str:
    """Markdown that shows plain text as it is."""
    text = _SPECIAL.sub(lambda found: f"&#{ord(found[0])};" if found["entity"] else f"\\{found[0]}", _disarmed(text))
    text = text.replace("&#60;", "&lt;").replace("&#38;", "&amp;")
    if "link" in inside:
        text = text.replace("]", "&#93;")
    # An open bracket could find its end in code further on.
    return text.replace("[", "&#91;") if "[" in re.sub(r"\[[^\[\]]*\]", "", text) else text


def _code(code: str, inside: str = "") -> str:
    """Code within a line; as text where JupyterLab could begin a formula in it, or a table could be cut in it."""
    if _DELIMITER.search(code) or ("table" in inside and "\\|" in code):
        return _escaped(code, inside)
    code = code.replace("\n", " ")
    fence = "`" * (1 + _longest_run(code))
    padded = code.startswith("`") or code.endswith("`") or (code[0] == code[-1] == " " and not code.isspace())
    return f"{fence} {code} {fence}" if padded else f"{fence}{code}{fence}"


def _destination(url: str) -> str:
    encoded = re.sub(r"[$()<>\\`\"\s]", lambda found: f"%{ord(found[0]):02X}", url)
    return re.sub(r"&(?=#?\w+;)", "&amp;", encoded)


def _guarded(text: str) -> str:
    """Lines none of which begins a block."""
    lines = (_NUMBERED.sub(r"\1\\", line.strip(" \t")) for line in text.split("\n"))
    return "\n".join(f"\\{line}" if _BLOCK_START.match(line) else line for line in lines)


def _longest_run(code: str) -> int:
    return max(map(len, re.findall(r"`+", code)), default=0)
