"""The Jupyter Server extension: what the front-ends ask for, under ``/alain``."""

from __future__ import annotations

from jupyter_server.serverapp import ServerApp

from alain_magics.server.handlers import routes


def _load_jupyter_server_extension(server: ServerApp) -> None:
    """Add the routes: called by Jupyter Server when it starts."""
    application = server.web_app
    application.add_handlers(".*$", routes(application.settings["base_url"]))  # type: ignore[no-untyped-call]
