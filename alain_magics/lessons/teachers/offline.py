"""The teacher that needs no model: for each kind of source the one that knows it."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from alain_magics.lessons.document import Document
from alain_magics.lessons.proving import Prover
from alain_magics.lessons.sources.resolve import Reference
from alain_magics.lessons.teachers.base import Teacher
from alain_magics.sandbox import Sandbox


async def read_source(reference: Reference, sandbox: Sandbox) -> Document:
    """The document of a source; a module is imported in the sandbox alone."""
    if reference.path is not None:
        from alain_magics.lessons.sources.card import read_card

        return read_card(reference.path)
    from alain_magics.lessons.sources.module import read_module

    return await read_module(reference.name, sandbox, reference.paths)


def open_prover(document: Document, reference: Reference, sandbox: Sandbox) -> Prover:
    """A prover with what the document's programs import."""
    if document.provenance.kind != "module":
        return Prover(sandbox)
    name, revision = document.provenance.ref, document.provenance.revision
    top = name.partition(".")[0]
    versions = {} if top in sys.stdlib_module_names else {top: revision}
    return Prover(sandbox, (name,), paths=reference.paths, versions=versions)


@asynccontextmanager
async def open_teacher(reference: Reference, sandbox: Sandbox) -> AsyncIterator[tuple[Document, Teacher]]:
    """Read the source and yield its document with a teacher for it, whose programs run until the block ends."""
    from alain_magics.lessons.sources.module import ModuleDocument

    document = await read_source(reference, sandbox)
    async with open_prover(document, reference, sandbox) as prover:
        if isinstance(document, ModuleDocument):
            from alain_magics.lessons.teachers.module.teacher import ModuleTeacher

            yield document, ModuleTeacher(document, prover)
        else:
            from alain_magics.lessons.sources.card import CardDocument
            from alain_magics.lessons.teachers.card import CardTeacher

            assert isinstance(document, CardDocument)
            yield document, CardTeacher(document, prover)
