"""Being sure of an output: the same under two hash seeds, no accident, remembered, sealed with all it depends on."""

from __future__ import annotations

from typing import Any

import pytest

from alain_magics.lessons.proving import SEEDS, Prover, python_version, run_of, stable
from alain_magics.lessons.schema import Run
from alain_magics.sandbox import Limits, Outcome, Sandbox


def reproduced(finish: Any, prover: Prover, *codes: str) -> list[Outcome | None]:
    return finish(prover.reproduce(codes))


def test_an_output_that_stays_is_reproduced(finish, prover):
    (outcome,) = reproduced(finish, prover, "print('one')\n1 + 1")
    assert (outcome.output, outcome.ok) == ("one\n2", True)


def test_so_is_an_exception_with_its_line(finish, prover):
    (outcome,) = reproduced(finish, prover, "data = []\ndata[0]")
    assert (outcome.error, outcome.message, outcome.line) == ("IndexError", "list index out of range", 2)


@pytest.mark.parametrize(
    "code",
    [
        "set('abcdefgh')",
        "hash('a')",
        "object()",
        "print([object()])",
        "raise ValueError(object())",
        "raise KeyError(hash('a'))",
        "while True: pass",
        "raise SystemExit",
        "import socket; socket.socket()",
        "print('x' * 999_999)",
    ],
)
def test_what_depends_on_the_run_or_ends_by_accident_is_not(finish, code):
    async def run() -> list[Outcome | None]:
        async with Prover(Sandbox(), limits=Limits(seconds=0.5)) as prover:
            return await prover.reproduce([code, "1"])

    first, second = finish(run())
    assert first is None
    assert second is not None


def test_chance_is_the_same_in_every_run_of_a_seed_and_so_not_reproduced(finish, prover):
    assert reproduced(finish, prover, "import random\nrandom.random()") == [None]


def test_a_program_runs_once_for_each_seed(finish, prover):
    code = "import time\ntime.time_ns()"
    first = finish(prover.run([code, code]))
    assert first[0] is first[1]
    assert finish(prover.run([code]))[0] is first[0]
    assert finish(prover.run([code], which=1))[0].output != first[0].output


def test_programs_that_need_one_seed_are_spread_over_both_and_come_back_in_order(finish, prover):
    codes = [f"{n} + 0 * hash('spread')" for n in range(5)]
    assert [outcome.output for outcome in finish(prover.run_spread([*codes, codes[0]]))] == [*"012340"]


def test_a_program_that_was_spread_is_reproduced_by_running_it_under_the_other_seed(finish, prover):
    codes = ["set('reproduced')", "sorted('again')"]
    finish(prover.run_spread(codes))
    assert [outcome is None for outcome in reproduced(finish, prover, *codes)] == [True, False]


def test_programs_find_the_folders_and_the_imports_that_were_asked_for(finish, folder):
    async def run() -> str:
        async with Prover(Sandbox(), ("kit",), paths=(folder,)) as prover:
            (outcome,) = await prover.run(["import sys\n'kit' in sys.modules"])
        return outcome.output

    assert finish(run()) == "True"


def test_a_proof_names_versions_seeds_and_isolation_and_is_sealed(finish):
    async def run() -> Any:
        async with Prover(Sandbox(), versions={"kit": "3.1"}) as prover:
            return prover.proof([Run(code="1", output="1")])

    proof = finish(run())
    assert proof.versions == {"python": python_version(), "kit": "3.1"}
    assert proof.seeds == list(SEEDS)
    assert proof.isolation == Sandbox().level
    assert proof == proof.sealed()


def test_another_run_another_seal(prover):
    assert prover.proof([Run(code="1", output="1")]).digest != prover.proof([Run(code="1", output="2")]).digest


def test_the_record_of_a_run_is_what_came_out():
    outcome = Outcome("one\n", "2", "", "", None, 0.1, "limited")
    assert run_of("code", outcome, how="sibling", option=3) == Run(
        code="code", output="one\n2", error="", line=None, how="sibling", option=3
    )


def test_an_address_in_a_message_is_no_more_stable_than_in_an_output():
    assert stable(Outcome("", "", "KeyError", "<object at 0x7>", 1, 0.1, "limited"))
    assert not stable(Outcome("", "", "KeyError", "<object at 0x7f3a5c1b2d30>", 1, 0.1, "limited"))
    assert not stable(Outcome("", "<object at 0x7f3a5c1b2d30>", "", "", None, 0.1, "limited"))
