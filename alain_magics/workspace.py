"""The composition root: one workspace a folder and user, which makes what commands need at its first use.

Data lies in ``ALAIN_DATA_DIR``; else in ``.alain/`` of the project (the nearest parent folder with an ``alain.toml``);
else in the user's Jupyter data folder.
"""

from __future__ import annotations

import atexit
import getpass
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alain_magics.errors import StoreError, TargetError
from alain_magics.settings import PROJECT_FILE, LoopMode, Settings, resolve, user_file

if TYPE_CHECKING:
    from alain_magics.runtimes.base import ChatRequest, Runtime
    from alain_magics.runtimes.recording import Origin
    from alain_magics.runtimes.registry import Runtimes
    from alain_magics.runtimes.turn import Turn
    from alain_magics.sandbox import Sandbox
    from alain_magics.store.attempts import Attempts
    from alain_magics.store.engine import Store
    from alain_magics.store.jobs import Jobs

DATABASE_FILE = "alain.db"
_PROJECT_DATA = ".alain"
_RUNS = "runs"
_RUNTIMES_FILE = "alain-runtimes.toml"
MODELS_FILE = "models.json"
_SHOWN = 80  # characters of a name that are shown


class Workspace:
    """Where a user works: ``folder`` (paths are relative to it), ``project`` (if any), ``data`` folder, ``user``.

    ``notices`` are lines that a front-end should show and then remove.
    """

    def __init__(self, folder: Path, project: Path | None, data: Path, user: str, database: Path | str) -> None:
        self.folder = folder
        self.project = project
        self.data = data
        self.user = user
        self.notices: list[str] = []
        self._database = database
        self._store: Store | None = None
        self._runtimes: Runtimes | None = None
        self._lock = threading.Lock()

    @property
    def settings(self) -> Settings:
        """The settings as they are now, without options of a call."""
        return self.settings_with()

    def settings_with(self, **options: Any) -> Settings:
        """Return the settings with the options of a call; ``None`` stands for an option that was not given."""
        return _resolve(self.project, **options)

    def path(self, name: str) -> Path:
        """Return the path that a user means by a name; :class:`TargetError` where the system can have no such path."""
        try:
            path = self.folder / Path(name).expanduser()
            with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
                path.lstat()
        except RuntimeError:
            user = name.partition("/")[0]
            raise TargetError(f"{name[:_SHOWN]} is in no home folder: there is no user {user[1:][:_SHOWN]}.") from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", "") or str(error)
            raise TargetError(f"{name[:_SHOWN]} cannot be used: {reason}.", "Choose another name.") from None
        return path

    @property
    def store(self) -> Store:
        """The database."""
        from alain_magics.store.engine import open_store

        with self._lock:
            if self._store is None:
                if isinstance(self._database, Path):
                    self.make_data()
                self._store = open_store(self._database)
                self.notices += self._store.notices
            return self._store

    def make_data(self) -> Path:
        """Make the data folder, for its owner alone, and return it; what lies in a project is kept out of git."""
        try:
            self.data.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self.project is not None and self.data == self.project / _PROJECT_DATA:
                _keep_out_of_git(self.data)
        except OSError as error:
            what = f"The data folder {self.data} cannot be used: {error.strerror}."
            raise StoreError(what, "Name another one in ALAIN_DATA_DIR.") from error
        return self.data

    @property
    def attempts(self) -> Attempts:
        """The answers that were given."""
        from alain_magics.store.attempts import Attempts

        return Attempts(self.store)

    @property
    def jobs(self) -> Jobs:
        """The jobs of the user in this project."""
        from alain_magics.store.jobs import Jobs

        return Jobs(self.store, self.user, str(self.project or ""))

    def sandbox(self, settings: Settings | None = None) -> Sandbox:
        """Return the place where programs run as the settings (by default the present ones) want it."""
        from alain_magics.sandbox import Limits, Sandbox

        wanted = settings or self.settings
        limits = Limits(seconds=wanted.item_seconds, memory_mb=wanted.item_memory_mb)
        return Sandbox(level=wanted.isolation, limits=limits, import_seconds=wanted.import_seconds)

    @property
    def runtimes(self) -> Runtimes:
        """The model runtimes that are known by name, and those that run here."""
        from alain_magics.runtimes.registry import Runtimes

        with self._lock:
            if self._runtimes is None:
                file = user_file().with_name(_RUNTIMES_FILE)
                self._runtimes = Runtimes(
                    file,
                    folder=self.project or self.folder,
                    settings=lambda: self.settings,
                    names_file=_data_folder(None) / MODELS_FILE,  # they are those of the machine, not of a project
                )
            return self._runtimes

    def turn(
        self,
        runtime: Runtime,
        request: ChatRequest,
        *,
        record: Origin | None = None,
        loop_detection: LoopMode | None = None,
    ) -> Turn:
        """Return a turn as the settings want it; ``record`` says where it was asked, and keeps it under ``runs/``."""
        from alain_magics.runtimes.recording import Recorder
        from alain_magics.runtimes.turn import Turn, TurnOptions

        options = TurnOptions(loop_detection=loop_detection or self.settings.loop_detection)
        recorder = Recorder(self._make_runs(), record) if record else None
        return Turn(runtime, request, options=options, recorder=recorder)

    def _make_runs(self) -> Path:
        """Make the folder of recorded turns, which stays out of git unless its ``.gitignore`` is removed."""
        folder = (self.project or self.folder) / _RUNS
        if not folder.exists():
            folder.mkdir(mode=0o700)
            _keep_out_of_git(folder)
        return folder

    def close(self) -> None:
        """Close the database, and free the runtimes; the next use opens them again."""
        with self._lock:
            runtimes, self._runtimes = self._runtimes, None
        if runtimes:
            runtimes.close()
        with self._lock:
            if self._store:
                self._store.close()
                self._store = None


