"""Whatever a server says when it refuses or fails becomes a typed error with advice."""

from __future__ import annotations

import time
from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alain_magics.errors import (
    ContextExceeded,
    KeyRefused,
    ModelError,
    ModelMissing,
    QuotaExceeded,
    RateLimited,
    Refused,
    ServerFailed,
)
from alain_magics.runtimes.failures import failure


def openai(message: str, kind: str = "invalid_request_error", code: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def anthropic(kind: str, message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}


def llama(code: int, message: str, kind: str, **more: Any) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "type": kind, **more}}


CASES: list[tuple[int | None, Any, type[ModelError]]] = [
    # keys
    (401, openai("Incorrect API key provided: sk-***.", code="invalid_api_key"), KeyRefused),
    (401, anthropic("authentication_error", "invalid x-api-key"), KeyRefused),
    (401, llama(401, "Invalid API Key", "authentication_error"), KeyRefused),
    (401, "", KeyRefused),
    (403, {"detail": "Forbidden"}, KeyRefused),
    (403, anthropic("permission_error", "Your key may not use this model"), KeyRefused),
    (
        400,
        [{"error": {"code": 400, "message": "API key not valid. Invalid API key.", "status": "INVALID"}}],
        KeyRefused,
    ),
    (None, anthropic("authentication_error", "invalid x-api-key"), KeyRefused),
    # credit
    (429, openai("You exceeded your current quota", "insufficient_quota", "insufficient_quota"), QuotaExceeded),
    (402, {"error": {"message": "Insufficient Balance", "code": "invalid_request_error"}}, QuotaExceeded),
    (400, anthropic("invalid_request_error", "Your credit balance is too low"), QuotaExceeded),
    (403, openai("x", code="billing_hard_limit_reached"), QuotaExceeded),
    (None, openai("x", "insufficient_quota"), QuotaExceeded),
    # rate
    (429, openai("Rate limit reached", "tokens", "rate_limit_exceeded"), RateLimited),
    (429, openai("Request too large for the context window of your tier", "tokens"), RateLimited),
    (429, "", RateLimited),
    (None, anthropic("rate_limit_error", "slow down"), RateLimited),
    (None, llama(429, "busy", "x"), RateLimited),
    # models and paths
    (
        404,
        openai("The model `gpt-9` does not exist or you do not have access to it.", code="model_not_found"),
        ModelMissing,
    ),
    (404, {"error": "model 'x:7b' not found"}, ModelMissing),
    (404, {"error": 'model "x" not found, try pulling it first'}, ModelMissing),
    (404, anthropic("not_found_error", "model: claude-99"), ModelMissing),
    (400, openai("x/y is not a valid model ID"), ModelMissing),
    (404, openai("Unable to access x", code="model_not_available"), ModelMissing),
    (400, {"error": "unknown model x"}, ModelMissing),
    (404, {"detail": "Not Found"}, Refused),
    (404, llama(404, "File Not Found", "not_found_error"), Refused),
    (404, "404 page not found", Refused),
    (405, {"detail": "Method Not Allowed"}, Refused),
    # context
    (
        400,
        openai("This model's maximum context length is 8192 tokens.", code="context_length_exceeded"),
        ContextExceeded,
    ),
    (400, llama(400, "x", "exceed_context_size_error", n_prompt_tokens=5000, n_ctx=4096), ContextExceeded),
    (500, {"error": {"message": "Requested tokens (600) exceed context window of 512"}}, ContextExceeded),
    (400, anthropic("invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"), ContextExceeded),
    (413, anthropic("request_too_large", "Request exceeds the maximum size"), ContextExceeded),
    (413, "<html><title>413 Request Entity Too Large</title></html>", ContextExceeded),
    (None, {"error": "The number of tokens to keep is greater than the context length"}, ContextExceeded),
    # the request
    (400, openai("Unrecognized request argument supplied: stream_options"), Refused),
    (400, openai("Unsupported parameter: 'max_tokens' is not supported with this model."), Refused),
    (400, openai("This model does not support 'stream_options'; the parameter is unknown"), Refused),
    (422, {"detail": [{"loc": ["body", "messages"], "msg": "Field required", "type": "missing"}]}, Refused),
    (400, {"error": {}}, Refused),
    (418, "", Refused),
    (None, openai("'messages' must not be empty"), Refused),
    # the server
    (408, "", ServerFailed),
    (409, {"error": "conflict"}, ServerFailed),
    (500, openai("The server had an error", "server_error"), ServerFailed),
    (500, "Internal Server Error", ServerFailed),
    (502, "<html><head><title>502 Bad Gateway</title></head></html>", ServerFailed),
    (503, llama(503, "Loading model", "unavailable_error"), ServerFailed),
    (504, "", ServerFailed),
    (529, anthropic("overloaded_error", "Overloaded"), ServerFailed),
    (599, None, ServerFailed),
    (None, anthropic("overloaded_error", "Overloaded"), ServerFailed),
    (None, {"error": {}}, ServerFailed),
    (None, {"error": "overloaded"}, ServerFailed),
    (None, {"error": None}, ServerFailed),
    (None, {"error": 10**5000}, ServerFailed),
    (400, llama(10**5000, "", "", n_prompt_tokens=10**5000, n_ctx=1), Refused),
    (None, {}, ServerFailed),
    (None, {"error": {"code": 502, "message": "Provider returned error"}}, ServerFailed),
    (None, {"message": "The engine is overloaded", "type": "server_error"}, ServerFailed),
    (None, {"message": "x", "type": "insufficient_quota"}, QuotaExceeded),
]


