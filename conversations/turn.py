"""One answer being made: the model's events become the log's, and at the end the message.

Append, then send: events gather in `_pending` while one append is under way, so numbering comes after
gathering and no timer is needed. Watchers learn of an event from the tail, which gets it after the commit.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext as _

from conversations import event_log
from conversations.event_log import LeaseLost, Tail
from conversations.job import Job
from conversations.prompts import shorten
from conversations.told import told
from inference.client import InferenceClient
from inference.errors import InferenceError
from inference.protocol import LAST_EVENTS, Event

log = logging.getLogger(__name__)

#: How long a model may be away before a turn gives up (seconds without any progress).
PATIENCE = 30.0
LONGEST_PAUSE = 2.0


@dataclass
class TurnRun:
    """`run` returns when the turn has ended, or was left to another process (then `left` is True)."""

    job: Job
    client: InferenceClient
    tail: Tail
    left: bool = False
    _pending: list[Event] = field(default_factory=list)
    _writing: bool = False
    _broken: BaseException | None = None
    _idle: asyncio.Event = field(default_factory=asyncio.Event)
    _reading: asyncio.Task[Event] | None = None
    _stopping: bool = False
    _progress: float = 0.0

    def __post_init__(self) -> None:
        if self.tail.last is None:
            self.tail.begin(self.job.seq)
        self._idle.set()

    async def run(self) -> None:
        try:
            last = await self._read_to_the_end()
            await self._drain()
            await self._end(last)
        except asyncio.CancelledError:
            # The process ends: what came is written, and the turn is somebody else's.
            self.left = True
            await asyncio.shield(self._drain_quietly())
        except LeaseLost as error:
            self.left = True
            log.info("Turn %s went to another owner: %s", self.job.turn, error)
        finally:
            self.tail.end()

    def stop(self) -> None:
        """End with what there is, status `stopped`. Closing the stream makes the engine stop at once."""
        self._stopping = True
        if self._reading is not None:
            self._reading.cancel()

    async def _read_to_the_end(self) -> Event:
        if self.job.stop_requested or self._stopping:
            return {"kind": "finished", "reason": "stopped"}
        self._reading = asyncio.create_task(self._read(), name=f"read-{self.job.turn}")
        try:
            return await asyncio.shield(self._reading)
        except asyncio.CancelledError:
            if self._broken is not None:
                raise self._broken from None
            if self._stopping and not _being_cancelled():
                return {"kind": "finished", "reason": "stopped"}
            self._reading.cancel()
            raise

    async def _read(self) -> Event:
        """Stream until the last event, going on from what there is when the model went away."""
        job, loop = self.job, asyncio.get_running_loop()
        self._progress, pause = loop.time(), 0.1
        if job.resumed:
            self._put({"kind": "status", "phase": "resuming"})
        if job.notice and not job.resumed:
            self._put({"kind": "status", "phase": "queued", "position": 0, "notice": job.notice})
        if job.raw and not job.continues:
            return self._interrupted(_("The server was restarted and this model cannot go on."))
        while True:
            before = len(job.raw)
            last = await self._attempt()
            if last["kind"] == "finished":
                return last
            if last.get("code") == "context_too_long" and not job.raw:
                shorter = shorten(job.messages)
                if shorter is None:
                    return last
                job.messages = shorter
                continue
            if last.get("code") == "unloaded" and job.raw:
                return self._interrupted(last["message"], last["code"])
            if not last.get("retryable"):
                return last
            if job.raw and not job.continues:
                return self._interrupted(last["message"], last["code"])
            if len(job.raw) > before:
                self._progress, pause = loop.time(), 0.1
            elif loop.time() - self._progress > PATIENCE:
                return last
            if last.get("code") == "busy":
                self._put({"kind": "status", "phase": "queued", "position": 0})
            else:
                self._put({"kind": "status", "phase": "resuming"})
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _attempt(self) -> Event:
        job = self.job
        stream = self.client.stream(
            job.messages,
            model=job.spec,
            params=job.params,
            prefix=job.raw,
            user=job.user,
            request_id=job.turn,
        )
        try:
            async with aclosing(stream) as events:
                async for event in events:
                    if event["kind"] in LAST_EVENTS:
                        return told(event)
                    if event["kind"] != "logprobs":  # of use to programs that ask the model themselves
                        self._put(event)
        except InferenceError as error:
            return told(error.to_event())
        return told(InferenceError("unavailable", "The stream ended early.", True).to_event())

    @staticmethod
    def _interrupted(message: str, code: str = "interrupted") -> Event:
        return {"kind": "finished", "reason": "interrupted", "code": code, "message": message}

    def _put(self, event: Event) -> None:
        """Take one event of the model. Text joins the text before it that is not written yet."""
        kind = event["kind"]
        if "raw" in event:
            self.job.raw += event["raw"]
        last = self._pending[-1] if self._pending else None
        if last is not None and kind in ("text", "reasoning") and last["kind"] == kind:
            last["text"] += event["text"]
            last["raw"] += event["raw"]
        elif kind == "status" and last is not None and last.get("phase") == event["phase"]:
            self._pending[-1] = event
        else:
            self._pending.append(event)
        if not self._writing:
            self._write()

    def _write(self) -> None:
        events, self._pending = self._pending, []
        rows = event_log.rows_of(self.job.turn, self.job.epoch, self.job.seq + 1, events)
        self.job.seq = rows[-1].seq
        for row, event in zip(rows, events, strict=True):
            self.job.folder.fold(event, row.at)
        self._writing = True
        self._idle.clear()

        def written(done: asyncio.Future[Any]) -> None:
            self._writing = False
            error = done.exception()
            if error is not None:
                self._broken = error
                self._pending.clear()
                if self._reading is not None:
                    self._reading.cancel()
            else:
                self.tail.push(event_log.logged(rows))
            if self._pending:
                self._write()
            else:
                self._idle.set()

        event_log.writer.submit(rows).add_done_callback(written)

    async def _drain(self) -> None:
        await self._idle.wait()
        if self._broken is not None:
            raise self._broken

    async def _drain_quietly(self) -> None:
        try:
            async with asyncio.timeout(5):
                await self._drain()
        except (LeaseLost, TimeoutError):
            pass

    async def _end(self, last: Event) -> None:
        event = {name: value for name, value in last.items() if name != "raw"}
        raw = self.job.raw + last.get("raw", "")
        (row,) = event_log.rows_of(self.job.turn, self.job.epoch, self.job.seq + 1, [event])
        job = self.job
        await event_log.writer.submit(lambda: event_log.turn_end(row, job.message, job.folder, raw))
        self.tail.push(event_log.logged([row]))


def failure(error: Exception) -> Event:
    """The last event of a turn that could not even begin, or that our own fault ended."""
    if isinstance(error, InferenceError):
        return error.to_event()
    return {
        "kind": "failed",
        "code": "server_error",
        "message": _("Something went wrong on the server."),
        "retryable": True,
    }


def _being_cancelled() -> bool:
    """Whether somebody cancels the running task itself, not only what it waits for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
