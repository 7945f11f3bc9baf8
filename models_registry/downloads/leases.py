"""Who fetches: rows are taken with one conditional UPDATE and held by a lease, as jobs are."""

from __future__ import annotations

import itertools
from datetime import timedelta

from django.db.models import F, Q
from django.utils import timezone

from models_registry.jobs import OWNER
from models_registry.models import Download, Model

State = Download.State
#: Renewed with the progress. Short, as files are locked too: two can never write one file.
LEASE = timedelta(seconds=10)
KEEP = timedelta(days=7)
HELD = (State.RUNNING, State.VERIFYING)
OPEN = (State.QUEUED, *HELD)

_runs = itertools.count()


def take(download_id: str) -> str | None:
    """A name for this run, which now owns the row; None when it is done, stopped, or another's."""
    owner, now = f"{OWNER}.{next(_runs)}", timezone.now()
    free = Q(state=State.QUEUED) | Q(state__in=HELD, lease_until__lt=now)
    taken = Download.objects.filter(free, pk=download_id).update(
        state=State.RUNNING, owner=owner, lease_until=now + LEASE, attempts=F("attempts") + 1, error=None
    )
    return owner if taken else None


def release() -> None:
    """Give back what this process fetches, as it ends: another goes on at once."""
    Download.objects.filter(owner__startswith=OWNER, state__in=HELD).update(
        state=State.QUEUED, owner="", lease_until=None, attempts=F("attempts") - 1, speed=0.0
    )


def let_go(owner: str) -> None:
    """What a person paused or cancelled is not written to any more by `owner`."""
    Download.objects.filter(owner=owner).exclude(state__in=HELD).update(owner="", lease_until=None, speed=0.0)


def due() -> list[str]:
    """Those that no message brought, or whose worker died."""
    orphaned = Q(state__in=HELD, lease_until__lt=timezone.now())
    found = Download.objects.filter(Q(state=State.QUEUED) | orphaned)
    return list(found.order_by("created", "id").values_list("id", flat=True)[:20])


def to_clean() -> list[str]:
    """Cancelled ones whose parts still lie there; `finished` is set when they are gone."""
    free = Q(lease_until__isnull=True) | Q(lease_until__lt=timezone.now())
    found = Download.objects.filter(free, state=State.CANCELLED, finished__isnull=True)
    return list(found.values_list("id", flat=True)[:20])


def cancel_orphans() -> None:
    """A model that was deleted needs its files no more."""
    waiting = Download.objects.exclude(state__in=(State.DONE, State.CANCELLED))
    models = dict(waiting.values_list("pk", "model_id"))
    if models:
        there = set(Model.objects.filter(pk__in=models.values()).values_list("pk", flat=True))
        gone = [pk for pk, model_id in models.items() if model_id not in there]
        waiting.filter(pk__in=gone).update(state=State.CANCELLED, key=None)


def prune() -> None:
    Download.objects.filter(state=State.CANCELLED, finished__lt=timezone.now() - KEEP).delete()
