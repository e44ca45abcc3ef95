"""Jobs: events in order, one end, cancel, resume, and what a dead process leaves behind."""

from __future__ import annotations

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
jobs = Jobs(open_store(Path(sys.argv[1])), "ada")
job = jobs.start("generate", {"source": "statistics"})
print(job, flush=True)
while True:
    print(jobs.append(job, {}), flush=True)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "alain.db"


@pytest.fixture
def jobs(path: Path) -> Iterator[Jobs]:
    store = open_store(path)
    yield Jobs(store, "ada", "/p")
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
    job = jobs.start("generate", {"source": "statistics"})
    assert jobs.get(job).status == "running"
    assert (jobs.get(job).request, jobs.get(job).project) == ({"source": "statistics"}, "/p")
    assert [jobs.append(job, {"done": 1}), jobs.append(job, {"done": 2})] == [1, 2]
    jobs.finish(job, {"path": "x.ipynb"})
    assert (jobs.get(job).status, jobs.get(job).result) == ("finished", {"path": "x.ipynb"})
    assert [(event.sequence, event.data["done"]) for event in jobs.events(job)] == [(1, 1), (2, 2)]
    assert [event.sequence for event in jobs.events(job, after=1)] == [2]


ENDS = {"finish": [{}], "fail": ["why"], "cancel": []}


@pytest.mark.parametrize("end", ENDS)
def test_nothing_happens_in_a_job_that_ended(jobs: Jobs, end: str):
    job = jobs.start("generate", {})
    getattr(jobs, end)(job, *ENDS[end])
    ended = jobs.get(job)
    for name, given in {**ENDS, "append": [{}]}.items():
        with pytest.raises(StoreError, match=f"is {ended.status}"):
            getattr(jobs, name)(job, *given)
    jobs.request_cancel(job)
    assert jobs.get(job) == ended


def test_an_unknown_job_is_named(jobs: Jobs):
    with pytest.raises(StoreError, match="no job nowhere"):
        jobs.get("nowhere")
    with pytest.raises(StoreError, match="no job nowhere"):
        jobs.append("nowhere", {})


def test_the_worker_sees_that_somebody_wants_it_to_stop(jobs: Jobs):
    job = jobs.start("generate", {})
    assert not jobs.get(job).cancel_requested
    jobs.request_cancel(job)
    assert jobs.get(job).cancel_requested
    assert jobs.get(job).status == "running"


def test_a_follower_sees_every_event_once_and_stops_with_the_job(jobs: Jobs):
    job = jobs.start("generate", {})
    for number in range(3):
        jobs.append(job, {"number": number})

    def work() -> None:
        for number in range(3, 20):
            jobs.append(job, {"number": number})
        jobs.finish(job, {})

    worker = threading.Thread(target=work)
    worker.start()
    seen = [event.data["number"] for event in jobs.follow(job, after=1, poll=0.005)]
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
    assert jobs.find_resumable("generate", {"source": "statistics"}).id == job_id
    assert jobs.find_resumable("generate", {"source": "random"}) is None
    outcomes = []

    def resume() -> None:
        try:
            jobs.resume(job_id)
            outcomes.append(jobs.get(job_id).status)
        except StoreError:
            outcomes.append("refused")

    threads = [threading.Thread(target=resume) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["refused"] * 3 + ["running"]
    assert jobs.append(job_id, {}) == last + 1


def test_another_process_cannot_add_to_a_job(path: Path, jobs: Jobs):
    with subprocess.Popen([sys.executable, "-c", WORK, path], stdout=subprocess.PIPE, text=True) as process:
        job_id = process.stdout.readline().strip()
        assert jobs.get(job_id).status == "running"
        with pytest.raises(StoreError, match="worked on elsewhere"):
            jobs.append(job_id, {})
        with pytest.raises(StoreError, match="is running"):
            jobs.resume(job_id)
        process.kill()


def test_a_pid_that_was_given_to_another_process_is_not_the_worker(path: Path, jobs: Jobs):
    job = jobs.start("generate", {})
    store = open_store(path)
    with store.writing() as connection:
        connection.exec_driver_sql("UPDATE jobs SET process_started = process_started - 1000")
    store.close()
    assert jobs.get(job).status == "interrupted"


def test_results_of_finished_jobs_come_the_latest_first(jobs: Jobs):
    for number in range(3):
        jobs.finish(jobs.start("generate", {}), {"number": number})
    jobs.finish(jobs.start("verify", {}), {"number": 9})
    jobs.fail(jobs.start("generate", {}), "why")
    assert [result["number"] for result in jobs.results("generate")] == [2, 1, 0]


def test_a_user_does_not_resume_the_job_of_another(path: Path, jobs: Jobs):
    job = jobs.start("generate", {})
    jobs.fail(job, "why")
    store = open_store(path)
    assert Jobs(store, "bob").find_resumable("generate", {}) is None
    assert Jobs(store, "ada").find_resumable("generate", {}).error == "why"
    store.close()


class JobsAgainstAModel(RuleBasedStateMachine):
    """Any sequence of steps leaves the store as the plain model says."""

    handles = Bundle("handles")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.store = open_store(Path(self.folder.name) / "alain.db")
        self.jobs = Jobs(self.store, "ada")
        self.model: dict[str, dict[str, object]] = {}
        self.order: list[str] = []

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()

    @rule(target=handles, source=st.sampled_from("ab"))
    def start(self, source: str) -> str:
        job = self.jobs.start("generate", {"source": source})
        self.model[job] = {"status": "running", "events": [], "cancel": False, "source": source}
        self.order.append(job)
        return job

    @rule(handle=handles, number=st.integers(0, 9))
    def append(self, handle: str, number: int) -> None:
        job = self.model[handle]
        if job["status"] == "running":
            self.jobs.append(handle, {"number": number})
            job["events"].append(number)
        else:
            with pytest.raises(StoreError):
                self.jobs.append(handle, {"number": number})

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
        found = self.jobs.find_resumable("generate", {"source": source})
        latest = next((key for key in reversed(self.order) if self.model[key]["source"] == source), None)
        resumable = latest and self.model[latest]["status"] in ("failed", "cancelled")
        assert (found.id if found else None) == (latest if resumable else None)

    @rule(handle=consumes(handles))
    def reopen(self, handle: str) -> None:
        self.store.close()
        self.store = open_store(Path(self.folder.name) / "alain.db")
        self.jobs = Jobs(self.store, "ada")

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
