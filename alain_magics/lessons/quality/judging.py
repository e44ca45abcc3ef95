"""All rules on one question, and what follows from what they find."""

from __future__ import annotations

from dataclasses import dataclass

from alain_magics.lessons.quality.flagging import FLAGGING
from alain_magics.lessons.quality.rejecting import REJECTING
from alain_magics.lessons.quality.rule import Finding
from alain_magics.lessons.schema import Question

MAX_FLAGS = 1


@dataclass(frozen=True)
class Verdict:
    """What the rules found: each rejection is fatal, a single flag is not."""

    rejected: list[Finding]
    flagged: list[Finding]

    @property
    def kept(self) -> bool:
        """Whether the question may be shown."""
        return not self.rejected and len(self.flagged) <= MAX_FLAGS

    @property
    def findings(self) -> list[Finding]:
        """Everything that was found, the fatal things first."""
        return self.rejected + self.flagged


def judge(question: Question, above: str = "") -> Verdict:
    """Apply every rule; ``above`` is the text that the learner reads just before the question."""
    rejected = [finding for rule in REJECTING if (finding := rule.find(question, above))]
    flagged = [finding for rule in FLAGGING if (finding := rule.find(question, above))]
    return Verdict(rejected, flagged)
