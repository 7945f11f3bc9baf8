"""A stream of events as JSON lines in one HTTP response, batched, with heartbeats."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress

import orjson
from aiohttp import web

from inference.errors import InferenceError
from inference.protocol import Event

log = logging.getLogger(__name__)

_HEADERS = {"Content-Type": "application/x-ndjson", "Cache-Control": "no-store"}
_HEARTBEAT: Event = {"kind": "heartbeat"}
# Beyond this many events that were not written yet, the model waits for the reader.
_MOST_PENDING = 4096


class Outbox:
    """Between the task that makes events and the one that writes them: whatever has gathered while the
    last write was under way goes into the next, so that no timer is needed."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._closed = False
        self._filled = asyncio.Event()
        self._room = asyncio.Event()
        self.spoke = True

    def put(self, event: Event) -> None:
        self._events.append(event)
        self._filled.set()

    @property
    def is_full(self) -> bool:
        return len(self._events) >= _MOST_PENDING

    async def room(self) -> None:
        self._room.clear()
        await self._room.wait()

    def close(self) -> None:
        self._closed = True
        self._filled.set()

    async def take(self) -> bytes:
        """All lines that are ready, at least one; empty at the end."""
        if not self._events and not self._closed:
            self._filled.clear()
            await self._filled.wait()
        events, self._events = self._events, []
        self._room.set()
        self.spoke = True
        return b"".join([orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE) for event in events])


class Heartbeats:
    """One clock for all streams of the server; a timer per stream and token would cost more than they do."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._boxes: set[Outbox] = set()

    def add(self, box: Outbox) -> None:
        self._boxes.add(box)

    def discard(self, box: Outbox) -> None:
        self._boxes.discard(box)

    async def run(self) -> None:
        while True:
            # A stream that said nothing since the last look is silent for at most two of these.
            await asyncio.sleep(self._interval / 2)
            for box in self._boxes:
                if not box.spoke and not box.is_full:
                    box.put(_HEARTBEAT)
                box.spoke = False


async def send_lines(
    request: web.Request, events: AsyncGenerator[Event, None], heartbeats: Heartbeats
) -> web.StreamResponse:
    """Answer with `events`. When the client goes, this task is cancelled and `events` is closed."""
    response = web.StreamResponse(headers=_HEADERS)
    box = Outbox()
    producer: asyncio.Task[None] | None = None
    try:
        await response.prepare(request)
        producer = asyncio.create_task(_fill(box, events))
        heartbeats.add(box)
        while data := await box.take():
            await response.write(data)
        await response.write_eof()
    except ConnectionError:
        log.debug("the client went")
    finally:
        heartbeats.discard(box)
        if producer is not None:
            producer.cancel()
            with suppress(asyncio.CancelledError):
                await producer
    return response


async def _fill(box: Outbox, events: AsyncGenerator[Event, None]) -> None:
    try:
        async with aclosing(events):
            async for event in events:
                box.put(event)
                if box.is_full:
                    await box.room()
    except Exception as error:
        log.exception("a stream failed")
        box.put(InferenceError("engine_error", f"{type(error).__name__}: {error}").to_event())
    finally:
        box.close()
