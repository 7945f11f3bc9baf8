"""Who makes a turn: a process, for as long as it renews its lease. Every change of hands raises the epoch."""

from __future__ import annotations

import time

from django.db import transaction

from conversations.models import Turn
from conversations.process import OWNER

#: How long a process may keep a turn without a sign of life (seconds); renewed several times within it.
LEASE = 15.0


@transaction.atomic
def turn_request_stop(turn_id: str) -> None:
    """For a turn that another process makes: its owner looks, or whoever takes it over."""
    Turn.objects.filter(pk=turn_id, state=Turn.State.RUNNING).update(stop_requested=True)


@transaction.atomic
def turns_renew(turn_ids: list[str]) -> set[str]:
    """Keep this process' leases; returns the turns of these that somebody asked to stop."""
    mine = Turn.objects.filter(pk__in=turn_ids, owner=OWNER, state=Turn.State.RUNNING)
    mine.update(lease_until=time.time() + LEASE)
    return set(mine.filter(stop_requested=True).values_list("pk", flat=True))


@transaction.atomic
def turn_take(turn: Turn) -> bool:
    """Become the owner; False when another process was faster."""
    changed = Turn.objects.filter(pk=turn.pk, epoch=turn.epoch, state=Turn.State.RUNNING).update(
        owner=OWNER, epoch=turn.epoch + 1, lease_until=time.time() + LEASE
    )
    return changed == 1


@transaction.atomic
def turns_release(turn_ids: list[str]) -> None:
    """Leave these to whoever comes next, at once."""
    Turn.objects.filter(pk__in=turn_ids, owner=OWNER).update(owner="", lease_until=0)
