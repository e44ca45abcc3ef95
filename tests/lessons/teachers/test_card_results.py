"""Tables of results: which are used, and that what is asked of them is right."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

from hypothesis import assume, given
from hypothesis import strategies as st

from alain_magics.lessons.document import Span, Table
from alain_magics.lessons.sources.card import read_card
from alain_magics.lessons.teachers.card.model import Model, read_model
from alain_magics.lessons.teachers.card.results import Results, circle_of_four, plan_results, read_results


def model_with(folder: Path, table: str) -> Model:
    path = folder / "README.md"
    path.write_text(f"# Ours 2\n\n{table}\n")
    return read_model(read_card(path))


def test_numbers_lose_their_bold_type_and_per_cent_signs(tmp_path: Path) -> None:
    table = "| Model | A@1 | Link |\n|---|---|---|\n| **Ours 2** | **91.5%** | x |\n" + "".join(
        f"| M{i} | {i}.5 % | y |\n" for i in range(3)
    )
    results = read_results(model_with(tmp_path, table))
    assert results is not None
    assert results.columns == ("A@1",)
    assert results.rows["Ours 2"] == (91.5,)
    assert results.own == "Ours 2"


def test_tables_with_gaps_few_rows_or_equal_names_are_passed_over(tmp_path: Path) -> None:
    head = "| Model | A |\n|---|---|\n"
    for rows in (
        "| a | 1 |\n| b | 2 |\n| c | 3 |\n",
        "| a | 1 |\n| b | - |\n| c | 3 |\n| d | 4 |\n",
        "| a | 1 |\n" * 5,
    ):
        assert read_results(model_with(tmp_path, head + rows)) is None
        assert plan_results(model_with(tmp_path, head + rows)) is None


def test_the_table_of_the_own_model_is_preferred(shared: Path) -> None:
    path = shared / "fixtures" / "model_cards" / "deepseek-ai-deepseek-r1-distill-qwen-32b.md"
    results = read_results(read_model(read_card(path)))
    assert results is not None
    assert results.own == "DeepSeek-R1-Distill-Qwen-32B"
    assert results.rows[results.own] == (72.6, 83.3, 94.3, 62.1, 57.2, 1691.0)


scores = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=4, max_size=8)


@given(scores)
def test_of_four_pairs_exactly_one_is_ordered_differently(pairs: list[tuple[int, int]]) -> None:
    rows = {f"row {i}": (float(a), float(b)) for i, (a, b) in enumerate(pairs)}
    circle = circle_of_four(Results(("one", "two"), rows, Table((), (), Span(0, 0))), 0, 1)

    def order(a: str, b: str) -> float:
        return (rows[a][0] - rows[b][0]) * (rows[a][1] - rows[b][1])

    assume(circle is not None)
    assert circle is not None
    assert len(set(circle)) == 4
    neighbours = list(zip(circle, [*circle[1:], circle[0]], strict=True))
    assert [order(a, b) < 0 for a, b in neighbours] == [True, False, False, False]
    assert all(order(a, b) != 0 for a, b in neighbours)
    assert any(order(a, b) < 0 for a, b in combinations(rows, 2))
