"""Answers are kept as given, and sum up to what a learner did."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alain_magics.store.attempts import Attempt, Attempts, LessonProgress
from alain_magics.store.engine import open_store


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Attempts]:
    store = open_store(tmp_path / "alain.db")
    yield Attempts(store)
    store.close()


def attempt(question: str, correct: bool, user: str = "ada", lesson: str = "l1") -> Attempt:
    return Attempt(user, lesson, lesson.upper(), question, [1], correct)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
storable = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=50)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(user=storable, question=storable, title=storable, answer=json_values, seconds=st.floats(0, 1e6))
def test_what_is_recorded_is_what_is_read(keeper: Attempts, user, question, title, answer, seconds):
    given_ = Attempt(user, "l", title, question, answer, True, seconds, "project")
    recorded = keeper.record(given_)
    assert keeper.latest(user, question) == recorded == replace(given_, id=recorded.id)


def test_a_time_of_any_zone_is_the_same_moment(keeper: Attempts):
    moment = datetime(2025, 1, 1, 12, tzinfo=timezone(timedelta(hours=5)))
    keeper.record(replace(attempt("q", True), time=moment))
    assert keeper.latest("ada", "q").time == moment
    assert keeper.latest("ada", "q").time.tzinfo is UTC


def test_the_latest_is_the_one_recorded_last_whatever_the_clock_says(keeper: Attempts):
    now = datetime.now(UTC)
    keeper.record(replace(attempt("q", False), time=now))
    keeper.record(replace(attempt("q", True), time=now - timedelta(days=1)))
    assert [each.correct for each in keeper.all("ada", "q")] == [False, True]
    assert keeper.latest("ada", "q").correct


def test_a_question_never_answered_has_no_latest(keeper: Attempts):
    assert keeper.latest("ada", "q") is None
    assert keeper.all("ada", "q") == []
    assert keeper.summary("ada") == []


def test_the_summary_counts_questions_not_attempts(keeper: Attempts):
    for question, correct in [("a", False), ("a", True), ("b", True), ("c", True), ("c", False), ("d", False)]:
        keeper.record(attempt(question, correct))
    (progress,) = keeper.summary("ada")
    last = keeper.latest("ada", "d").time
    assert progress == LessonProgress("l1", "L1", answered=4, right=2, right_at_once=2, last=last)


def test_the_lesson_worked_on_last_comes_first(keeper: Attempts):
    for lesson in ("l1", "l2", "l3", "l1"):
        keeper.record(attempt("q", True, lesson=lesson))
    assert [progress.lesson_id for progress in keeper.summary("ada")] == ["l1", "l3", "l2"]


def test_users_do_not_see_each_other(keeper: Attempts):
    keeper.record(attempt("q", True, user="ada"))
    keeper.record(attempt("q", False, user="bob"))
    assert [each.user for each in keeper.all("bob", "q")] == ["bob"]
    assert keeper.summary("bob")[0].right == 0