@pytest.mark.parametrize(("status", "body", "kind"), CASES)
def test_the_kind_of_error_is_told_from_status_and_body(status: int | None, body: Any, kind: type[ModelError]) -> None:
    error = failure("Server", status, body)
    assert type(error) is kind
    assert error.status == status


@pytest.mark.parametrize(("status", "body", "kind"), CASES)
def test_every_error_says_what_happened_and_whether_trying_again_helps(
    status: int | None, body: Any, kind: type[ModelError]
) -> None:
    error = failure("Server", status, body)
    line = str(error)
    assert line.startswith("Server")
    assert len(line) <= 300
    assert "\n" not in line
    assert ("does not help" in error.advice) is not error.retryable
    assert error.retryable is kind.retryable


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (500, openai("It broke", "server_error"), "Server: It broke (status 500)"),
        (400, {"error": "It broke"}, "Server: It broke (status 400)"),
        (529, anthropic("overloaded_error", "Overloaded"), "Server: Overloaded (status 529)"),
        (422, {"detail": [{"msg": "Field required", "loc": ["body"]}]}, "Server: body: Field required (status 422)"),
        (500, "It broke", "Server: It broke (status 500)"),
        (502, "<!doctype html>\n<html><title>Bad\ngateway</title>…", "Server: Bad gateway (status 502)"),
        (502, "<html><body>no title</body></html>", "Server answered with status 502 (Bad Gateway)."),
        (503, "", "Server answered with status 503 (Service Unavailable)."),
        (599, {"error": {}}, "Server answered with status 599."),
        (500, {"error": {"type": "server_error"}}, "Server: server_error (status 500)"),
        (None, {"error": {}}, "Server reports an error within its answer."),
        (None, {"type": "error", "error": {}}, "Server reports an error within its answer."),
        (None, {"error": "overloaded"}, "Server: overloaded"),
        (None, {"message": "It broke", "type": "server_error"}, "Server: It broke"),
        (
            400,
            llama(400, "too long", "exceed_context_size_error", n_prompt_tokens=5000, n_ctx=4096),
            "Server: The prompt has 5000 tokens, the context 4096. (status 400)",
        ),
    ],
)
def test_the_words_of_the_server_are_shown(status: int | None, body: Any, said: str) -> None:
    assert failure("Server", status, body).what == said


@pytest.mark.parametrize(
    ("status", "body", "advice"),
    [
        (401, "", "Check the key in OPENAI_API_KEY"),
        (404, {"error": "model 'x' not found"}, "`alain models`"),
        (404, {"detail": "Not Found"}, "that path does not exist"),
        (503, llama(503, "Loading model", "unavailable_error"), "still being loaded"),
        (402, "", "Add credit"),
        (413, "", "Shorten the prompt"),
    ],
)
def test_advice_says_what_to_do(status: int, body: Any, advice: str) -> None:
    assert advice in failure("Server", status, body, key="OPENAI_API_KEY").advice


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "2"}, 2),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9),
        ({"retry-after": "3600"}, 60),
        ({"retry-after": "inf"}, 60),
        ({"retry-after": "-5"}, 0),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Thu, 99 Foo 2026 99:99:99 GMT"}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
        ({}, None),
    ],
)
def test_the_time_that_a_server_asks_for_is_read_and_capped(headers: dict[str, str], seconds: float | None) -> None:
    assert failure("Server", 429, "", headers).retry_after == seconds


def test_a_date_says_how_long_to_wait() -> None:
    error = failure("Server", 503, "", {"retry-after": formatdate(time.time() + 30, usegmt=True)})
    assert error.retry_after == pytest.approx(30, abs=2)
    assert "try again in" in error.advice


@pytest.mark.parametrize(
    ("status", "body", "said", "retryable"),
    [
        (429, "", "false", False),
        (500, "", "false", False),
        (400, "", "true", True),
        (401, "", "true", True),
        (503, "", "perhaps", True),
        (429, openai("x", code="insufficient_quota"), "true", False),
        (402, "", "true", False),
        (501, "", "", False),
    ],
)
def test_the_server_decides_whether_trying_again_helps_but_not_without_credit(
    status: int, body: Any, said: str, retryable: bool
) -> None:
    error = failure("Server", status, body, {"x-should-retry": said} if said else {})
    assert error.retryable is retryable
    assert ("does not help" in error.advice) is not retryable


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=400),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["error", "message", "detail", "code", "type", "status", "n_ctx", "n_prompt_tokens", "msg"]
            ),
            inner,
        )
    ),
    max_leaves=8,
)


@given(
    st.none() | st.integers(400, 599),
    JSON,
    st.text(max_size=80),
    st.dictionaries(st.sampled_from(["retry-after", "retry-after-ms", "x-should-retry"]), st.text(max_size=30)),
)
def test_whatever_a_server_sends_becomes_one_plain_line(
    status: int | None, body: Any, where: str, headers: dict[str, str]
) -> None:
    error = failure(where, status, body, headers)
    assert isinstance(error, ModelError)
    assert not any(ord(char) < 32 or 127 <= ord(char) < 160 for char in str(error))
    assert len(str(error)) <= 300
    assert error.advice
    assert error.retry_after is None or 0 <= error.retry_after <= 60
