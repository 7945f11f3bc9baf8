"""The Celery app. Messages only wake the worker (see models_registry.jobs): a lost one is no loss."""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.prod")

app = Celery("hearth")
app.config_from_object("django.conf:settings", namespace="CELERY")
# A request that only wants to wake the worker must not wait for a broker that is away (kombu: 6 s).
_IMPATIENT = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}

_options = dict(app.conf.broker_transport_options or {})
if "data_folder_in" in _options:
    _options.setdefault("polling_interval", 0.2)  # seconds between looks into the folder

app.conf.update(
    broker_transport_options=_IMPATIENT | _options,
    task_ignore_result=True,
    # Control messages need a broadcast, which the broker in a folder does badly; nobody sends any.
    worker_enable_remote_control=False,
    worker_hijack_root_logger=False,
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    accept_content=["json"],
)
app.autodiscover_tasks()
