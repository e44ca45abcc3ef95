"""Notebooks that somebody edited, ran, damaged or wrote without this package."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output, new_raw_cell

from alain_magics.errors import NotebookError, PayloadError
from alain_magics.lessons.notebook import dumps, from_notebook, loads, problems, to_notebook
from alain_magics.lessons.schema import (
    Citation,
    CodeStep,
    Exercise,
    Lesson,
    Option,
    Proof,
    Provenance,
    Question,
    Run,
    Section,
    Test,
    TextStep,
)

PROOF = Proof(runs=[Run(code="1 + 1", output="2")], versions={}, isolation="isolated", seeds=[0, 1]).sealed()
CITED = [Citation(ref="sum", start=0, end=3, quote="Sum")]
TEXT = TextStep(id="t-1", markdown="A sum <b>is</b> a sum.", citations=CITED)
CODE = CodeStep(id="c-1", source="1 + 1", output="2", proof=PROOF)
QUESTION = Question(
    id="q-1",
    form="predict",
    stem="What is `1 + 2` *here*?",
    code="1 + 2",
    options=[Option(text="3", correct=True), Option(text="12"), Option(text="1")],
    proof=PROOF,
)
EXERCISE = Exercise(
    id="e-1", task="Add.", starter="def f(n): ...", solution="def f(n): return n", tests=[Test(call="f(1)", output="1")]
)
LESSON = Lesson(
    title="Sums & more",
    description="Adding *numbers*.",
    objectives=["add", "`sum`"],
    prerequisites=["count"],
    source=Provenance(kind="module", ref="builtins"),
    sections=[Section(title="Adding", steps=[TEXT, CODE, QUESTION, EXERCISE]), Section(title="Rest")],
    summary="It adds up.",
    references=["the manual"],
    next_steps=["products"],
)


def edited(**sources: str) -> Lesson:
    """The lesson read from its notebook after the first cells of some kinds got other sources."""
    nb = to_notebook(LESSON)
    for kind, source in sources.items():
        cell_of(nb, kind).source = source
    return from_notebook(loads(dumps(nb)))


def cell_of(nb: Any, kind: str) -> Any:
    return next(cell for cell in nb.cells if cell.metadata.get("alain", {}).get("kind") == kind)


def without(nb: Any, *kinds: str) -> Any:
    nb.cells = [cell for cell in nb.cells if cell.metadata.alain.kind not in kinds]
    return nb


def test_an_edited_text_is_read_and_keeps_its_citations() -> None:
    assert edited(text="Better.").steps()[0] == TEXT.model_copy(update={"markdown": "Better."})


def test_an_untouched_text_comes_back_as_it_was_before_it_was_neutralised() -> None:
    assert "&lt;b>" in cell_of(to_notebook(LESSON), "text").source
    assert edited().steps()[0] == TEXT


def test_edited_code_loses_its_proof_and_takes_the_output_of_its_cell() -> None:
    nb = to_notebook(LESSON)
    cell = cell_of(nb, "code")
    cell.source = "print(1)\n2 + 2"
    cell.outputs = [new_output("stream", text="1\n"), new_output("execute_result", data={"text/plain": "4"})]
    assert from_notebook(nb).steps()[1] == CodeStep(id="c-1", source="print(1)\n2 + 2", output="1\n4")
    assert problems(nb) == ["Cell 5: the code was edited, so its proof no longer counts."]


def test_code_that_was_only_run_or_cleared_keeps_its_expected_output() -> None:
    nb = to_notebook(LESSON)
    cell_of(nb, "code").outputs = []
    assert from_notebook(nb) == LESSON


def test_an_edited_title_description_or_list_is_read() -> None:
    source = cell_of(to_notebook(LESSON), "intro").source
    lesson = edited(intro=source.replace("Sums &", "Totals &").replace("- add", "* subtract").replace("- count\n", ""))
    expected = {"title": "Totals & more", "objectives": ["subtract", "`sum`"], "prerequisites": []}
    assert lesson == LESSON.model_copy(update=expected)


def test_an_edited_summary_is_read() -> None:
    source = cell_of(to_notebook(LESSON), "closing").source
    lesson = edited(closing=source.replace("It adds up.", "It adds up.\n\nAlways."), section="## Plus")
    assert lesson.summary == "It adds up.\n\nAlways."
    assert lesson.references == LESSON.references
    assert lesson.sections[0].title == "Plus"


def test_what_the_deleted_closing_said_is_gone_but_a_lesson_keeps_its_title() -> None:
    lesson = from_notebook(without(to_notebook(LESSON), "intro", "closing"))
    assert (lesson.title, lesson.description, lesson.summary, lesson.references) == ("Sums & more", "", "", [])
    assert lesson.sections == LESSON.sections


def test_an_edited_stem_is_read_and_edited_code_loses_the_proof() -> None:
    stem = edited(stem="What is `1 + 2`?\n\n```python\n1 + 2\n```").questions()[0]
    assert stem == QUESTION.model_copy(update={"stem": "What is `1 + 2`?"})
    code = edited(stem="What is `1 + 2` \\*here\\*?\n\n```python\n1 + 3\n```").questions()[0]
    assert code == QUESTION.model_copy(update={"code": "1 + 3", "proof": None})


def test_a_learners_solution_is_no_part_of_the_lesson_but_an_edited_task_is() -> None:
    assert edited(starter="def f(n): return n") == LESSON
    assert edited(task="Add them.").steps()[3] == EXERCISE.model_copy(update={"task": "Add them."})


def test_a_deleted_question_leaves_its_stem_as_text() -> None:
    steps = from_notebook(without(to_notebook(LESSON), "question")).steps()
    assert [step.kind for step in steps] == ["text", "code", "text", "exercise"]
    assert isinstance(steps[2], TextStep)
    assert steps[2].markdown.startswith("What is `1 + 2`")


def test_a_question_without_its_stem_is_whole() -> None:
    assert from_notebook(without(to_notebook(LESSON), "stem")) == LESSON


def test_of_a_repeated_question_the_first_counts_and_the_other_is_reported() -> None:
    nb = to_notebook(LESSON)
    nb.cells += [nbformat.from_dict({**cell_of(nb, kind), "id": f"{kind}-2"}) for kind in ("stem", "question")]
    assert from_notebook(nb).questions() == LESSON.questions()
    assert problems(nb) == [f"Cell {len(nb.cells)} repeats the question q-1; the first one counts."]


def test_a_copied_text_becomes_a_step_of_its_own() -> None:
    nb = to_notebook(LESSON)
    nb.cells.append(nbformat.from_dict({**cell_of(nb, "text"), "id": "copy"}))
    ids = [step.id for step in from_notebook(nb).steps()]
    assert ids == ["t-1", "c-1", "q-1", "e-1", "t-1-2"]


def test_a_question_is_known_by_its_source_alone() -> None:
    nb = to_notebook(LESSON)
    for cell in nb.cells:
        cell.metadata = {}
    (question,) = from_notebook(loads(dumps(nb))).questions()
    assert question == QUESTION


@pytest.mark.parametrize("damage", [lambda source: source[:-20] + '")', lambda source: source.replace('("', '("AAAA')])
def test_a_damaged_question_is_reported_with_its_cell(damage: Callable[[str], str]) -> None:
    nb = to_notebook(LESSON)
    cell = cell_of(nb, "question")
    cell.source = damage(cell.source)
    with pytest.raises(PayloadError, match=r"^Cell 7: The encoded part of this cell is damaged"):
        from_notebook(nb)


def test_a_question_cell_with_other_code_is_code() -> None:
    steps = edited(question="1 + 1").steps()
    assert isinstance(steps[3], CodeStep)
    assert steps[3].source == "1 + 1"


def test_a_call_that_only_looks_like_a_question_is_code() -> None:
    nb = new_notebook(cells=[new_code_cell('question("what?")'), new_code_cell('check("QUJD")')])
    assert [step.kind for step in from_notebook(nb).steps()] == ["code", "code"]


def test_a_cell_that_changed_its_type_is_taken_as_it_is_now() -> None:
    nb = to_notebook(LESSON)
    position = nb.cells.index(cell_of(nb, "code"))
    nb.cells[position] = new_markdown_cell("1 + 1", metadata=nb.cells[position].metadata)
    step = from_notebook(nb).steps()[1]
    assert isinstance(step, TextStep)
    assert step.markdown == "1 + 1"


def test_cells_of_learners_become_text_and_code_without_proof() -> None:
    nb = to_notebook(LESSON)
    picture = {"x.png": {"image/png": "AA=="}}
    plot = new_output("display_data", data={"image/png": "AA==", "text/plain": "<Figure>"})
    error = new_output("error", ename="E", evalue="e", traceback=["t"])
    nb.cells[3:3] = [
        new_markdown_cell("My ![note](attachment:x.png)", attachments=picture, id="note"),
        new_code_cell("%matplotlib inline\nplot()", outputs=[plot, error], execution_count=7, id="plot"),
        new_raw_cell("raw"),
        new_code_cell("   ", id="empty"),
        new_markdown_cell("## My section\n\nmine", id="mine"),
    ]
    lesson = from_notebook(loads(dumps(nb)))
    assert [section.title for section in lesson.sections] == ["Adding", "My section", "Rest"]
    assert lesson.sections[0].steps == [
        TextStep(id="note", markdown="My ![note](attachment:x.png)"),
        CodeStep(id="plot", source="%matplotlib inline\nplot()", output="<Figure>"),
    ]
    assert lesson.sections[1].steps == [TextStep(id="mine", markdown="mine"), *LESSON.sections[0].steps]
    assert from_notebook(loads(dumps(to_notebook(lesson)))) == lesson


def test_a_notebook_of_somebody_else_becomes_a_lesson() -> None:
    nb = new_notebook(
        cells=[
            new_code_cell("import math", id="a"),
            new_markdown_cell("# Circles #\nAbout circles.", id="b"),
            new_markdown_cell("## Area", id="c"),
            new_code_cell("math.pi", outputs=[new_output("execute_result", data={"text/plain": "3.14"})], id="d"),
            new_markdown_cell("# Other\n\n### Small", id="e"),
        ]
    )
    assert from_notebook(nb) == Lesson(
        title="Circles",
        source=Provenance(kind="notebook", ref=""),
        sections=[
            Section(
                title="Circles",
                steps=[CodeStep(id="a", source="import math"), TextStep(id="b", markdown="About circles.")],
            ),
            Section(title="Area", steps=[CodeStep(id="d", source="math.pi", output="3.14")]),
            Section(title="Other", steps=[TextStep(id="e", markdown="### Small")]),
        ],
    )


@pytest.mark.parametrize(("metadata", "title"), [({"title": "Named"}, "Named"), ({}, "Untitled notebook")])
def test_a_notebook_without_a_heading_is_named_by_its_metadata(metadata: dict[str, str], title: str) -> None:
    lesson = from_notebook(new_notebook(cells=[new_code_cell("1")], metadata=metadata))
    assert (lesson.title, lesson.sections[0].title) == (title, title)


def test_published_notebooks_of_the_predecessor_are_read(shared: Path) -> None:
    paths = sorted((shared / "fixtures" / "alain_notebooks").glob("*.ipynb"))
    lessons = [from_notebook(loads(path.read_bytes())) for path in paths]
    assert [len(lesson.sections) > 4 and len(lesson.steps()) > 4 for lesson in lessons] == [True] * 6
    assert lessons[2].title == "GPT-5 prompting guide"
    for lesson in lessons:
        assert from_notebook(loads(dumps(to_notebook(lesson)))) == lesson


@pytest.mark.parametrize(
    ("where", "says"),
    [
        (("lesson", "source", "ref"), "This notebook: what it notes of its lesson is damaged at 'source.ref'."),
        (("lesson", "title"), "This notebook: what it notes of its lesson is damaged at 'title'."),
    ],
)
def test_a_damaged_head_is_reported(where: tuple[str, ...], says: str) -> None:
    nb = to_notebook(LESSON)
    place = nb.metadata.alain
    for name in where[:-1]:
        place = place[name]
    place[where[-1]] = 5
    with pytest.raises(NotebookError) as caught:
        from_notebook(nb)
    assert str(caught.value).startswith(says)


def test_damaged_metadata_of_a_cell_is_reported_with_its_number() -> None:
    nb = to_notebook(LESSON)
    cell_of(nb, "text").metadata.alain.fields["citations"] = [{"ref": 1}]
    with pytest.raises(NotebookError, match=r"^Cell 4: what it notes of its lesson is damaged at 'citations.0.ref'"):
        from_notebook(nb)


@pytest.mark.parametrize(
    "mark", [5, [], {}, {"kind": 5}, {"kind": "unheard"}, {"kind": "stem", "id": ["x"]}, {"fields": 1}]
)
def test_strange_marks_make_a_cell_foreign(mark: Any) -> None:
    nb = new_notebook(cells=[new_markdown_cell("text", metadata={"alain": mark}, id="a")], metadata={"alain": mark})
    assert from_notebook(nb).steps() == [TextStep(id="a", markdown="text")]


def test_an_exercise_called_by_question_is_still_an_exercise() -> None:
    payload = base64.b64encode(EXERCISE.model_dump_json().encode()).decode()
    nb = new_notebook(cells=[new_code_cell(f"question('{payload}')")])
    assert from_notebook(nb).steps() == [EXERCISE]
