"""Estimates of token counts, for runtimes that do not say.

A token of the usual vocabularies holds about four letters of English, two to three of other alphabets, and less than
one and a half characters of Chinese, Japanese or Korean. Every number that comes from here is marked as an estimate.
"""

from __future__ import annotations

import json
import re

from alain_magics.runtimes.base import ChatRequest

_MESSAGE = 4  # tokens around each message in the usual templates
_IDEOGRAPHS = "[\u1100-\u11ff\u2e80-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]"
_OTHER = "[^\x00-\x7f]"
_WORD = r"[A-Za-z]+|\d{1,3}|[^\sA-Za-z\d]"


def estimate_tokens(text: str) -> int:
    """Estimate how many tokens a text is, rounded up."""
    ideographs = len(re.findall(_IDEOGRAPHS, text))
    others = len(re.findall(_OTHER, text)) - ideographs
    count = 0.8 * ideographs + 0.5 * others
    for word in re.findall(_WORD, re.sub(_OTHER, " ", text)):
        count += 1 if len(word) <= 7 else len(word) / 5.5
    return int(count + 0.999)


def estimate_request(request: ChatRequest) -> int:
    """Estimate the tokens of all that a request sends."""
    total = _MESSAGE
    for message in request.messages:
        total += _MESSAGE + estimate_tokens(message.content)
        total += sum(estimate_tokens(call.name) + estimate_tokens(call.arguments) for call in message.tool_calls)
    for tool in request.tools:
        total += estimate_tokens(tool.description) + estimate_tokens(json.dumps(dict(tool.parameters))) + 2 * _MESSAGE
    return total
