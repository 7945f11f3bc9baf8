from __future__ import annotations

from celery import shared_task

from models_registry import jobs


@shared_task(name=jobs.TASK, ignore_result=True)  # type: ignore[untyped-decorator]
def job_run(job_id: str) -> None:
    jobs.job_run(job_id)
