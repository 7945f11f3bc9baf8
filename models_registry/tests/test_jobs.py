from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from models_registry import jobs, services
from models_registry.models import Job, Model
from models_registry.tests.fake_inference import FakeInference

REMOTE = {"kind": "remote", "base_url": "http://127.0.0.1:9/v1", "model": "big", "api_key": "sk-1"}


def _job(job_id: str) -> Job:
    return Job.objects.get(pk=job_id)


def test_a_load_hands_the_spec_over_and_ends_done(db: None, inference: FakeInference) -> None:
    model = services.model_create(name="Remote", source=REMOTE, settings={"slots": 2})
    job = services.model_load(model)
    jobs.job_run(job.id)
    assert inference.loads == [services.model_spec(model).to_dict()]
    assert inference.loads[0]["source"]["api_key"] == "sk-1"
    assert (_job(job.id).state, _job(job.id).progress, _job(job.id).error) == ("done", 1.0, None)


def test_an_unload_ends_done(echo: Model, inference: FakeInference) -> None:
    job = services.model_unload(echo)
    jobs.job_run(job.id)
    assert inference.unloads == [echo.id]
    assert _job(job.id).state == "done"


def test_a_failed_load_keeps_the_reason(echo: Model, inference: FakeInference) -> None:
    inference.answer = [
        {"kind": "failed", "code": "out_of_memory", "message": "Too large.", "retryable": False}
    ]
    job = services.model_load(echo)
    jobs.job_run(job.id)
    assert _job(job.id).state == "failed"
    assert _job(job.id).error == {"code": "out_of_memory", "message": "Too large."}


def test_without_a_model_service_the_job_fails_and_says_so(echo: Model) -> None:
    job = services.model_load(echo)
    jobs.job_run(job.id)
    assert _job(job.id).error is not None
    assert _job(job.id).error["code"] == "unavailable"  # type: ignore[index]


def test_a_load_of_a_model_that_went_fails(echo: Model, inference: FakeInference) -> None:
    job = services.model_load(echo)
    Model.objects.all().delete()
    jobs.job_run(job.id)
    assert _job(job.id).error == {"code": "model_not_found", "message": "There is no such model."}
    assert inference.loads == []


def test_the_progress_is_written_while_it_loads(
    echo: Model, inference: FakeInference, monkeypatch: pytest.MonkeyPatch
) -> None:
    inference.answer = [
        {"kind": "status", "phase": "loading", "progress": 0.25},
        {"kind": "failed", "code": "load_failed", "message": "no", "retryable": False},
    ]
    job = services.model_load(echo)
    jobs.job_run(job.id)
    assert _job(job.id).progress == 0.25


def test_an_unload_cancels_the_loads_that_wait(echo: Model, inference: FakeInference) -> None:
    load = services.model_load(echo)
    unload = services.model_unload(echo)
    again = services.model_load(echo)
    assert [_job(job.id).state for job in (load, unload, again)] == ["cancelled", "cancelled", "queued"]
    jobs.job_run(load.id)
    assert inference.loads == []


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_a_job_that_comes_to_many_is_done_once(inference: FakeInference) -> None:
    job = services.model_load(services.model_create(name="Echo", source={"kind": "echo"}))
    barrier = threading.Barrier(6)

    def deliver(_: int) -> None:
        try:
            connection.ensure_connection()
            barrier.wait(timeout=30)
            jobs.job_run(job.id)
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(deliver, range(6)))
    assert len(inference.loads) == 1
    assert (_job(job.id).state, _job(job.id).attempts) == ("done", 1)


def _age(job: Job, **by: Any) -> None:
    Job.objects.filter(pk=job.pk).update(created=timezone.now() - timedelta(**by))


def test_only_what_no_message_brought_is_swept(echo: Model) -> None:
    job = services.model_load(echo)
    assert jobs.jobs_due() == []
    _age(job, seconds=10)
    assert jobs.jobs_due() == [job.id]
    Job.objects.update(state=Job.State.DONE)
    assert jobs.jobs_due() == []


def test_the_job_of_a_worker_that_died_is_taken_over(echo: Model, inference: FakeInference) -> None:
    job = services.model_load(echo)
    now = timezone.now()
    Job.objects.update(state=Job.State.RUNNING, owner="dead", attempts=1, lease_until=now + jobs.LEASE)
    jobs.job_run(job.id)
    assert inference.loads == []  # its lease still runs
    Job.objects.update(lease_until=now - timedelta(seconds=1))
    assert jobs.jobs_due() == [job.id]
    jobs.job_run(job.id)
    assert (_job(job.id).state, _job(job.id).attempts, _job(job.id).owner) == ("done", 2, jobs.OWNER)


def test_a_job_that_kills_each_worker_is_given_up(echo: Model, inference: FakeInference) -> None:
    job = services.model_load(echo)
    Job.objects.update(attempts=jobs.MOST_ATTEMPTS)
    jobs.job_run(job.id)
    assert inference.loads == []
    assert _job(job.id).error["code"] == "job_lost"  # type: ignore[index]


def test_leases_are_renewed_and_given_back_by_their_owner_alone(echo: Model) -> None:
    mine = services.model_load(echo)
    soon = timezone.now() + timedelta(seconds=1)
    Job.objects.update(state=Job.State.RUNNING, owner=jobs.OWNER, attempts=1, lease_until=soon)
    other = Job.objects.create(kind="load", model_id="x", state="running", owner="other", lease_until=soon)
    jobs.jobs_renew()
    assert _job(mine.id).lease_until > soon  # type: ignore[operator]
    assert _job(other.id).lease_until == soon
    jobs.jobs_release()
    assert (_job(mine.id).state, _job(mine.id).attempts) == ("queued", 0)
    assert _job(other.id).state == "running"


def test_old_jobs_are_forgotten(db: None) -> None:
    old = timezone.now() - timedelta(days=8)
    Job.objects.create(kind="load", model_id="x", state="done", created=old, finished=old)
    young = Job.objects.create(kind="load", model_id="x", state="done", finished=timezone.now())
    jobs.jobs_prune()
    assert list(Job.objects.all()) == [young]


def test_a_broker_that_is_away_costs_nothing(
    echo: Model, settings: Any, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    from config.celery import app

    def away(*args: Any, **more: Any) -> None:
        raise ConnectionError("nobody there")

    monkeypatch.undo()  # the real wake-up
    monkeypatch.setattr(app, "send_task", away)
    with django_capture_on_commit_callbacks(execute=True):
        job = services.model_load(echo)
    assert _job(job.id).state == "queued"
