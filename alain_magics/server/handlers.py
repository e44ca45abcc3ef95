"""The routes: every one needs a login, and errors become HTTP in one place."""

from __future__ import annotations

import json
import os
from http import HTTPStatus
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import url_path_join
from tornado import web

from alain_magics.errors import AlainError, ConsentNeeded, SandboxError, StoreError, TargetError
from alain_magics.workspace import Workspace, open_workspace

_STATUS: dict[type[AlainError], HTTPStatus] = {
    ConsentNeeded: HTTPStatus.FORBIDDEN,
    TargetError: HTTPStatus.CONFLICT,
    SandboxError: HTTPStatus.SERVICE_UNAVAILABLE,
    StoreError: HTTPStatus.SERVICE_UNAVAILABLE,
}


class AlainHandler(APIHandler):
    """Base of every route."""

    @property
    def workspace(self) -> Workspace:
        """The workspace of the folder that the server shows."""
        return open_workspace(Path(self.settings["serverapp"].root_dir))

    async def prepare(self) -> None:  # type: ignore[override]  # as APIHandler does
        """Refuse what another site makes a logged-in browser ask, even where it only reads."""
        await super().prepare()
        self.check_xsrf_cookie()

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer an :class:`AlainError` with its kind, what happened and what to do; never with a traceback."""
        error = kwargs.get("exc_info", (None, None))[1]
        if not isinstance(error, AlainError):
            super().write_error(status_code, **kwargs)
            return
        self.set_status(_STATUS.get(type(error), HTTPStatus.BAD_REQUEST))
        self.finish(json.dumps({"error": type(error).__name__, "message": str(error)}))


class HealthHandler(AlainHandler):
    """``GET alain/health``: the version, the workspace of the server's folder, and the isolation that is wanted."""

    @web.authenticated
    def get(self) -> None:
        """Answer without starting or opening anything."""
        workspace = self.workspace
        name = (workspace.project or workspace.folder).name
        self.finish(
            {
                "version": version("alain-magics"),
                "workspace": {"name": name, "data": _data_place(workspace)},
                "isolation": workspace.settings.isolation,
            }
        )


def routes(base_url: str) -> list[tuple[str, type[AlainHandler]]]:
    """Every route of the extension."""
    return [(url_path_join(base_url, "alain", "health"), HealthHandler)]


def _data_place(workspace: Workspace) -> str:
    if os.environ.get("ALAIN_DATA_DIR"):
        return "environment"
    return "project" if workspace.project else "user"
