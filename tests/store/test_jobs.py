"""Jobs: events in order, one end, cancel, resume, and what a dead process leaves behind."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from alain_magics.errors import StoreError
from alain_magics.store.engine import open_store
from alain_magics.store.jobs import Jobs

WORK = """
import sys
from pathlib import Path
from alain_magics.store.engine import open_store
from alain_magics.store.jobs import Jobs
jobs = Jobs(open_store(Path(sys.argv[1])))
job = jobs.start("generate", {"source": "statistics"}, user="ada")
print(job.id, flush=True)
while True:
    print(jobs.append(job.id, "progress", {}).sequence, flush=True)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "alain.db"


@pytest.fixture
def jobs(path: Path) -> Iterator[Jobs]:
    store = open_store(path)
    yield Jobs(store)
    store.close()


def killed_at_work(path: Path) -> tuple[str, int]:
    """Kill a process in the midst of a job; return the job's id and the last event that was acknowledged."""
    with subprocess.Popen([sys.executable, "-c", WORK, path], stdout=subprocess.PIPE, text=True) as process:
        job_id = process.stdout.readline().strip()
        for _ in range(3):
            process.stdout.readline()
        process.kill()
        return job_id, 3 + process.stdout.read().count("\n")


def test_a_job_runs_from_start_to_result(jobs: Jobs):
    job = jobs.start("generate", {"source": "statistics"}, user="ada", project="/p")
    assert (job.status, job.request, job.project) == ("running", {"source": "statistics"}, "/p")
    jobs.append(job.id, "progress", {"done": 1})
    jobs.append(job.id, "progress", {"done": 2})
    assert jobs.finish(job.id, {"path": "x.ipynb"}).result == {"path": "x.ipynb"}
    assert [(event.sequence, event.data["done"]) for event in jobs.events(job.id)] == [(1, 1), (2, 2)]
    assert [event.sequence for event in jobs.events(job.id, after=1)] == [2]


@pytest.mark.parametrize("end", ["finish", "fail", "cancel"])
def test_nothing_happens_in_a_job_that_ended(jobs: Jobs, end: str):
    job = jobs.start("generate", {}, user="ada")
    arguments = {"finish": [{}], "fail": ["why"], "cancel": []}
    ended = getattr(jobs, end)(job.id, *arguments[end])
    with pytest.raises(StoreError, match=f"is {ended.status}"):
        jobs.append(job.id, "progress", {})
    for name, given in arguments.items():
        with pytest.raises(StoreError, match=f"is {ended.status}"):
            getattr(jobs, name)(job.id, *given)
    assert jobs.request_cancel(job.id) == ended


def test_an_unknown_job_is_named(jobs: Jobs):
    with pytest.raises(StoreError, match="no job nowhere"):
        jobs.get("nowhere")
    with pytest.raises(StoreError, match="no job nowhere"):
        jobs.append("nowhere", "progress", {})


def test_the_worker_sees_that_somebody_wants_it_to_stop(jobs: Jobs):
    job = jobs.start("generate", {}, user="ada")
    assert not jobs.get(job.id).cancel_requested
    jobs.request_cancel(job.id)
    assert jobs.get(job.id).cancel_requested
    assert jobs.get(job.id).status == "running"


def test_a_follower_sees_every_event_once_and_stops_with_the_job(jobs: Jobs):
    job = jobs.start("generate", {}, user="ada")
    for number in range(3):
        jobs.append(job.id, "progress", {"number": number})

    def work() -> None:
        for number in range(3, 20):
            jobs.append(job.id, "progress", {"number": number})
        jobs.finish(job.id, {})

    worker = threading.Thread(target=work)
    worker.start()
    seen = [event.data["number"] for event in jobs.follow(job.id, after=1, poll=0.005)]
    worker.join()
    assert seen == list(range(1, 20))


def test_a_job_whose_process_died_is_interrupted_and_keeps_its_events(path: Path, jobs: Jobs):
    job_id, acknowledged = killed_at_work(path)
    assert jobs.get(job_id).status == "interrupted"
    events = [event.sequence for event in jobs.follow(job_id)]
    assert events == list(range(1, len(events) + 1))
    assert len(events) >= acknowledged


