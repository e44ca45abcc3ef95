"""Whether questions and prose are good enough to be shown: rules for one item, bars for a set, a linter for prose."""

from alain_magics.lessons.quality.judging import Verdict, judge
from alain_magics.lessons.quality.measuring import bars, similar_stems
from alain_magics.lessons.quality.mending import mend
from alain_magics.lessons.quality.ordering import balance_positions
from alain_magics.lessons.quality.prose import lint
from alain_magics.lessons.quality.rule import Finding

__all__ = ["Finding", "Verdict", "balance_positions", "bars", "judge", "lint", "mend", "similar_stems"]