_open: dict[tuple[Path, Path | None, Path, str, str], Workspace] = {}
_open_lock = threading.Lock()


def open_workspace(folder: Path | None = None) -> Workspace:
    """Return the workspace of a folder (by default the current one) for the present user."""
    try:
        folder = (folder or Path.cwd()).resolve()
    except FileNotFoundError:
        raise TargetError("The current folder was deleted.", "Change to another folder.") from None
    project = find_project(folder)
    settings = _resolve(project)
    user = settings.user or _login_name()
    data = _data_folder(project)
    key = (folder, project, data, user, settings.database_url)
    with _open_lock:
        if key not in _open:
            database = settings.database_url or data / DATABASE_FILE
            _open[key] = Workspace(folder, project, data, user, database)
        return _open[key]


@atexit.register
def close_workspaces() -> None:
    """Close every open workspace."""
    with _open_lock:
        while _open:
            _open.popitem()[1].close()


def find_project(folder: Path) -> Path | None:
    """Return the nearest of a folder and its parents that holds an ``alain.toml``."""
    return next((parent for parent in (folder, *folder.parents) if (parent / PROJECT_FILE).is_file()), None)


def _keep_out_of_git(folder: Path) -> None:
    if not (ignore := folder / ".gitignore").exists():
        ignore.write_text("*\n", encoding="utf-8")


def _resolve(project: Path | None, **options: Any) -> Settings:
    return resolve(options, project=project and project / PROJECT_FILE, user=user_file())


def _data_folder(project: Path | None) -> Path:
    from jupyter_core.paths import jupyter_data_dir

    if chosen := os.environ.get("ALAIN_DATA_DIR"):
        return Path(chosen).expanduser().resolve()
    return project / _PROJECT_DATA if project else Path(jupyter_data_dir()) / "alain"


def _login_name() -> str:
    """Return the name of the user on a hub, else on this machine; a container may have neither."""
    try:
        return os.environ.get("JUPYTERHUB_USER") or getpass.getuser()
    except (OSError, KeyError):
        return "user"
