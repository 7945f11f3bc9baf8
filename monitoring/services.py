"""Writing signs of life."""

from __future__ import annotations

import os
from datetime import timedelta

from django.utils import timezone

from monitoring.models import Beat

#: A beat that is older says nothing any more.
FORGET = timedelta(minutes=10)


def beat(role: str, name: str) -> None:
    """This process is alive. `name` is unique for one start of one process."""
    import psutil

    now = timezone.now()
    values = {"role": role, "pid": os.getpid(), "rss_bytes": psutil.Process().memory_info().rss, "seen": now}
    if not Beat.objects.filter(pk=name).update(**values):
        Beat.objects.create(pk=name, **values)


def beats_prune() -> None:
    """Forget the processes that ended without a farewell long ago."""
    Beat.objects.filter(seen__lt=timezone.now() - FORGET).delete()


def beat_end(name: str) -> None:
    Beat.objects.filter(pk=name).delete()
