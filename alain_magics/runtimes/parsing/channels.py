"""Tell apart what a server sent as one text: the answer, what the model thought before it, and calls of tools.

Most servers do this themselves and send fields; this is for the others. The rules, in the order in which they apply:

- Markup counts where an answer begins: an answer that begins with ordinary text is ordinary text to its end, also where
  it explains ``<think>`` or Harmony.
- ``<think>…</think>``, ``<thinking>…</thinking>`` and ``[THINK]…[/THINK]`` at the beginning are reasoning, any number
  of them. Line ends after a tag belong to the tag.
- ``<|start|>`` or ``<|channel|>`` at the beginning is Harmony; words of Harmony without their markers
  (``analysis…assistantfinal…``) are, for gpt-oss models only: see ``harmony.py``.
- Some families have ``<think>`` in their prompt template, so that an answer begins within the reasoning and only
  ``</think>`` is ever seen. For these the beginning is reasoning at once, unless the server has given reasoning in a
  field (:meth:`ChannelParser.reasoning_is_separate`). For all others it is shown as answer, and when a ``</think>``
  comes, nothing is taken back: it stays in the text, and ``flags`` says so.
- Where tools were offered, ``<tool_call>{json}</tool_call>`` and ``[TOOL_CALLS]`` anywhere in the answer are calls, if
  what they hold can be read as such; else they stay text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from alain_magics.runtimes.base import ReasoningDelta, TextDelta, ToolCallDelta
from alain_magics.runtimes.parsing.harmony import FIRST_SLOT, OPENERS, HarmonyParser, StrippedParser
from alain_magics.runtimes.parsing.json_scanner import JsonScanner
from alain_magics.runtimes.parsing.markup import BLANKS, LINE_ENDS, THINKING, Kind, Markers, MarkupParser

LONGEST_CALL = 65_536
"""Characters after which what began as a call counts as text."""

_SIGNS = (*THINKING, *OPENERS)
_OPENED_BY_PROMPT = re.compile(r"deepseek-r1|r1-distill|qwq|qwen3.*thinking|minimax-m2", re.IGNORECASE)
_GPT_OSS = re.compile(r"gpt[-_]?oss", re.IGNORECASE)
_CALL, _CALL_END, _CALLS = "<tool_call>", "</tool_call>", "[TOOL_CALLS]"
_NAMED_CALL = re.compile(r"\s*([\w.-]+)(?:\[CALL_ID\][\w-]+)?(?:\[ARGS\])?\s*(?=\{)")


def channel_parser(model: str, *, tools: bool = False) -> ChannelParser:
    """Return a parser for one answer of a model; ``tools`` says whether any were offered."""
    return ChannelParser(model, tools=tools)


class ChannelParser(MarkupParser):
    """Turns the text of one answer into ``TextDelta``, ``ReasoningDelta`` and ``ToolCallDelta``."""

    def __init__(self, model: str, *, tools: bool) -> None:
        super().__init__([])
        self._may_be_stripped = _GPT_OSS.search(model) is not None
        self._opened_by_prompt = _OPENED_BY_PROMPT.search(model) is not None
        self._state: Callable[[str, bool], str] = self._beginning
        self._calling = (_CALL, _CALLS) if tools else ()
        self._markers = Markers("</think>", *self._calling)
        self._closer = Markers("</think>")
        self._inner: MarkupParser | None = None
        self._slot = FIRST_SLOT

    def reasoning_is_separate(self) -> None:
        """Take note that the server gives reasoning in a field, so that the text is the answer from its beginning."""
        self._opened_by_prompt = False

    def _scan(self, text: str, last: bool) -> str:
        while (text := self._trim(text)) or last:
            state = self._state
            text = state(text, last)
            if self._state == state:
                break
        return text

    def _passing(self) -> Kind | None:
        return self._inner.passing if self._inner else super()._passing()

    def _become(self, state: Callable[[str, bool], str], delta: Kind | None = None, *, trimmed: str = "") -> None:
        self._state, self.delta, self._trimmed = state, delta, trimmed

    def _beginning(self, text: str, last: bool) -> str:
        """Nothing of the answer has come but blanks: see what it begins with."""
        body = text.lstrip()
        for opener, closer in THINKING.items():
            if body.startswith(opener):
                return self._think(body.removeprefix(opener), closer)
        if body.startswith(OPENERS):
            return self._hand_over(HarmonyParser(self.flags), body)
        stripped = StrippedParser.begins(body) if self._may_be_stripped else False
        if stripped:
            return self._hand_over(StrippedParser(self.flags), body)
        if not last and (stripped is None or any(sign.startswith(body) for sign in (*_SIGNS, *self._calling))):
            return text
        if self._opened_by_prompt and body and not body.startswith(self._calling):
            return self._think(text, "</think>")
        self._become(self._answer, TextDelta)
        return text

    def _think(self, text: str, closer: str) -> str:
        self._opened_by_prompt = False
        self._closer = Markers(closer)
        self._markers = Markers(*self._calling)  # a later </think> says nothing
        self._become(self._reasoning, ReasoningDelta, trimmed=LINE_ENDS)
        return text

    def _reasoning(self, text: str, last: bool) -> str:
        before, marker, rest = self._closer.split(text, last=last)
        self._emit(before)
        if marker:
            self._become(self._beginning, trimmed=LINE_ENDS)
        elif last:
            self._flag("the reasoning has no end")
        return rest

    def _hand_over(self, parser: MarkupParser, text: str) -> str:
        self._inner = parser
        self._become(self._within)
        return text

    def _within(self, text: str, last: bool) -> str:
        assert self._inner
        self._events.extend(self._inner.feed(text))
        if last:
            self._events.extend(self._inner.finish())
        return ""

    def _answer(self, text: str, last: bool) -> str:
        while True:
            before, marker, rest = self._markers.split(text, last=last)
            self._emit(before)
            if marker == "</think>":
                self._emit(marker)
                self._flag("reasoning before </think> is part of the text")
                text = rest
                continue
            if marker:
                self._become(self._call if marker == _CALL else self._calls)
            return rest

    def _call(self, text: str, last: bool) -> str:
        """Read ``{json}</tool_call>``."""
        end = text.find(_CALL_END, 0, LONGEST_CALL)
        if end < 0 and not last and len(text) < LONGEST_CALL:
            return text
        if call := _described(text[:end] if end >= 0 else text):
            self._called(*call)
            return text[end + len(_CALL_END) :] if end >= 0 else ""
        return self._no_call(_CALL, text)

    def _calls(self, text: str, last: bool) -> str:
        """Read a JSON array of calls, or ``name[ARGS]{json}``, as Mistral's models write them at the end."""
        if not last and len(text) < LONGEST_CALL:
            return text
        named = _NAMED_CALL.match(text)
        begin = named.end() if named else len(text) - len(text.lstrip())
        try:
            _, end = json.JSONDecoder().raw_decode(text, begin)
        except (ValueError, RecursionError):
            return self._no_call(_CALLS, text)
        content = text[begin:end]
        if named:
            calls = [(named[1], content)]
        else:
            texts = [content] if content.startswith("{") else [member.text for member in JsonScanner().feed(content)]
            calls = [call for each in texts if (call := _described(each))]
            if not calls or len(calls) < len(texts):
                return self._no_call(_CALLS, text)
        for call in calls:
            self._called(*call)
        return text[end:]

    def _called(self, name: str, arguments: str) -> None:
        self._events.append(ToolCallDelta(self._slot, f"call_{self._slot}", name, arguments))
        self._slot += 1
        self._become(self._answer, TextDelta, trimmed=BLANKS)

    def _no_call(self, marker: str, text: str) -> str:
        self._flag(f"no call can be read after {marker}")
        self._become(self._answer, TextDelta)
        self._emit(marker)
        return text


def _described(text: str) -> tuple[str, str] | None:
    """Return name and arguments of a call written as a JSON object; the arguments as the model wrote them."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        return None
    members = {member.key: member.text for member in JsonScanner().feed(text)}
    key = "arguments" if "arguments" in value else "parameters"
    arguments = value.get(key)
    return value["name"], arguments if isinstance(arguments, str) else members.get(key, "{}")
