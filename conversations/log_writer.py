"""One writer per process: it commits the events of all running turns together.

While one commit is under way, what comes meanwhile waits, and the next commit carries all of it: at once
when idle, in groups under load, and no timer. Each row is inserted only while its turn still has the epoch
that the caller names, so an owner whose lease went to another cannot write.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from django.db import IntegrityError, InterfaceError, OperationalError, connection, connections, transaction

from config.db import freshen

log = logging.getLogger(__name__)

LARGEST_BATCH = 500
#: A commit that fails for the database's sake (locked, away) is tried again for this long (seconds).
PATIENCE = 30.0

_INSERT = (
    "INSERT INTO conversations_event (turn_id, seq, kind, data, raw, at) "
    "SELECT id, %s, %s, %s, %s, %s FROM conversations_turn WHERE id = %s AND epoch = %s AND state = 'running'"
)


class LeaseLost(Exception):
    """The turn has another owner by now, has ended, or is deleted: stop working on it."""


class Row(NamedTuple):
    seq: int
    kind: str
    data: str
    raw: str
    at: float
    turn_id: str
    epoch: int


Work = list[Row] | Callable[[], Any]


class _Job(NamedTuple):
    work: Work
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[Any]


class LogWriter:
    def __init__(self) -> None:
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def submit(self, work: Work) -> asyncio.Future[Any]:
        """Rows of one turn, or a function that runs inside the transaction. Call on the event loop.

        The future ends when it is committed, with the function's result; or with LeaseLost, or with what
        the function or the database raised.
        """
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
            self._thread.start()
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Any] = loop.create_future()
        self._jobs.put(_Job(work, loop, done))
        return done

    def close(self) -> None:
        """Write what waits, then end the thread and its connection."""
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join(timeout=PATIENCE)
            self._thread = None

    def _run(self) -> None:
        try:
            while (first := self._jobs.get()) is not None:
                batch, ended = self._gather(first)
                outcomes = commit([job.work for job in batch])
                for loop in {job.loop for job in batch}:
                    mine = [(j.done, out) for j, out in zip(batch, outcomes, strict=True) if j.loop is loop]
                    if not loop.is_closed():
                        loop.call_soon_threadsafe(_resolve, mine)
                if ended:
                    return
        finally:
            connections.close_all()

    def _gather(self, first: _Job) -> tuple[list[_Job], bool]:
        batch = [first]
        while len(batch) < LARGEST_BATCH:
            try:
                job = self._jobs.get_nowait()
            except Empty:
                break
            if job is None:
                return batch, True
            batch.append(job)
        return batch, False


def _resolve(outcomes: list[tuple[asyncio.Future[Any], Any]]) -> None:
    for done, outcome in outcomes:
        if done.done():
            continue
        if isinstance(outcome, BaseException):
            done.set_exception(outcome)
        else:
            done.set_result(outcome)


def commit(works: list[Work]) -> list[Any]:
    """All in one transaction; when that fails, each in its own. Results, or exceptions, in order."""
    freshen()
    try:
        with transaction.atomic():
            insert([row for work in works if isinstance(work, list) for row in work])
            return [None if isinstance(work, list) else work() for work in works]
    except Exception as error:
        if len(works) == 1 and isinstance(error, LeaseLost) and not isinstance(works[0], list):
            return [error]
        return [_alone(work) for work in works]


def _alone(work: Work) -> Any:
    until = time.monotonic() + PATIENCE
    while True:
        freshen()
        try:
            with transaction.atomic():
                if not isinstance(work, list):
                    return work()
                insert(work)
                return None
        except (LeaseLost, IntegrityError) as error:
            # A commit whose answer was lost is repeated: rows that are there already were ours.
            if isinstance(work, list) and _there(work):
                return None
            return error if isinstance(error, LeaseLost) else LeaseLost(str(error))
        except (OperationalError, InterfaceError) as error:
            # Locked or away. Other errors would be the same again, and meanwhile every turn waits here.
            if time.monotonic() > until:
                return error
            log.warning("The event log cannot be written, trying again: %s", error)
            connection.close()
            time.sleep(0.2)
        except Exception as error:
            return error


def insert(rows: list[Row]) -> None:
    """Raises LeaseLost when one of them was not taken."""
    if not rows:
        return
    with connection.cursor() as cursor:
        cursor.executemany(_INSERT, [(r.seq, r.kind, r.data, r.raw, r.at, r.turn_id, r.epoch) for r in rows])
        if cursor.rowcount != len(rows):
            raise LeaseLost(f"{cursor.rowcount} of {len(rows)} events were taken")


def _there(rows: list[Row]) -> bool:
    with connection.cursor() as cursor:
        for row in rows:
            cursor.execute(
                "SELECT data FROM conversations_event WHERE turn_id = %s AND seq = %s", (row.turn_id, row.seq)
            )
            found = cursor.fetchone()
            if found is None or found[0] != row.data:
                return False
    return True
