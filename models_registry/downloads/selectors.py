"""Reading downloads, and the state of models whose files are not here yet."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from config.errors import AppError
from models_registry.downloads import leases, words
from models_registry.live import State, stopped
from models_registry.models import Download, Model

#: How many of those that are over are listed beside the open ones.
MOST_OVER = 100


def download_list() -> list[Download]:
    """Newest first: all that are not over, and the newest of those that are."""
    over = Q(state__in=(Download.State.DONE, Download.State.CANCELLED))
    newest = list(Download.objects.filter(over).order_by("-created", "id")[:MOST_OVER])
    found = [*Download.objects.exclude(over), *newest]
    return sorted(found, key=lambda download: download.created, reverse=True)


def download_get(download_id: str) -> Download:
    """Raises AppError("download_not_found", 404)."""
    found = Download.objects.filter(pk=download_id).first()
    if found is None:
        raise AppError("download_not_found", _("There is no such download."), status=404)
    return found


def download_of(model_id: str) -> Download | None:
    """The newest download for this model."""
    return downloads_of([model_id]).get(model_id)


def downloads_of(model_ids: Iterable[str]) -> dict[str, Download]:
    """The newest download of each of these models that has one."""
    rows = Download.objects.filter(model_id__in=list(model_ids)).order_by("created", "id")
    return {row.model_id: row for row in rows}


def states_of(model_ids: Iterable[str]) -> dict[str, State]:
    """Only for models whose files are not here: "downloading" with progress, or "absent" with the error."""
    missing = not_here().filter(pk__in=list(model_ids))
    names = dict(missing.values_list("pk", "name"))
    found = downloads_of(names) if names else {}
    return {pk: state_of(pk, name, found.get(pk)) for pk, name in names.items()}


def state_of(model_id: str, name: str, download: Download | None) -> State:
    """As `live.stopped`. A download that is paused is still on its way; one that failed is not."""
    underway = download is not None and download.state in (*leases.OPEN, Download.State.PAUSED)
    return stopped(model_id, name, words.told(download.error) if download else None) | {
        "state": "downloading" if underway else "absent",
        "progress": progress_of(download) if underway and download else None,
    }


def not_here() -> QuerySet[Model]:
    """Models of a hub whose files have not all come."""
    return Model.objects.filter(source__kind="hub").exclude(source__has_key="path")


def progress_of(download: Download) -> float | None:
    """0..1"""
    return min(1.0, download.bytes_done / download.bytes_total) if download.bytes_total else None


def seconds_left(download: Download) -> float | None:
    """At the present speed; None while nothing moves."""
    if download.state != Download.State.RUNNING or download.speed < 1:
        return None
    return round((download.bytes_total - download.bytes_done) / download.speed, 1)


def download_brief(download: Download | None) -> dict[str, Any] | None:
    """What the card of a model shows; None when all is here."""
    if download is None or download.state in (Download.State.DONE, Download.State.CANCELLED):
        return None
    return {
        "id": download.id,
        "state": download.state,
        "bytes_done": download.bytes_done,
        "bytes_total": download.bytes_total,
        "speed": download.speed,
        "seconds_left": seconds_left(download),
    }
