"""The routes of the server extension: what they answer, and whom."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from tornado.httpclient import HTTPClientError, HTTPResponse

from alain_magics import errors
from alain_magics.server.handlers import AlainHandler, routes

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
ROUTES = [path.removeprefix("/") for path, _ in routes("/")]

XSRF = "2|7586b241|47c876d965112a2f547c63c95cbc44b1|1402910163"

Fetch = Callable[..., Awaitable[HTTPResponse]]


@pytest.fixture
def jp_server_config(jp_server_config: dict[str, Any]) -> dict[str, Any]:
    """Leave out the terminals, whose own routes are not declared as Jupyter Server wants it."""
    jp_server_config["ServerApp"]["terminals_enabled"] = False
    return jp_server_config


@pytest.fixture
def ask(jp_serverapp: Any, http_server_client: Any, jp_base_url: str) -> Fetch:
    """Send a request just as it is, without the token that ``jp_fetch`` adds."""

    async def fetch(path: str, method: str, body: str | None = None, **headers: str) -> HTTPResponse:
        body = "{}" if body is None and method in {"POST", "PUT", "PATCH"} else body
        url = f"{jp_base_url}{path}"
        return await http_server_client.fetch(
            url, method=method, body=body, headers=headers, follow_redirects=False, raise_error=False
        )

    return fetch


async def log_in(ask: Fetch, token: str) -> dict[str, str]:
    """Log in as a browser does; return its cookie as a header."""
    page = await ask("login", "GET")
    cookie = page.headers["Set-Cookie"].partition(";")[0]
    form = urlencode({"password": token, "_xsrf": cookie.removeprefix("_xsrf=")})
    answer = await ask("login", "POST", form, Cookie=cookie)
    assert answer.code == 302
    return {"Cookie": answer.headers["Set-Cookie"].partition(";")[0]}


async def test_health_tells_version_workspace_and_isolation(jp_fetch: Fetch, jp_root_dir: Path) -> None:
    response = await jp_fetch("alain", "health")
    assert json.loads(response.body) == {
        "version": version("alain-magics"),
        "workspace": {"name": jp_root_dir.name, "data": "environment"},
        "isolation": "auto",
    }


async def test_health_answers_a_browser_that_is_logged_in(ask: Fetch, jp_serverapp: Any) -> None:
    login = await log_in(ask, jp_serverapp.identity_provider.token)
    login["Cookie"] += f"; _xsrf={XSRF}"
    assert (await ask("alain/health", "GET", **login, **{"X-XSRFToken": XSRF})).code == 200


async def test_health_knows_a_project(
    jp_fetch: Fetch, jp_root_dir: Path, private_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ALAIN_DATA_DIR")
    assert json.loads((await jp_fetch("alain", "health")).body)["workspace"]["data"] == "user"
    (jp_root_dir / "alain.toml").write_text("isolation = 'isolated'")
    answer = json.loads((await jp_fetch("alain", "health")).body)
    assert answer["workspace"] == {"name": jp_root_dir.name, "data": "project"}
    assert answer["isolation"] == "isolated"
    assert not (jp_root_dir / ".alain").exists()


async def test_an_error_of_the_user_is_answered_in_one_line(jp_fetch: Fetch, jp_root_dir: Path) -> None:
    (jp_root_dir / "alain.toml").write_text("isolation = 'isolate'")
    with pytest.raises(HTTPClientError) as refused:
        await jp_fetch("alain", "health")
    assert refused.value.code == 400
    answer = json.loads(refused.value.response.body)
    assert answer["error"] == "SettingsError"
    assert "isolation = 'isolate' is not possible" in answer["message"]
    assert "Did you mean 'isolated'?" in answer["message"]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.UsageError("a"), 400),
        (errors.ConsentNeeded("a"), 403),
        (errors.TargetError("a"), 409),
        (errors.StoreError("a"), 503),
        (errors.SandboxError("a"), 503),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_each_error_has_its_status(
    jp_fetch: Fetch, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    monkeypatch.setattr(AlainHandler, "workspace", property(lambda _: (_ for _ in ()).throw(error)))
    with pytest.raises(HTTPClientError) as refused:
        await jp_fetch("alain", "health")
    assert refused.value.code == status
    assert json.loads(refused.value.response.body) == {"error": type(error).__name__, "message": "a"}


async def test_an_error_of_ours_shows_no_detail(jp_fetch: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AlainHandler, "workspace", property(lambda _: 1 / 0))
    with pytest.raises(HTTPClientError) as refused:
        await jp_fetch("alain", "health")
    assert refused.value.code == 500
    assert "division" not in refused.value.response.body.decode()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("route", ROUTES)
async def test_without_a_token_nothing_is_answered(ask: Fetch, route: str, method: str) -> None:
    for headers in [{}, {"Authorization": "token wrong"}]:
        assert (await ask(route, method, **headers)).code == 403


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("route", ROUTES)
async def test_another_site_cannot_use_the_login_of_a_browser(
    ask: Fetch, jp_serverapp: Any, route: str, method: str
) -> None:
    login = await log_in(ask, jp_serverapp.identity_provider.token)
    wrong = login | {"Cookie": f"{login['Cookie']}; _xsrf=1", "X-XSRFToken": "2"}
    for headers in [login, wrong, login | {"Origin": "http://elsewhere.example"}]:
        assert (await ask(route, method, **headers)).code in {403, 404}


@pytest.mark.parametrize("method", sorted({*METHODS} - {"GET"}))
async def test_health_can_only_be_read(jp_fetch: Fetch, method: str) -> None:
    with pytest.raises(HTTPClientError) as refused:
        await jp_fetch("alain", "health", method=method, body=b"" if method in {"POST", "PUT", "PATCH"} else None)
    assert refused.value.code == 405
