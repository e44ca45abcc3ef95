"""From candidates to the questions of a lesson: judged, mended, mixed by difficulty, balanced, counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from alain_magics.lessons.quality import balance_positions, bars, judge, mend, similar_stems
from alain_magics.lessons.schema import Difficulty, Exercise, QualityReport, Question

QUESTIONS = {"beginner": 12, "intermediate": 14, "advanced": 16}
FEWEST_QUESTIONS = 8
FEWEST_FORMS = 3
SAME_KIND = 2  # questions of one form about one object
MIX: dict[Difficulty, dict[str, float]] = {
    "beginner": {"predict": 0.5, "call": 0.2, "error": 0.15, "single": 0.15, "numeric": 0.4},
    "intermediate": {"predict": 0.3, "call": 0.35, "error": 0.2, "single": 0.15, "numeric": 0.4},
    "advanced": {"predict": 0.3, "call": 0.3, "error": 0.3, "single": 0.1, "numeric": 0.4},
}


@dataclass
class Selection:
    """The candidates of each topic, what was dropped and why, and what is kept in the end."""

    difficulty: Difficulty
    seed: int
    dropped: dict[str, int] = field(default_factory=dict)
    flaws: dict[str, list[str]] = field(default_factory=dict)
    topics: list[list[Question]] = field(default_factory=list)

    def drop(self, reason: str, count: int = 1) -> None:
        """Count candidates that were thrown away."""
        if count:
            self.dropped[reason] = self.dropped.get(reason, 0) + count

    def add_topic(self, candidates: list[Question | Exercise], above: str) -> list[Exercise]:
        """Judge the candidates of a topic, ``above`` being its prose; return its exercises."""
        kept = []
        for candidate in candidates:
            if isinstance(candidate, Exercise):
                continue
            question = mend(candidate)
            verdict = judge(question, above)
            if not verdict.kept:
                worst = verdict.findings[0]
                self.drop(f"{worst.code} {worst.name}")
                continue
            kept.append(question.model_copy(update={"id": question.content_id()}))
        self.topics.append(kept)
        return [candidate for candidate in candidates if isinstance(candidate, Exercise)]

    def choose(self) -> list[list[Question]]:
        """The questions of each topic: unlike each other, mixed by difficulty, keys evenly placed."""
        everything = [(number, question) for number, topic in enumerate(self.topics) for question in topic]
        alike = {later for _, later, _ in similar_stems([question for _, question in everything])}
        self.drop("stem like that of another question", len(alike))
        topics: list[list[Question]] = [[] for _ in self.topics]
        for place, (number, question) in enumerate(everything):
            if place not in alike:
                topics[number].append(question)
        chosen = self._mixed(topics)
        self.drop("more than the lesson needs", sum(map(len, topics)) - len(chosen))
        balanced = iter(balance_positions([question for _, question in chosen], self.seed))
        final: list[list[Question]] = [[] for _ in topics]
        for topic, _ in chosen:
            final[topic].append(next(balanced))
        for question in (question for topic in final for question in topic):
            codes = [finding.code for finding in judge(question).flagged]
            if codes:
                self.flaws[question.id] = codes
        return final

    def _mixed(self, topics: list[list[Question]]) -> list[tuple[int, Question]]:
        """Choose turn by turn from the topics: of each the form that is furthest behind its share of the mix.

        No two questions of a topic have the same answer, and no object is asked about often in the same form.
        """
        weights = MIX[self.difficulty]
        forms: Counter[str] = Counter()
        objectives: Counter[str] = Counter()
        kinds: Counter[tuple[str, str]] = Counter()
        answers: set[tuple[int, str]] = set()
        left = [list(topic) for topic in topics]
        chosen: list[tuple[int, Question]] = []
        while any(left):
            for number, candidates in enumerate(left):
                candidates[:] = [
                    question
                    for question in candidates
                    if (number, answer_text(question)) not in answers
                    and kinds[question.objective, question.form] < SAME_KIND
                ]
                if not candidates or len(chosen) == QUESTIONS[self.difficulty]:
                    candidates.clear()
                    continue
                best = min(candidates, key=lambda q: (forms[q.form] / weights[q.form], objectives[q.objective]))
                candidates.remove(best)
                chosen.append((number, best))
                forms[best.form] += 1
                objectives[best.objective] += 1
                kinds[best.objective, best.form] += 1
                answers.add((number, answer_text(best)))
        return sorted(chosen, key=lambda pair: (pair[0], topics[pair[0]].index(pair[1])))

    def report(self, questions: list[Question], exercises: int) -> QualityReport:
        """What was made, kept and dropped, and the bars over the questions that were kept."""
        kept = len(questions) + exercises
        return QualityReport(
            made=kept + sum(self.dropped.values()),
            kept=kept,
            dropped=dict(sorted(self.dropped.items())),
            flaws=self.flaws,
            bars=bars(questions),
        )


def answer_text(question: Question) -> str:
    """What is found out by answering: the right output, number or name."""
    if question.form == "call" and question.proof is not None:
        return next(run.output for run in question.proof.runs if run.option == question.key)
    return str(question.answer) if question.key is None else question.options[question.key].text
