"""The log of a turn's events: append, then send. A watcher is a cursor on it: `follow(turn, after_seq)`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import orjson
from django.utils import timezone
from django.utils.translation import gettext as _

from config.db import in_db
from config.errors import AppError
from conversations.log_tail import Logged, Tail, tails
from conversations.log_writer import LeaseLost, LogWriter, Row, insert
from conversations.models import Conversation, Event, Message, Turn
from conversations.parts import Folder, text_of

__all__ = [
    "LeaseLost",
    "Logged",
    "Tail",
    "events_after",
    "first_event",
    "follow",
    "rows_of",
    "tails",
    "writer",
]

LAST = frozenset({"finished", "failed"})
PAGE = 500
#: How long between looks at the log of a turn that another process makes (seconds).
POLL = 0.1

#: Every turn's first event.
FIRST = Logged(1, "status", '{"kind":"status","phase":"queued","position":0}')

writer = LogWriter()


def rows_of(turn_id: str, epoch: int, first_seq: int, events: list[dict[str, Any]]) -> list[Row]:
    """Numbered rows; an event's `raw` goes into its own column and to no client."""
    now = time.time()
    rows = []
    for seq, event in enumerate(events, first_seq):
        raw = event.pop("raw", "")
        rows.append(Row(seq, event["kind"], orjson.dumps(event).decode(), raw, now, turn_id, epoch))
    return rows


def logged(rows: list[Row]) -> list[Logged]:
    return [Logged(row.seq, row.kind, row.data) for row in rows]


def first_event(turn: Turn) -> None:
    """A new turn speaks at once: in the transaction that makes it."""
    insert([Row(1, FIRST.kind, FIRST.data, "", time.time(), turn.pk, turn.epoch)])


def turn_end(row: Row, message_id: str, folder: Folder, raw: str) -> None:
    """Append the last event and fold the parts into the message. Runs in the writer's transaction.

    Raises LeaseLost, which undoes all of it.
    """
    insert([row])
    event = orjson.loads(row.data)
    folder.fold(event, row.at)
    now = timezone.now()
    Message.objects.filter(pk=message_id).update(
        parts=folder.parts,
        text=text_of(folder.parts),
        raw=raw,
        usage=folder.usage,
        status=status_after(event),
        error={k: v for k, v in event.items() if k in ("code", "message", "retryable", "extra")} or None,
    )
    if not Turn.objects.filter(pk=row.turn_id, epoch=row.epoch).update(state=Turn.State.ENDED, ended_at=now):
        raise LeaseLost("the turn is gone")
    Conversation.objects.filter(turns=row.turn_id).update(updated=now)


def status_after(event: dict[str, Any]) -> str:
    if event["kind"] == "failed":
        return Message.Status.FAILED
    reasons = {"stopped": Message.Status.STOPPED, "interrupted": Message.Status.INTERRUPTED}
    return reasons.get(event["reason"], Message.Status.DONE)


def events_after(turn_id: str, seq: int) -> list[Logged]:
    rows = Event.objects.filter(turn_id=turn_id, seq__gt=seq).order_by("seq")
    return [Logged(*row) for row in rows.values_list("seq", "kind", "data")[:PAGE]]


def watch_check(turn: Turn, after: int) -> None:
    """Raises AppError("events_gone", 410) when the events past `after` are pruned already."""
    if turn.state != Turn.State.ENDED:
        return
    newest = Event.objects.filter(turn=turn).order_by("-seq").values_list("seq", flat=True).first()
    if newest is None:
        raise AppError(
            "events_gone",
            _("This answer's events are gone; read the message."),
            {"message": turn.message_id},
            status=410,
        )


async def follow(turn_id: str, after: int, idle: float = 15.0) -> AsyncIterator[list[Logged]]:
    """Every event past `after`, once, in order, until the last; an empty list after `idle` s of silence."""
    loop = asyncio.get_running_loop()
    spoke = loop.time()
    while True:
        tail = tails.get(turn_id)
        events = tail.after(after) if tail is not None else None
        if events is None:
            events = await in_db(events_after, turn_id, after)
        if events:
            after, spoke = events[-1].seq, loop.time()
            yield events
            if events[-1].kind in LAST:
                return
            continue
        rest = max(0.01, spoke + idle - loop.time())
        if tail is not None and not tail.ended:
            silent = not await tail.changed(after, rest)
        elif await in_db(_is_over, turn_id, after):
            return
        else:
            await asyncio.sleep(min(POLL, rest))
            silent = loop.time() >= spoke + idle
        if silent:
            spoke = loop.time()
            yield []


def _is_over(turn_id: str, after: int) -> bool:
    """Nothing will come any more: ended (or deleted) and nothing past `after`."""
    state = Turn.objects.filter(pk=turn_id).values_list("state", flat=True).first()
    return state != Turn.State.RUNNING and not Event.objects.filter(turn_id=turn_id, seq__gt=after).exists()
