"""Tables of results: what they let one say, and what they do not."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import combinations, permutations

from alain_magics.lessons.document import Table
from alain_magics.lessons.teachers.card.items import Computed, Plan, Slip, at, rounded
from alain_magics.lessons.teachers.card.model import Model, plain_name

FEWEST_ROWS, MOST_ROWS = 4, 12
_SCORE = re.compile(r"(-?\d{1,6}(?:\.\d{1,4})?)\s?%?")


@dataclass(frozen=True)
class Results:
    """Rows of a table by name, each with one number per column; ``own`` is the row of the card's model, if any."""

    columns: tuple[str, ...]
    rows: dict[str, tuple[float, ...]]
    table: Table
    own: str = ""


def read_results(model: Model) -> Results | None:
    """The first table whose rows have names and whose other columns are all numbers; that of the own model first."""
    found = [results for table in model.document.tables if (results := _read(model, table))]
    return next((results for results in found if results.own), found[0] if found else None)


def _read(model: Model, table: Table) -> Results | None:
    if not FEWEST_ROWS <= len(table.rows) <= MOST_ROWS or any(len(row) != len(table.header) for row in table.rows):
        return None
    names = [plain_name(row[0]) for row in table.rows]
    columns = [
        (plain_name(title), [float(match[1]) for match in matches if match])
        for index, title in enumerate(table.header[1:], 1)
        if title.strip() and all(matches := [_SCORE.fullmatch(row[index].strip()) for row in table.rows])
    ]
    if not columns or len(set(names)) < len(names) or len({title for title, _ in columns}) < len(columns):
        return None
    values = list(zip(*(scores for _, scores in columns), strict=True))
    titles = {plain_name(model.document.title), *(plain_name(heading.title) for heading in model.document.headings[:3])}
    own = next((name for name in names if _folded(name) in {_folded(title) for title in titles}), "")
    return Results(tuple(title for title, _ in columns), dict(zip(names, values, strict=True)), table, own)


def _folded(name: str) -> str:
    return re.sub(r"[\W_]", "", name).casefold()


def plan_results(model: Model) -> Plan | None:
    """What follows from the numbers of a table."""
    results = read_results(model)
    if results is None:
        return None
    first = _pick_columns(results)
    items = [
        _lead(model, results),
        _difference(results, first[0]),
        _spread(results, first[0]),
        _swap(results, first),
        _best(results, first[-1]),
    ]
    fact = at(results.table.span, "card")
    return Plan(
        title="What the results say",
        objective="Read a table of results: compare rows, compare columns, see where rankings disagree",
        prose=(
            f"The card gives a table of results with {len(results.rows)} rows; the numbers are its own claims. Only "
            "numbers of one column can be compared. The difference of two percentages is in points; divided by one "
            "of them it is in per cent. A column does not rank the rows for every purpose: another may order them "
            "differently. The program holds the numbers for the questions below."
        ),
        facts=(fact,),
        code=_shown(results),
        items=tuple(item for item in items if item),
    )


def _pick_columns(results: Results) -> tuple[int, ...]:
    """Two columns whose rankings differ if there are any, else the first two."""
    pairs = list(combinations(range(len(results.columns)), 2))
    return next((pair for pair in pairs if _swapped(results, *pair)), pairs[0] if pairs else (0,))


def _column(results: Results, index: int, names: Sequence[str] = ()) -> str:
    """A column as the text of a dictionary, one row a line."""
    rows = [(name, results.rows[name]) for name in names or results.rows]
    return "{\n" + "".join(f"    {name!r}: {row[index]:.12g},\n" for name, row in rows) + "}"


def _shown(results: Results) -> str:
    rows = "".join(f"    {name!r}: {tuple(row)!r},\n" for name, row in results.rows.items())
    return (
        f"columns = {results.columns!r}\nrows = {{\n{rows}}}\n"
        "for index, column in enumerate(columns):\n"
        '    print("mean of", column, "=", round(sum(row[index] for row in rows.values()) / len(rows), 3))'
    )


def _sibling(results: Results) -> str:
    """The row that is most like the own one."""
    others = [name for name in results.rows if name != results.own]
    return max(others, key=lambda name: SequenceMatcher(None, name, results.own).ratio())


