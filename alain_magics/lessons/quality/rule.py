"""What a rule about a question is, and what it finds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

from alain_magics.lessons.schema import Option, Question, QuestionForm

ALL_FORMS: frozenset[QuestionForm] = frozenset({"predict", "call", "error", "numeric", "single"})
CHOICES = ALL_FORMS - {"numeric"}


@dataclass(frozen=True)
class Finding:
    """What a rule holds against a text: the rule's code and name, and what is wrong in words."""

    code: str
    name: str
    what: str


class Rule(ABC):
    """One thing that can be wrong with a question.

    ``code`` never changes (it is stored in quality reports), ``name`` is for people, ``says`` is the rule in one line.
    A rule applies to the ``forms`` it names, and to ``options`` that are prose, literal (program text or output),
    or both.
    """

    code: ClassVar[str]
    name: ClassVar[str]
    says: ClassVar[str]
    forms: ClassVar[frozenset[QuestionForm]] = CHOICES
    options: ClassVar[Literal["prose", "literal", "both"]] = "both"

    def check(self, question: Question, above: str = "") -> str | None:
        """What is wrong, naming the words; ``None`` when nothing is, or when the rule does not apply.

        ``above`` is the text that the learner reads just before the question.
        """
        if question.form in self.forms and self.options in {"both", "literal" if question.literal else "prose"}:
            return self._wrong(question, above)
        return None

    def find(self, question: Question, above: str = "") -> Finding | None:
        """The same as :meth:`check`, with the rule's code and name."""
        what = self.check(question, above)
        return Finding(self.code, self.name, what) if what else None

    @abstractmethod
    def _wrong(self, question: Question, above: str) -> str | None:
        """Decide for a question to which the rule applies."""


def key_and_distractors(question: Question) -> tuple[str, list[str]] | None:
    """The texts of the right option and of the others; ``None`` where there is no right option."""
    key = question.key
    if key is None:
        return None
    return question.options[key].text, [option.text for i, option in enumerate(question.options) if i != key]


def quoted(options: list[Option] | list[str]) -> str:
    """Texts in quotation marks, each cut to a readable length."""
    texts = [option if isinstance(option, str) else option.text for option in options]
    return ", ".join(f'"{text if len(text) <= 40 else text[:37] + "..."}"' for text in texts)
