"""Harmony, the markup of gpt-oss models, in the forms in which servers let it through as text.

Source: OpenAI, "Harmony response format". A message is ``<|start|>assistant<|channel|>CHANNEL<|message|>…`` up to
``<|end|>``, ``<|call|>`` or ``<|return|>``; the first ``<|start|>assistant`` is often missing, since the prompt held
it. Servers that drop the markers and keep the words between them send ``analysis…assistantfinal…``.

``final`` is the answer; a message to ``functions.NAME`` is a call of that tool; everything else is reasoning.
"""

from __future__ import annotations

import re

from alain_magics.runtimes.base import ReasoningDelta, TextDelta, ToolCallDelta
from alain_magics.runtimes.parsing.markup import BLANKS, Kind, Markers, MarkupParser

FIRST_SLOT = 1000
"""Calls found in the text are numbered from here on, so that they never meet those a server sends in fields."""

OPENERS = ("<|start|>", "<|channel|>")
_CONTROL = Markers(*OPENERS, "<|end|>", "<|return|>", "<|call|>")
_WORDS = r"([\w .:=/-]{0,80})"
_PARTS = rf"(?:<\|start\|>{_WORDS})?(?:<\|channel\|>{_WORDS})?(?:<\|constrain\|>\w{{0,20}})?"
_HEADER = re.compile(rf"{_PARTS}<\|message\|>")
_BEGUN_HEADER = re.compile(rf"{_PARTS}(?:<(?:\|\w{{0,9}}\|?)?)?")
_RECIPIENT = re.compile(r"\bto=functions\.([\w.-]+)")

_STRIPPED = Markers("assistantfinal", "assistantanalysis", "assistantcommentary")
_STRIPPED_START = re.compile(r"(?:analysis|commentary)(?=[^\s,.:;!?)'’-])|commentary(?= to=functions\.)")
_STRIPPED_RECIPIENT = re.compile(r"\s?to=functions\.([\w.-]{1,80})(?:\s(?:json|code))?\s?(?=\{)")
_BEGUN_RECIPIENT = re.compile(r"\s?(?:t(?:o(?:=(?:[\w.-]{0,90}(?:\s\w{0,4}\s?)?)?)?)?)?")


class _ChannelledParser(MarkupParser):
    """Sends the text of a message to the answer, to the reasoning, or (``delta`` is ``None``) to a call."""

    def __init__(self, flags: list[str]) -> None:
        super().__init__(flags)
        self._slot = FIRST_SLOT - 1

    def _open(self, channel: str, tool: str = "") -> None:
        if tool:
            self.delta = None
            self._slot += 1
            self._events.append(ToolCallDelta(self._slot, f"call_{self._slot}", tool))
        else:
            self.delta = TextDelta if channel == "final" else ReasoningDelta

    def _emit(self, text: str) -> None:
        if text and self.delta is None:
            self._events.append(ToolCallDelta(self._slot, arguments=text))
        else:
            super()._emit(text)


class HarmonyParser(_ChannelledParser):
    """Reads an answer that begins with ``<|start|>`` or ``<|channel|>``.

    A marker that begins no well-formed header stays text, and so does what stands outside messages.
    """

    def __init__(self, flags: list[str]) -> None:
        super().__init__(flags)
        self.delta = TextDelta
        self._inside = self._framed = False

    def _scan(self, text: str, last: bool) -> str:
        while True:
            before, marker, rest = _CONTROL.split(self._trim(text), last=last)
            self._emit(before)
            text = rest
            if not marker:
                return rest
            if marker in OPENERS:
                whole = marker + rest
                if header := _HEADER.match(whole):
                    self._begin(*header.groups(default=""))
                    text = whole[header.end() :]
                elif not _BEGUN_HEADER.fullmatch(whole) or (last and not self._framed):
                    self._emit(marker)
                elif last:
                    self._flag("the answer ends within a header")
                    return ""
                else:
                    return whole
            elif self._inside:
                self._inside, self.delta, self._trimmed = False, TextDelta, BLANKS
            else:
                self._emit(marker)

    def _begin(self, role: str, channel: str) -> None:
        self._inside = self._framed = True
        recipient = _RECIPIENT.search(role) or _RECIPIENT.search(channel)
        speaker, name = role.partition(" ")[0], channel.partition(" ")[0]
        if speaker not in ("", "assistant"):
            self._flag(f"the model speaks as {speaker}")
            name = speaker
        self._open(name or "final", recipient[1] if recipient else "")


class StrippedParser(_ChannelledParser):
    """Reads an answer whose markers were dropped: the words ``assistantfinal`` and the like are what is left."""

    def __init__(self, flags: list[str]) -> None:
        super().__init__(flags)
        self._held = "assistant"  # the prompt held it

    @staticmethod
    def begins(text: str) -> bool | None:
        """Say whether an answer is of this form; ``None`` while more must come.

        A word stuck to ``analysis`` is the sign: no sentence begins so.
        """
        if _STRIPPED_START.match(text):
            return True
        signs = ("analysis", "commentary to=functions.")
        return None if any(sign.startswith(text) for sign in signs) else False

    def _passing(self) -> Kind | None:
        return self.delta if self.delta is TextDelta else None  # the markers are mere words

    def _scan(self, text: str, last: bool) -> str:
        while self.delta is not TextDelta:
            before, marker, rest = _STRIPPED.split(text, last=last)
            self._emit(before)
            if not marker:
                return rest
            channel, tool = marker.removeprefix("assistant"), ""
            if channel == "commentary":
                if recipient := _STRIPPED_RECIPIENT.match(rest):
                    tool, rest = recipient[1], rest[recipient.end() :]
                elif not last and _BEGUN_RECIPIENT.fullmatch(rest):
                    return marker + rest
            self._open(channel, tool)
            text = rest
        self._emit(text)  # the final message goes on to the end
        return ""