def _comparable(results: Results) -> list[int]:
    """Columns on a scale from 0 to 100."""
    every = range(len(results.columns))
    return [i for i in every if 1 < max(row[i] for row in results.rows.values()) <= 100]


def _lead(model: Model, results: Results) -> Computed | None:
    columns = _comparable(results)
    if not results.own or len(columns) < 3:
        return None
    other = _sibling(results)
    own_scores = {results.columns[i]: results.rows[results.own][i] for i in columns}
    other_scores = {results.columns[i]: results.rows[other][i] for i in columns}
    leads = {name: round(own_scores[name] - other_scores[name], 4) for name in own_scores}
    ranked = sorted(leads, key=lambda name: leads[name], reverse=True)
    if leads[ranked[0]] <= 0 or leads[ranked[0]] - leads[ranked[1]] < 0.05:
        return None
    highest = max(own_scores, key=lambda name: own_scores[name])
    slips = []
    for name in dict.fromkeys([highest, *ranked[1:]]):
        if name != ranked[0]:
            why = "There the score itself is highest; the lead is" if name == highest else "There the lead is"
            slips.append(
                Slip(
                    "another column",
                    "print(max(lead, key=lead.get))",
                    f"print(lead[{name!r}])",
                    f"{why} {{output}} points.",
                    text=name,
                )
            )
    return Computed(
        form="single",
        stem=f"In the card's table, by which measure is {results.own} furthest ahead of {other}, in points?",
        code=(
            f"own = {own_scores!r}\n"
            f"other = {other_scores!r}\n"
            "lead = {name: round(own[name] - other[name], 2) for name in own}\n"
            "print(max(lead, key=lead.get))"
        ),
        slips=tuple(slips[:3]),
        facts=(at(results.table.span, "card"),),
        explanation="; ".join(f"{name}: {lead:+g}" for name, lead in leads.items()) + ".",
        hint="Subtract column by column; the highest score is not what is asked.",
        difficulty="intermediate",
    )


def _difference(results: Results, column: int) -> Computed | None:
    if not results.own:
        return None
    other = _sibling(results)
    own, theirs = results.rows[results.own][column], results.rows[other][column]
    if own == theirs or min(own, theirs) <= 0:
        return None
    above, below = (results.own, other) if own > theirs else (other, results.own)
    high, low = max(own, theirs), min(own, theirs)
    return Computed(
        form="numeric",
        stem=(
            f"The card's table gives {high:.12g} for {above} and {low:.12g} for {below} ({results.columns[column]}). "
            "By how many per cent of the lower number is the higher one larger?"
        ),
        code=f"high, low = {high:.12g}, {low:.12g}\n" + rounded("100 * (high - low) / low"),
        slips=(
            Slip(
                "points for per cent",
                "100 * (high - low) / low",
                "high - low",
                "That is the difference in points; per cent relates it to the lower number.",
            ),
            Slip("related to the higher", "/ low", "/ high", "That relates the difference to the higher number."),
            Slip(
                "quotient",
                "100 * (high - low) / low",
                "100 * high / low",
                "That is the whole quotient in per cent, not how much it exceeds 100.",
            ),
        ),
        facts=(at(results.table.span, "card"),),
        explanation=f"The difference is {high - low:.4g} points, which is that share of {low:.12g}.",
        unit="%",
        hint="The difference first, then its share of the lower number.",
    )


def _spread(results: Results, column: int) -> Computed | None:
    if results.own:
        return None
    title = results.columns[column]
    return Computed(
        form="numeric",
        stem=(
            f"By how much does {title} vary over the {len(results.rows)} rows of the card's table: what is the "
            "highest value less the lowest?"
        ),
        code=f"scores = {_column(results, column)}\n" + rounded("max(scores.values()) - min(scores.values())"),
        slips=(
            Slip(
                "highest less mean",
                "min(scores.values())",
                "sum(scores.values()) / len(scores)",
                "That is the highest value less the mean.",
            ),
            Slip("highest", " - min(scores.values())", "", "That is the highest value alone."),
        ),
        facts=(at(results.table.span, "card"),),
        explanation=(
            "The result depends on the test set as well as on the model: the extremes are "
            f"{max(row[column] for row in results.rows.values()):g} and "
            f"{min(row[column] for row in results.rows.values()):g}."
        ),
        unit=title if len(title) < 20 else "",
    )


