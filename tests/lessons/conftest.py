"""What tests of lessons share: a loop to await on, a folder of modules, a prover, and lessons made once."""

from __future__ import annotations

import asyncio
import importlib.metadata
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import pytest

from alain_magics.lessons.document import Document
from alain_magics.lessons.pipeline import write_lesson
from alain_magics.lessons.proving import Prover
from alain_magics.lessons.schema import Difficulty, Lesson
from alain_magics.lessons.sources.module import ModuleDocument
from alain_magics.lessons.sources.resolve import resolve
from alain_magics.lessons.teachers.base import Brief
from alain_magics.lessons.teachers.offline import open_teacher
from alain_magics.sandbox import Sandbox
from tests.lessons.modules import KIT, document_of

Result = TypeVar("Result")
Finish = Callable[[Coroutine[Any, Any, Result]], Result]


@pytest.fixture(scope="session")
def finish() -> Iterator[Finish[Any]]:
    """Finishes a coroutine on a loop that runs in another thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield lambda coroutine: asyncio.run_coroutine_threadsafe(coroutine, loop).result(120)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture(scope="session", autouse=True)
def one_look_at_the_packages() -> Iterator[None]:
    """Look through the installed packages once: it takes long, and they stay the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importlib.metadata, "packages_distributions", cache(importlib.metadata.packages_distributions))
        yield


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of modules that programs of the prover can import; the kit is one."""
    folder = tmp_path_factory.mktemp("modules")
    (folder / "kit.py").write_text(KIT, encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def kit() -> ModuleDocument:
    """The document of the kit."""
    return document_of(KIT, "kit")


@pytest.fixture(scope="session")
def prover(finish: Finish[Any], folder: Path) -> Iterator[Prover]:
    """A prover whose programs find the modules of the folder."""
    prover = Prover(Sandbox(), paths=(folder,))
    finish(prover.__aenter__())
    yield prover
    finish(prover.__aexit__(None, None, None))


@pytest.fixture
def module(folder: Path) -> Callable[..., ModuleDocument]:
    """Lays a module into the folder and reads it."""

    def lay(source: str, name: str) -> ModuleDocument:
        document = document_of(source, name)
        (folder / f"{name}.py").write_text(source, encoding="utf-8")
        return document

    return lay


@pytest.fixture(scope="session")
def write(finish: Finish[Any], folder: Path) -> Callable[..., tuple[Document, Lesson]]:
    """Reads a module of the folder or an installed one, and writes its lesson."""

    async def run(name: str, difficulty: Difficulty, seed: int) -> tuple[Document, Lesson]:
        async with open_teacher(resolve(name, folder), Sandbox()) as (document, teacher):
            lesson = await last(write_lesson(document, teacher, Brief(difficulty, seed)))
        return document, lesson

    return lambda name, difficulty="beginner", seed=0: finish(run(name, difficulty, seed))


@pytest.fixture(scope="session")
def taught(write: Callable[..., tuple[Document, Lesson]]) -> Callable[..., tuple[Document, Lesson]]:
    """The same, once for each module and difficulty."""
    return cache(write)


async def last(items: AsyncIterator[Any]) -> Any:
    """The last of the items."""
    return [item async for item in items][-1]
