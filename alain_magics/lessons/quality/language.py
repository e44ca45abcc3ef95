"""Small measures of English text: words, lemmas, overlap, edit distance."""

from __future__ import annotations

import re
from collections.abc import Callable, Set
from functools import lru_cache

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_CODE = re.compile(r"(?<!`)(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL)
_VERBATIM = re.compile(rf"{_CODE.pattern}|“[^”]*”|\"[^\"]*\"", re.DOTALL)
_VOWEL = re.compile("[aeiouy]")
_GRAMMAR = frozenset(
    _WORD.findall("""
        about also been being between could does each from have here into just more most much must only other over
        same should some such than that their them then there these they this those under very were what when where
        which while will with would your
    """)
)


def outside_code(text: str) -> str:
    """The text without what stands between backticks, one or a fence of them."""
    return _CODE.sub(" ", text)


def own_words(text: str) -> str:
    """The text without code and without what it quotes."""
    return _VERBATIM.sub(" ", text)


def sub_own_words(pattern: re.Pattern[str], replacement: str | Callable[[re.Match[str]], str], text: str) -> str:
    """Substitute as ``pattern.sub`` does, everywhere but in code and quotations."""
    pieces, end = [], 0
    for verbatim in _VERBATIM.finditer(text):
        pieces += [pattern.sub(replacement, text[end : verbatim.start()]), verbatim[0]]
        end = verbatim.end()
    return "".join([*pieces, pattern.sub(replacement, text[end:])])


@lru_cache(maxsize=1024)
def words(text: str) -> tuple[str, ...]:
    """The words in lower case; names in code are taken apart at their underscores."""
    return tuple(_WORD.findall(text.lower()))


@lru_cache(maxsize=4096)
def lemma(word: str) -> str:
    """The word without the commonest English endings: enough to see ``sorted`` and ``sorting`` as one."""
    word = word.removesuffix("'s").removesuffix("’s")
    if word.endswith(("ies", "ied")) and len(word) > 4:
        return word[:-3] + "y"
    for ending in ("ing", "ed"):
        stem = word.removesuffix(ending)
        if stem != word and len(stem) >= 3 and not stem.endswith("e") and _VOWEL.search(stem):
            doubled = stem[-1] == stem[-2] and stem[-1] not in "lsz"
            return stem[:-1] if doubled else stem.removesuffix("e")
    if word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > 3:
        word = word[:-1]
    return word.removesuffix("e") if len(word) > 3 else word


@lru_cache(maxsize=1024)
def content_lemmas(text: str) -> frozenset[str]:
    """Lemmas of the words of four letters or more that carry meaning."""
    return frozenset(lemma(word) for word in words(text) if len(word) >= 4 and word not in _GRAMMAR)


def jaccard(one: Set[object], two: Set[object]) -> float:
    """Shared share of two sets, 0 to 1; 1 when both are empty."""
    return len(one & two) / len(one | two) if one or two else 1.0


def edit_distance(one: str, two: str) -> int:
    """Levenshtein distance in characters, a column of the table at a time as bits (Hyyrö 2003)."""
    if not one:
        return len(two)
    all_rows, last_row = (1 << len(one)) - 1, 1 << (len(one) - 1)
    rows_of: dict[str, int] = {}
    for row, character in enumerate(one):
        rows_of[character] = rows_of.get(character, 0) | 1 << row
    up, down, distance = all_rows, 0, len(one)
    for character in two:
        equal = rows_of.get(character, 0)
        diagonal = (((equal & up) + up) ^ up) | equal | down
        right_up = (down | ~(diagonal | up)) & all_rows
        right_down = up & diagonal
        distance += bool(right_up & last_row) - bool(right_down & last_row)
        right_up, right_down = right_up << 1 | 1, right_down << 1
        up = (right_down | ~(equal | down | right_up)) & all_rows
        down = right_up & (equal | down) & all_rows
    return distance
