"""Reviewed inputs: what may be passed to a parameter of a given name, and what must hold for the call to make sense.

Calls made from nothing but a signature mostly run and mostly teach nothing. So a call is derived only where every
required parameter has a row here, and it is kept only if its result depends on every argument.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from alain_magics.lessons.document import ApiObject
from alain_magics.lessons.proving import Prover
from alain_magics.lessons.sources.module import ModuleDocument
from alain_magics.lessons.teachers.module.examples import Example, join_program
from alain_magics.lessons.teachers.module.siblings import required

LONGEST_OUTPUT = 60
MOST_CALLS = 240


@dataclass(frozen=True)
class Row:
    """Values for parameters with one of these names; ``holds`` is the precondition that they satisfy."""

    names: str
    values: tuple[str, ...]
    holds: str


ROWS = (
    Row("data values numbers nums", ("[2, 3, 3, 8]", "[7, 1, 4, 4]"), "a list of numbers, not sorted, with a repeat"),
    Row(
        "iterable iter it items xs elements", ("['b', 'a', 'c', 'a']", "['x', 'z', 'z', 'y']"), "an iterable of strings"
    ),
    Row("iterables", ("[1, 2, 3]", "['x', 'y']"), "an iterable"),
    Row("seq sequence lst array arr collection", ("['b', 'a', 'c', 'a']", "['x', 'z', 'y', 'z']"), "a sequence"),
    Row("list_of_lists lists listoflists", ("[[1, 2], [3]]", "[[4], [5, 6]]"), "a list of lists"),
    Row("pairs", ("[('a', 1), ('b', 2)]", "[('x', 3), ('y', 4)]"), "pairs"),
    Row("r k", ("2", "3"), "a small count"),
    Row("n num count times size length limit maxsplit chunk_size chunksize", ("2", "3"), "a small count"),
    Row("i index position pos idx", ("1", "2"), "an index"),
    Row("width", ("12", "20"), "a width in characters"),
    Row("start", ("1", "2"), "a small number"),
    Row("stop end", ("5", "7"), "a number above the start"),
    Row("step", ("2", "3"), "a positive step"),
    Row("number value num_ integer", ("12", "345"), "a positive integer"),
    Row("p prob probability q quantile fraction ratio", ("0.25", "0.9"), "a probability"),
    Row("word singular noun", ("'box'", "'city'"), "an English noun"),
    Row("plural", ("'boxes'", "'cities'"), "an English plural"),
    Row("text string s st txt sentence phrase", ("'hello big world'", "'one two  three'"), "words"),
    Row("line", ("'key = value'", "'one two'"), "a line of text"),
    Row("camel_cased_word camel", ("'DeviceType'", "'HTMLParser'"), "a word in camel case"),
    Row("snake underscored snake_case low_camel", ("'device_type'", "'html_parser'"), "a word in snake case"),
    Row("sep separator delimiter delim", ("' '", "'e'"), "a separator"),
    Row("prefix", ("'he'", "'on'"), "a prefix"),
    Row("suffix", ("'ld'", "'ee'"), "a suffix"),
    Row("char character ch fillchar", ("'a'", "'*'"), "one character"),
    Row("name", ("'Ada'", "'Grace'"), "a name"),
    Row("names", ("['Ada', 'Grace']", "['Alan', 'Ada']"), "a list of names"),
    Row("words tokens strings", ("['one', 'two', 'one']", "['a', 'bb', 'a']"), "a list of words"),
    Row("d dct dict_ mapping dictionary obj_dict", ("{'a': 1, 'b': 2}", "{'x': 3, 'y': 4}"), "a dictionary"),
    Row("keys", ("['a', 'b']", "['b', 'c']"), "a list of keys"),
    Row("key", ("'a'", "'b'"), "a key"),
    Row("default fillvalue", ("0", "'none'"), "a default"),
    Row(
        "predicate pred cond condition", ("lambda item: item > 'b'", "lambda item: item < 'b'"), "a test of one string"
    ),
    Row("keyfunc key_func getter", ("str.upper", "len"), "a function of one string"),
    Row("base radix", ("2", "8"), "a base"),
    Row("precision digits ndigits decimals places", ("1", "2"), "a number of digits"),
    Row("year", ("2024", "2023"), "a year"),
    Row("month", ("2", "7"), "a month"),
    Row("day", ("3", "15"), "a day of a month"),
    Row("seconds secs", ("90", "3661"), "a number of seconds"),
    Row("bytes num_bytes nbytes", ("2048", "1500000"), "a number of bytes"),
    Row("hex hex_value", ("'#ff0000'", "'#000080'"), "a colour"),
)
_BY_NAME = {name: row for row in ROWS for name in row.names.split()}


async def derived_examples(document: ModuleDocument, prover: Prover, objects: Sequence[ApiObject]) -> list[Example]:
    """At most two calls for each function whose required parameters all have a row.

    Kept are those with a short result that is no truth value, not empty and not an argument, and that changes with
    every argument.
    """
    plans = {item.path: calls_of(item) for item in objects}
    plans = {path: calls for path, calls in plans.items() if calls}
    codes = [(path, call, form) for path, calls in plans.items() for call in calls for form in ("{}", "list({})")]
    codes = codes[:MOST_CALLS]
    name = document.name
    programs = [
        join_program((f"from {name} import {path.rpartition('.')[2]}",), form.format(call))
        for path, call, form in codes
    ]
    outputs: dict[tuple[str, str], tuple[str, str]] = {}
    for (path, call, form), outcome in zip(codes, await prover.reproduce(programs), strict=True):
        if outcome is not None and outcome.ok and (path, call) not in outputs:
            outputs[path, call] = (form.format(call), outcome.output)
    found = []
    for path, calls in plans.items():
        results = [outputs.get((path, call)) for call in calls]
        texts = [result[1] for result in results if result]
        if len(texts) < len(calls) or len(set(texts)) < len(texts):
            continue
        item = document.object(path)
        for source, output in [result for result in results if result][:2]:
            if item and telling(source, output):
                imports = (f"from {name} import {item.name}",)
                found.append(Example(path, item.summary_span, imports, (), source, output, "", (path,)))
    return found


def calls_of(item: ApiObject) -> list[str]:
    """Calls that differ from the first in one argument each; none where a required parameter has no row."""
    names = required(item)
    if item.kind != "function" or item.owner or not names or len(names) > 3 or item.name.startswith("_"):
        return []
    if any(name not in _BY_NAME for name in names):
        return []
    first, other = ([_BY_NAME[name].values[n] for name in names] for n in (0, 1))
    changed = [[*first[:n], other[n], *first[n + 1 :]] for n in range(len(names))]
    return [f"{item.name}({', '.join(arguments)})" for arguments in itertools.chain([first], changed)]


def telling(source: str, output: str) -> bool:
    """Whether a result is worth showing: short, not empty, no truth value, not merely an argument."""
    if output in ("True", "False", "None", "[]", "{}", "()", "''", "set()", "0") or "\n" in output:
        return False
    return 0 < len(output) <= LONGEST_OUTPUT and output not in source