def test_an_interrupted_job_is_found_and_taken_over_by_one(path: Path, jobs: Jobs):
    job_id, _ = killed_at_work(path)
    last = jobs.get(job_id).last_event
    assert jobs.find_resumable("generate", {"source": "statistics"}, user="ada").id == job_id
    assert jobs.find_resumable("generate", {"source": "random"}, user="ada") is None
    assert jobs.find_resumable("generate", {"source": "statistics"}, user="bob") is None
    outcomes = []

    def resume() -> None:
        try:
            outcomes.append(jobs.resume(job_id).status)
        except StoreError:
            outcomes.append("refused")

    threads = [threading.Thread(target=resume) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["refused"] * 3 + ["running"]
    assert jobs.append(job_id, "progress", {}).sequence == last + 1


def test_another_process_cannot_add_to_a_job(path: Path, jobs: Jobs):
    with subprocess.Popen([sys.executable, "-c", WORK, path], stdout=subprocess.PIPE, text=True) as process:
        job_id = process.stdout.readline().strip()
        assert jobs.get(job_id).status == "running"
        with pytest.raises(StoreError, match="worked on elsewhere"):
            jobs.append(job_id, "progress", {})
        with pytest.raises(StoreError, match="is running"):
            jobs.resume(job_id)
        process.kill()


def test_a_pid_that_was_given_to_another_process_is_not_the_worker(path: Path, jobs: Jobs):
    job = jobs.start("generate", {}, user="ada")
    store = open_store(path)
    with store.writing() as connection:
        connection.exec_driver_sql("UPDATE jobs SET process_started = process_started - 1000")
    store.close()
    assert jobs.get(job.id).status == "interrupted"
    assert jobs.get(job.id).id and os.getpid()


class JobsAgainstAModel(RuleBasedStateMachine):
    """Any sequence of steps leaves the store as the plain model says."""

    handles = Bundle("handles")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.store = open_store(Path(self.folder.name) / "alain.db")
        self.jobs = Jobs(self.store)
        self.model: dict[str, dict[str, object]] = {}
        self.order: list[str] = []

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()

    @rule(target=handles, source=st.sampled_from("ab"))
    def start(self, source: str) -> str:
        job = self.jobs.start("generate", {"source": source}, user="ada")
        self.model[job.id] = {"status": "running", "events": [], "cancel": False, "source": source}
        self.order.append(job.id)
        return job.id

    @rule(handle=handles, number=st.integers(0, 9))
    def append(self, handle: str, number: int) -> None:
        job = self.model[handle]
        if job["status"] == "running":
            self.jobs.append(handle, "progress", {"number": number})
            job["events"].append(number)
        else:
            with pytest.raises(StoreError):
                self.jobs.append(handle, "progress", {"number": number})

    @rule(handle=handles, end=st.sampled_from(["finished", "failed", "cancelled"]))
    def end(self, handle: str, end: str) -> None:
        steps = {
            "finished": lambda: self.jobs.finish(handle, {}),
            "failed": lambda: self.jobs.fail(handle, "why"),
            "cancelled": lambda: self.jobs.cancel(handle),
        }
        if self.model[handle]["status"] == "running":
            steps[end]()
            self.model[handle]["status"] = end
        else:
            with pytest.raises(StoreError):
                steps[end]()

    @rule(handle=handles)
    def request_cancel(self, handle: str) -> None:
        self.jobs.request_cancel(handle)
        if self.model[handle]["status"] == "running":
            self.model[handle]["cancel"] = True

    @rule(handle=handles)
    def resume(self, handle: str) -> None:
        if self.model[handle]["status"] in ("failed", "cancelled"):
            self.jobs.resume(handle)
            self.model[handle].update(status="running", cancel=False)
        else:
            with pytest.raises(StoreError):
                self.jobs.resume(handle)

    @rule(source=st.sampled_from("ab"))
    def find(self, source: str) -> None:
        found = self.jobs.find_resumable("generate", {"source": source}, user="ada")
        latest = next((key for key in reversed(self.order) if self.model[key]["source"] == source), None)
        resumable = latest and self.model[latest]["status"] in ("failed", "cancelled")
        assert (found.id if found else None) == (latest if resumable else None)

    @rule(handle=consumes(handles))
    def reopen(self, handle: str) -> None:
        self.store.close()
        self.store = open_store(Path(self.folder.name) / "alain.db")
        self.jobs = Jobs(self.store)

    @invariant()
    def the_store_says_what_the_model_says(self) -> None:
        for handle, expected in self.model.items():
            job = self.jobs.get(handle)
            assert (job.status, job.cancel_requested) == (expected["status"], expected["cancel"])
            events = self.jobs.events(handle)
            assert [event.sequence for event in events] == list(range(1, job.last_event + 1))
            assert [event.data["number"] for event in events] == expected["events"]


JobsAgainstAModel.TestCase.settings = settings(max_examples=15, stateful_step_count=20, deadline=None)
TestJobsAgainstAModel = JobsAgainstAModel.TestCase
