from __future__ import annotations

from celery import shared_task

from models_registry import jobs
from models_registry.downloads import services as downloads
from models_registry.downloads.pool import pool


@shared_task(name=jobs.TASK, ignore_result=True)  # type: ignore[untyped-decorator]
def job_run(job_id: str) -> None:
    jobs.job_run(job_id)


@shared_task(name=downloads.TASK, ignore_result=True)  # type: ignore[untyped-decorator]
def download_run(download_id: str) -> None:
    pool.take_up(download_id)