def _swapped(results: Results, one: int, two: int) -> list[tuple[str, str]]:
    """Pairs of rows that two columns order differently."""
    rows = results.rows
    return [
        (a, b) for a, b in combinations(rows, 2) if (rows[a][one] - rows[b][one]) * (rows[a][two] - rows[b][two]) < 0
    ]


def _swap(results: Results, columns: tuple[int, ...]) -> Computed | None:
    """Four pairs of four rows, so that every row occurs twice: one pair is ordered differently by the two columns."""
    if len(columns) < 2:
        return None
    one, two = columns
    rows = results.rows
    circle = circle_of_four(results, one, two)
    if circle is None:
        return None
    key, *others = zip(circle, [*circle[1:], circle[0]], strict=True)
    last = 'print(*[f"{a}, {b}" for a, b in pairs if (first[a] > first[b]) != (second[a] > second[b])])'
    return Computed(
        form="single",
        stem=(
            f"{results.columns[one]} and {results.columns[two]} mostly agree in the card's table. Which two rows do "
            "they put in opposite order?"
        ),
        code=(
            f"first = {_column(results, one, circle)}\n"
            f"second = {_column(results, two, circle)}\n"
            f"pairs = {[key, *others]!r}\n{last}"
        ),
        slips=tuple(
            Slip(
                "ordered alike",
                last,
                f"a, b = {pair!r}\nprint(first[a] > first[b], second[a] > second[b])",
                f"Both columns put {max(pair, key=lambda name: rows[name][one])} higher.",
                text=", ".join(pair),
            )
            for pair in others
        ),
        facts=(at(results.table.span, "card"),),
        explanation=(
            f"{results.columns[one]}: {rows[key[0]][one]:g} and {rows[key[1]][one]:g}; {results.columns[two]}: "
            f"{rows[key[0]][two]:g} and {rows[key[1]][two]:g}."
        ),
        hint="For each pair, see which row is higher in the first column, then in the second.",
        difficulty="intermediate",
    )


def circle_of_four(results: Results, one: int, two: int) -> tuple[str, ...] | None:
    """Rows a, b, c, d such that the columns disagree about a and b only, among neighbours; the closest call of all."""
    rows = results.rows

    def agree(a: str, b: str) -> float:
        return (rows[a][one] - rows[b][one]) * (rows[a][two] - rows[b][two])

    found = [
        (a, b, c, d)
        for a, b in _swapped(results, one, two)
        for c, d in permutations([name for name in rows if name not in (a, b)], 2)
        if agree(b, c) > 0 and agree(c, d) > 0 and agree(d, a) > 0
    ]
    return min(
        found,
        key=lambda circle: max(rows[name][one] for name in circle) - min(rows[name][one] for name in circle),
        default=None,
    )


def _best(results: Results, column: int) -> Computed | None:
    scores = {name: row[column] for name, row in results.rows.items()}
    names = sorted(scores, key=lambda name: scores[name], reverse=True)
    if len(set(scores.values())) < len(scores) or len(names[0]) + len(names[1]) > 70:
        return None
    return Computed(
        form="predict",
        stem=f"The program orders rows of the card's table by {results.columns[column]}. What does it print?",
        code=f"scores = {_column(results, column)}\nprint(sorted(scores, key=scores.get, reverse=True)[:2])",
        slips=(
            Slip(
                "ascending",
                ", reverse=True",
                "",
                "That orders from the lowest; `reverse=True` begins with the highest.",
            ),
            Slip("by name", "key=scores.get, ", "", "That orders by name; `key=scores.get` orders by the numbers."),
            Slip(
                "not ordered",
                "sorted(scores, key=scores.get, reverse=True)",
                "list(scores)",
                "These are the first two rows of the table, not ordered.",
            ),
            Slip("last two", "[:2]", "[-2:]", "These are the last two of the order; `[:2]` takes the first two."),
        ),
        facts=(at(results.table.span, "card"),),
        explanation="Highest numbers first, of which the first two are taken.",
    )
