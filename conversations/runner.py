"""All turns that this process makes, and the keeper that renews leases and takes over what was left."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import timedelta

from django.db import transaction
from django.utils import timezone
from django.utils.translation import override

from config.db import in_db
from conversations import event_log
from conversations.event_log import Tail, tails
from conversations.job import Job, job_read, language_of
from conversations.leases import turn_request_stop, turn_take, turns_release, turns_renew
from conversations.models import Conversation, Event, Message, Turn
from conversations.process import OWNER, is_gone
from conversations.selectors import turn_fold
from conversations.turn import TurnRun, failure
from models_registry.live import board, client

log = logging.getLogger(__name__)

KEEP_EVERY = 1.0
PRUNE_EVERY = 600.0
EVENTS_LIVE = timedelta(hours=24)


class Runner:
    """One per process; every method belongs to the event loop. Turns run detached from who started them."""

    def __init__(self) -> None:
        self._runs: dict[str, TurnRun] = {}
        # asyncio itself holds tasks only weakly.
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._stops: set[str] = set()
        self._keeper: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def ensure_started(self) -> None:
        loop = asyncio.get_running_loop()
        if self._loop is loop and self._keeper is not None and not self._keeper.done():
            return
        self._loop = loop
        self._runs, self._tasks, self._stops = {}, {}, set()
        self._keeper = loop.create_task(self._keep(), name="turn-keeper")
        board.ensure_started()

    def launch(self, turn_id: str, job: Job | None = None) -> None:
        """Make this turn, which this process owns; `job` where it is known already. Returns at once."""
        self.ensure_started()
        if turn_id not in self._tasks:
            tail = tails[turn_id] = Tail()
            if job is not None:
                tail.push([event_log.FIRST])
            task = asyncio.create_task(self._make(turn_id, job), name=f"turn-{turn_id}")
            self._tasks[turn_id] = task
            task.add_done_callback(lambda done: self._ended(turn_id, done))

    async def stop(self, turn_id: str) -> None:
        """Ask a running turn to end with what there is; a turn that has ended is no error."""
        if turn_id in self._tasks:
            self._stops.add(turn_id)
            run = self._runs.get(turn_id)
            if run is not None:
                run.stop()
        else:
            await in_db(turn_request_stop, turn_id)

    async def drop(self, turn_ids: list[str]) -> None:
        """Stop these and wait until they are at rest here: their conversation is about to be deleted."""
        mine = [self._tasks[i] for i in turn_ids if i in self._tasks]
        for turn_id in turn_ids:
            await self.stop(turn_id)
        if mine:
            await asyncio.wait(mine, timeout=5)

    async def shutdown(self) -> None:
        """Write what came, leave the turns to the next process, end."""
        if self._keeper is not None:
            self._keeper.cancel()
        mine = list(self._tasks)
        for task in self._tasks.values():
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=5)
        if mine:
            await in_db(turns_release, mine)
        await board.stop()
        await client().close()
        event_log.writer.close()
        self._keeper = None

    def _ended(self, turn_id: str, task: asyncio.Task[None]) -> None:
        self._tasks.pop(turn_id, None)
        self._runs.pop(turn_id, None)
        self._stops.discard(turn_id)
        tail = tails.pop(turn_id, None)
        if tail is not None:
            tail.end()
        if not task.cancelled() and task.exception() is not None:
            log.error("Turn %s broke", turn_id, exc_info=task.exception())

    async def _make(self, turn_id: str, job: Job | None) -> None:
        try:
            job = job or await in_db(job_read, turn_id)
        except Exception as error:
            log.exception("Turn %s could not be read", turn_id)
            await in_db(_fail, turn_id, error)
            return
        if job is None:
            return
        if turn_id in self._stops:
            job.stop_requested = True
        await self._run(job)

    async def _run(self, job: Job) -> None:
        run = TurnRun(job, client(), tails[job.turn])
        self._runs[job.turn] = run
        try:
            with override(job.language):
                await run.run()
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.exception("Turn %s failed by our own fault", job.turn)
            await in_db(_fail, job.turn, error)

    async def _keep(self) -> None:
        pruned = 0.0
        while True:
            try:
                mine = list(self._tasks)
                if mine:
                    for turn_id in await in_db(turns_renew, mine):
                        await self.stop(turn_id)
                for turn_id in await in_db(_take_over, mine):
                    log.info("Taking turn %s over", turn_id)
                    self.launch(turn_id)
                if time.monotonic() - pruned > PRUNE_EVERY:
                    pruned = time.monotonic()
                    await in_db(_prune)
            except Exception:
                log.exception("The keeper of turns stumbled; it goes on")
            await asyncio.sleep(KEEP_EVERY)


def _take_over(mine: list[str]) -> list[str]:
    """Running turns whose owner is gone or let its lease run out, now ours."""
    now = time.time()
    found = Turn.objects.filter(state=Turn.State.RUNNING).exclude(pk__in=mine)
    taken = []
    # Leases that nobody renews come first, however many turns are alive.
    for turn in found.only("id", "owner", "epoch", "lease_until").order_by("lease_until")[:200]:
        # Ours but not among our tasks: a turn that is about to be launched, unless its lease ran out.
        left = (turn.owner != OWNER and is_gone(turn.owner)) or turn.lease_until < now
        if left and turn_take(turn):
            taken.append(turn.pk)
    return taken


def _fail(turn_id: str, error: Exception) -> None:
    """End a turn that our own fault broke, so that no turn is without its last event."""
    turn = Turn.objects.filter(pk=turn_id, state=Turn.State.RUNNING).first()
    if turn is None:
        return
    newest = Event.objects.filter(turn=turn).order_by("-seq").values_list("seq", flat=True).first() or 0
    with override(language_of(turn)):
        last = failure(error)
    (row,) = event_log.rows_of(turn.pk, turn.epoch, newest + 1, [last])
    message = Message.objects.get(pk=turn.message_id)
    folder, _seq, raw = turn_fold(turn, message)
    with transaction.atomic():
        event_log.turn_end(row, turn.message_id, folder, raw)


def _prune() -> None:
    before = timezone.now() - EVENTS_LIVE
    while ids := list(Event.objects.filter(turn__ended_at__lt=before).values_list("pk", flat=True)[:5000]):
        Event.objects.filter(pk__in=ids).delete()
    Conversation.objects.filter(is_test=True, updated__lt=before).delete()


runner = Runner()
