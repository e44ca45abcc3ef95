"""From candidates to the questions of a lesson: judged, mended, mixed by difficulty, balanced, counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from alain_magics.lessons.quality import balance_positions, bars, judge, mend, similar_stems
from alain_magics.lessons.schema import Difficulty, Exercise, QualityReport, Question

QUESTIONS = {"beginner": 12, "intermediate": 14, "advanced": 16}
FEWEST_QUESTIONS = 8
FEWEST_FORMS = 3
SAME_KIND = 3  # questions of one form about one object
MIX: dict[Difficulty, dict[str, float]] = {
    "beginner": {"numeric": 0.5, "predict": 0.5, "call": 0.2, "error": 0.2, "single": 0.1},
    "intermediate": {"numeric": 0.5, "call": 0.35, "predict": 0.25, "error": 0.2, "single": 0.1},
    "advanced": {"numeric": 0.5, "error": 0.3, "call": 0.3, "predict": 0.3, "single": 0.1},
}


@dataclass
class Selection:
    """The candidates of each topic, what was dropped and why, and what is kept in the end."""

    difficulty: Difficulty
    seed: int
    made: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    flaws: dict[str, list[str]] = field(default_factory=dict)
    topics: list[list[Question]] = field(default_factory=list)

    def drop(self, reason: str, count: int = 1) -> None:
        """Count candidates that were thrown away."""
        self.dropped[reason] = self.dropped.get(reason, 0) + count

    def add_topic(self, candidates: list[Question | Exercise], above: str) -> list[Exercise]:
        """Judge the candidates of a topic, ``above`` being its prose; return its exercises."""
        self.made += len(candidates)
        kept = []
        for candidate in candidates:
            if isinstance(candidate, Exercise):
                continue
            question = mend(candidate)
            verdict = judge(question, above)
            if not verdict.kept:
                for finding in verdict.rejected or verdict.flagged:
                    self.drop(f"{finding.code} {finding.name}")
                continue
            kept.append(question.model_copy(update={"id": question.content_id()}))
        self.topics.append(kept)
        return [candidate for candidate in candidates if isinstance(candidate, Exercise)]

    def choose(self) -> list[list[Question]]:
        """The questions of each topic: unlike each other, mixed by difficulty, keys evenly placed."""
        everything = [question for topic in self.topics for question in topic]
        alike = {everything[later].id for _, later, _ in similar_stems(everything)}
        self.drop("stem like that of another question", len(alike))
        topics = [[question for question in topic if question.id not in alike] for topic in self.topics]
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
        """Take each form up to its share, turn by turn from the topics; then fill up with what is left."""
        total = QUESTIONS[self.difficulty]
        rest: list[tuple[int, Question]] = []
        chosen: list[tuple[int, Question]] = []
        answers: set[tuple[int, str]] = set()
        asked: Counter[tuple[str, str]] = Counter()

        def take(pair: tuple[int, Question]) -> bool:
            about = (pair[1].objective, pair[1].form)
            if asked[about] == SAME_KIND or not _new_answer(pair, answers):
                return False
            asked[about] += 1
            chosen.append(pair)
            return True

        for form, share in MIX[self.difficulty].items():
            turns = _turns([[question for question in topic if question.form == form] for topic in topics])
            wanted = len(chosen) + max(1, round(total * share))
            for pair in turns:
                if len(chosen) >= wanted or not take(pair):
                    rest.append(pair)
        for pair in rest:
            if len(chosen) < total:
                take(pair)
        return sorted(chosen[:total], key=lambda pair: (pair[0], topics[pair[0]].index(pair[1])))

    def report(self, questions: list[Question], exercises: int) -> QualityReport:
        """What was made, kept and dropped, and the bars over the questions that were kept."""
        return QualityReport(
            made=self.made,
            kept=len(questions) + exercises,
            dropped=dict(sorted(self.dropped.items())),
            flaws=self.flaws,
            bars=bars(questions),
        )


def _turns(topics: list[list[Question]]) -> list[tuple[int, Question]]:
    """The questions turn by turn: one about the first objective of each topic, one about the second, and so on."""
    ranked = []
    for number, topic in enumerate(topics):
        objectives = list(dict.fromkeys(question.objective for question in topic))
        seen: dict[str, int] = {}
        for question in topic:
            round_ = seen[question.objective] = seen.get(question.objective, -1) + 1
            ranked.append((round_, objectives.index(question.objective), number, question))
    return [(number, question) for *_, number, question in sorted(ranked, key=lambda entry: entry[:3])]


def _new_answer(pair: tuple[int, Question], answers: set[tuple[int, str]]) -> bool:
    """Whether no chosen question of the topic has the same answer; if so, it is noted."""
    number, question = pair
    answer = str(question.answer) if question.key is None else question.options[question.key].text
    if question.form == "call" and question.proof is not None:
        answer = next((run.output for run in question.proof.runs if run.option == question.key), answer)
    if (number, answer) in answers:
        return False
    answers.add((number, answer))
    return True
