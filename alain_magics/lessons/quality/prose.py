"""The linter for the prose of lessons: a text that breaks a rule is written again or left out.

Code in fences and backticks is not looked at.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import ClassVar

from alain_magics.lessons.quality.language import outside_code
from alain_magics.lessons.quality.rule import Finding, quoted

MAX_WORDS = 90


class ProseRule(ABC):
    """One thing that can be wrong with a text: ``code`` never changes, ``says`` is the rule in one line."""

    code: ClassVar[str]
    name: ClassVar[str]
    says: ClassVar[str]

    @abstractmethod
    def check(self, text: str) -> str | None:
        """What is wrong with the text, naming the words; ``None`` when nothing is."""


class _Phrases(ProseRule):
    """A rule against phrases."""

    pattern: ClassVar[re.Pattern[str]]

    def check(self, text: str) -> str | None:
        plain = " ".join(outside_code(text).split())
        found = [match[0] for match in self.pattern.finditer(plain)]
        return f"the text says {quoted(list(dict.fromkeys(found)))}" if found else None


class Filler(_Phrases):
    """Transitions, greetings and announcements."""

    code = "P1"
    name = "filler"
    says = "No phrase that could be left out without loss."
    pattern = re.compile(
        r"""\b(?:
            in\ this\ (?:chapter|guide|lesson|module|notebook|section|step|tutorial|unit)
          | let['’]?s\ (?:begin|dive|explore|get|look|now|see|start|take)
          | let\ us\ (?:begin|dive|explore|look|now|see|start|take)
          | div(?:e|ing)\ (?:deep|deeper|in|into)
          | it(?:\ is|['’]s)\ (?:also\ )?(?:important\ to|worth)\ (?:mention|not|remember|understand)(?:e|ing)?
          | as\ (?:mentioned|discussed|you\ can\ see|we\ (?:saw|have\ seen))
          | now\ that\ (?:we|you)
          | welcome\ to | congratulations | great\ job | well\ done | happy\ (?:coding|learning)
          | in\ (?:conclusion|today['’]s\ (?:world|age)) | first\ and\ foremost | needless\ to\ say
          | without\ further\ ado | feel\ free\ to | have\ you\ ever\ wondered | (?:our|your)\ journey
          | plays?\ (?:an?\ )?(?:critical|crucial|essential|key|pivotal|vital)\ role
        )\b""",
        re.IGNORECASE | re.VERBOSE,
    )


class Praise(_Phrases):
    """Adjectives that sell what should be shown."""

    code = "P2"
    name = "praise"
    says = "No praise of what is taught."
    pattern = re.compile(
        r"""\b(?:
            amazing | awesome | cutting-edge | delv(?:e|es|ing) | effortless(?:ly)? | exciting | fascinating
          | game-chang(?:er|ing) | harness(?:es|ing)?\ the | incredibl[ey] | powerful | revolution(?:ary|ise|ize)
          | seamless(?:ly)? | state[-\ ]of[-\ ]the[-\ ]art | supercharge[ds]?
          | unlock(?:s|ing)?\ the\ (?:full\ )?(?:potential|power) | world-class
        )\b""",
        re.IGNORECASE | re.VERBOSE,
    )


class LeakedReasoning(_Phrases):
    """A model that talks to itself or about its orders, and the marks of chat templates."""

    code = "P3"
    name = "leaked reasoning"
    says = "Nothing of the writer's reasoning, orders or chat template."
    pattern = re.compile(
        r"""\b(?:
            we\ (?:need|have|must|should)\ (?:to\ )?(?:craft|output|produce)
          | we\ (?:need|have)\ to\ (?:create|generate|provide|return|write)\ (?:an?\ |the\ )?(?:valid\ )?
            (?:answer|json|lesson|question|response|section)
          | (?:i|we)(?:['’]ll|\ will|\ must|\ should)\ (?:craft|generate|output|produce)
          | must\ follow\ (?:the\ )?format
          | (?:output|produce|respond\ with|return)\ (?:just|only|strict|valid)\ (?:valid\ )?json
          | let\ me\ think | the\ user\ (?:asked\ (?:for|me)|is\ asking|wants\ me) | as\ an\ ai\b
          | (?:okay|ok|sure|certainly),\ (?:here|let\ me)
          | here\ is\ (?:the|a|your)\ (?:json|lesson|response|section)
        ) | \bthinking(?:\.\.\.|…) | </?think(?:ing)?> | <\|\w+\|> | \[/?INST\]""",
        re.IGNORECASE | re.VERBOSE,
    )


class Placeholder(_Phrases):
    """Text that stands where content should."""

    code = "P4"
    name = "placeholder"
    says = "No text that stands in for content, and some content."
    pattern = re.compile(
        r"""\b(?:TODO|TBD|FIXME|XXX)\b
          | (?i:\blorem\ ipsum\b
          | \bplaceholder\ (?:content|image|question|text)\b
          | \b(?:content|text)\ (?:goes|comes)\ here\b | \bcoming\ soon\b
          | \bto\ be\ (?:added|completed|determined|filled\ in|written)\b
          | \breview\ the\ outline\ section\b
          | [\[<{](?:add|describe|fill|insert|put|replace|your)\b[^\]>}]{0,80}[\]>}])""",
        re.VERBOSE,
    )

    def check(self, text: str) -> str | None:
        """What is wrong with the text; ``None`` when nothing is."""
        if not any(map(str.isalnum, text)):
            return "the text is empty"
        return super().check(text)


class TooLong(ProseRule):
    """More than 90 words in one text of a section."""

    code = "P5"
    name = "too long"
    says = f"A section's text has at most {MAX_WORDS} words outside code."

    def check(self, text: str) -> str | None:
        """What is wrong with the text; ``None`` when nothing is."""
        count = len(outside_code(text).split())
        return f"the text has {count} words" if count > MAX_WORDS else None


PROSE_RULES: tuple[ProseRule, ...] = (Filler(), Praise(), LeakedReasoning(), Placeholder(), TooLong())


def lint(text: str) -> list[Finding]:
    """Everything that is wrong with a text of a section."""
    return [Finding(rule.code, rule.name, what) for rule in PROSE_RULES if (what := rule.check(text))]
