"""The model that a new house brings in for itself, so that whoever asks in Chinese is answered in Chinese.

Once per house: a model lying in a hub's cache on this machine is used in place; else the nearest hub that
answers is asked. Nothing is done where somebody has added a model or chosen a default, nor ever again after
an administrator cancelled or deleted what came. Without a hub the next start tries again.
"""

from __future__ import annotations

import logging

import psutil
from django.conf import settings
from django.db import IntegrityError, transaction

from config.errors import AppError
from models_registry import caches, catalogue, selectors
from models_registry.downloads.services import download_request, download_resume
from models_registry.hubs import reach
from models_registry.models import Download, Model, Once
from models_registry.services import model_add, model_build, once

log = logging.getLogger(__name__)

ENTRY = "qwen3-0.6b"


def first_model() -> None:
    """Decide and begin; the download itself is the worker's as any other.

    Blocks for the seconds that hubs take (`hubs.limits`): for a thread of its own.
    """
    if not settings.HEARTH_FIRST_DOWNLOAD:
        return
    mark = Once.objects.filter(pk=Once.FIRST_MODEL).first()
    if mark is not None:
        _go_on(mark.model_id)
    elif _has_its_own():
        once(Once.FIRST_MODEL)
    else:
        entry = catalogue.entry(ENTRY)
        if not _from_cache(entry):
            _from_hub(entry)


def _has_its_own() -> bool:
    chosen = Once.objects.filter(pk=Once.DEFAULT_CHOSEN).exists()
    return chosen or not all(map(selectors.speaks_english_only, Model.objects.all()))


def _go_on(model_id: str) -> None:
    """One that failed is tried again, as the network may be back; one that is paused waits for its person."""
    failed = Download.objects.filter(model_id=model_id, state=Download.State.FAILED).first()
    if model_id and failed is not None and failed.hub in _answering():
        try:
            download_resume(failed)
        except AppError as error:
            log.warning("The first model does not go on: %s", error.message)


def _from_cache(entry: catalogue.Entry) -> bool:
    for cached in caches.cached_models():
        if cached.kind != "folder" or cached.repo not in (entry.modelscope, entry.huggingface):
            continue
        try:
            source = {"kind": "folder", "path": cached.path}
            model = model_build(name=cached.name, source=source, languages=entry.languages)
            with transaction.atomic():
                Once.objects.create(key=Once.FIRST_MODEL, model_id=model.pk)
                model_add(model, make_default=True)
        except AppError as error:  # half of it, as a download that was cut leaves it
            log.info("%s is not used: %s", cached.path, error.message)
        except IntegrityError:  # another worker was first
            return True
        else:
            log.info("%s lies in %s and is the default now", cached.repo, cached.path)
            return True
    return False


def _from_hub(entry: catalogue.Entry) -> None:
    if psutil.virtual_memory().total < entry.needed_bytes:
        log.info("%s is not fetched: this machine has too little memory for it", entry.name)
        return
    for hub in _answering():
        try:
            download = download_request(hub=hub, repo=getattr(entry, hub), first=True)
        except AppError as error:
            log.warning("%s does not come from %s: %s", entry.name, hub, error.message)
        except IntegrityError:  # another worker was first
            return
        else:
            log.info("%s comes from %s, %d bytes", download.repo, hub, download.bytes_total)
            return
    log.info("%s is not here and no hub gives it; the next start asks again", entry.name)


def _answering() -> list[str]:
    """Names of the hubs that answer now, the quickest first."""
    lines = [line for line in reach.measured(fresh=True) if line.latency_ms is not None]
    return [line.hub for line in sorted(lines, key=lambda line: line.latency_ms or 0)]
