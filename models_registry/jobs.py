"""The life of a job: asked for, taken with a lease, done once. The broker only wakes the worker.

A message may be lost or come twice: `jobs_due` finds what was not delivered, and taking a job is one
conditional UPDATE, so of two who try one wins.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.ids import new_id
from inference.client import InferenceClient
from inference.errors import InferenceError
from models_registry.deadlock import retried
from models_registry.models import Job, Model

log = logging.getLogger(__name__)

#: Who holds a lease: this process, this start.
OWNER = f"{os.getpid()}-{new_id()[:12]}"
LEASE = timedelta(seconds=20)
#: A job that waited this long was not delivered.
UNDELIVERED = timedelta(seconds=2)
MOST_ATTEMPTS = 3
PROGRESS_EVERY = 1.0
KEEP = timedelta(days=7)

TASK = "models_registry.job_run"


@retried
def job_enqueue(kind: str, model_id: str) -> Job:
    """Write the row and, once it is committed, wake a worker."""
    with transaction.atomic():
        waiting = Job.objects.filter(model_id=model_id, state=Job.State.QUEUED)
        open_jobs = Job.objects.filter(model_id=model_id, state__in=(Job.State.QUEUED, Job.State.RUNNING))
        newest = open_jobs.order_by("-created", "-id").first()
        if newest is not None and newest.kind == kind:
            return newest
        waiting.update(state=Job.State.CANCELLED, finished=timezone.now())
        job = Job.objects.create(kind=kind, model_id=model_id)
        transaction.on_commit(lambda: _wake(job.id))
    return job


def _wake(job_id: str) -> None:
    from config.celery import app

    try:
        app.send_task(TASK, args=[job_id], retry=False, ignore_result=True)
    except Exception as error:  # whatever a broker raises: the worker's sweep delivers instead
        log.warning("The broker did not take job %s (%s); the worker will find it", job_id, error)


def jobs_due() -> list[str]:
    """Jobs that no message brought, or whose worker died."""
    now = timezone.now()
    lost = Q(state=Job.State.QUEUED, created__lt=now - UNDELIVERED)
    orphaned = Q(state=Job.State.RUNNING, lease_until__lt=now)
    return list(Job.objects.filter(lost | orphaned).order_by("created").values_list("id", flat=True)[:20])


def jobs_renew() -> None:
    """Keep the leases of what this process runs; called every few seconds."""
    mine = Job.objects.filter(owner=OWNER, state=Job.State.RUNNING)
    if mine.exists():  # a look is cheap; a write takes SQLite's one lock
        mine.update(lease_until=timezone.now() + LEASE)


def jobs_release() -> None:
    """Give back what this process runs, as it ends: another takes it over at once."""
    Job.objects.filter(owner=OWNER, state=Job.State.RUNNING).update(
        state=Job.State.QUEUED, owner="", lease_until=None, attempts=F("attempts") - 1
    )


def jobs_prune() -> None:
    Job.objects.filter(finished__lt=timezone.now() - KEEP).delete()


def job_run(job_id: str) -> None:
    """Take the job and do it; does nothing when it is done or another has it. Never raises for the job."""
    if not _take(job_id):
        return
    job = Job.objects.get(pk=job_id)
    error: dict[str, Any] | None = None
    try:
        if job.attempts > MOST_ATTEMPTS:
            raise InferenceError("job_lost", _("The worker ended each time that it tried this."))
        _do(job)
    except InferenceError as failure:
        error = {"code": failure.code, "message": failure.message}
    except Exception as failure:
        log.exception("Job %s failed", job_id)
        error = {"code": "internal", "message": type(failure).__name__}
    _finish(job_id, error)


def _take(job_id: str) -> bool:
    now = timezone.now()
    free = Q(state=Job.State.QUEUED) | Q(state=Job.State.RUNNING, lease_until__lt=now)
    return bool(
        Job.objects.filter(free, pk=job_id).update(
            state=Job.State.RUNNING, owner=OWNER, lease_until=now + LEASE, attempts=F("attempts") + 1
        )
    )


def _finish(job_id: str, error: dict[str, Any] | None) -> None:
    state = Job.State.FAILED if error else Job.State.DONE
    values: dict[str, Any] = {"state": state, "error": error, "finished": timezone.now(), "lease_until": None}
    if not error:
        values["progress"] = 1.0
    Job.objects.filter(pk=job_id, owner=OWNER, state=Job.State.RUNNING).update(**values)


def _do(job: Job) -> None:
    client = InferenceClient(settings.HEARTH_INFERENCE, settings.HEARTH_INFERENCE_SECRET or None)
    with asyncio.Runner() as runner:
        try:
            if job.kind == Job.Kind.UNLOAD:
                runner.run(client.unload(job.model_id))
            else:
                _load(job, client, runner)
        finally:
            runner.run(client.close())


def _load(job: Job, client: InferenceClient, runner: asyncio.Runner) -> None:
    """Step by step, so that rows are written here, in the task's own thread and connection."""
    from models_registry.services import model_spec

    model = Model.objects.filter(pk=job.model_id).first()
    if model is None:
        raise InferenceError("model_not_found", _("There is no such model."))
    events = client.load(model_spec(model))

    async def step() -> dict[str, Any] | None:
        return await anext(events, None)

    told = 0.0
    while (event := runner.run(step())) is not None:
        if event["kind"] == "failed":
            raise InferenceError.from_event(event)
        if event.get("progress") is not None and time.monotonic() - told > PROGRESS_EVERY:
            told = time.monotonic()
            Job.objects.filter(pk=job.id, owner=OWNER).update(progress=float(event["progress"]))
