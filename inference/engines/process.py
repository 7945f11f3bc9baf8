"""An engine in a process of its own: a crash or an out-of-memory takes one model with it, an unload gives
back all memory. This side lives in the manager and speaks JSON lines with `child.py`."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from itertools import count
from multiprocessing.process import BaseProcess
from typing import Any, cast

import orjson

from inference.engines import warm
from inference.engines.base import Report
from inference.engines.watchdog import Watchdog, oom_kills
from inference.errors import InferenceError
from inference.protocol import Event, GenerateRequest, ModelSpec
from system import loops

# How long a child gets to end an aborted answer, and to end itself (seconds).
_ABORT_LIMIT = 10.0
_EXIT_LIMIT = 1.0


class _Inbox:
    """The events of one answer that have come and were not taken yet."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.wake = asyncio.Event()
        self.ended = False

    def put(self, events: list[Event]) -> None:
        if events[-1]["kind"] == "end":
            self.ended = True
        self.events += events
        self.wake.set()

    async def take(self) -> list[Event]:
        await self.wake.wait()
        self.wake.clear()
        events, self.events = self.events, []
        return events


class ProcessEngine(asyncio.Protocol):
    def __init__(self, spec: ModelSpec) -> None:
        self.exited = asyncio.Event()
        self.why: InferenceError | None = None
        self._spec = spec
        self._process: BaseProcess | None = None
        self._link: socket.socket | None = None
        self._transport: asyncio.Transport | None = None
        self._report: Report = lambda progress: None
        self._ready: asyncio.Future[dict[str, Any]] | None = None
        self._rest = b""
        self._numbers = count(1)
        self._answers: dict[int, _Inbox] = {}
        self._watchdog = Watchdog(spec.settings)
        self._stats: dict[str, Any] = {}  # of the last pulse
        self._log = ""
        self._oom_kills = oom_kills()
        self._alarm: asyncio.TimerHandle | None = None

    # Engine

    async def load(self, report: Report) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        self._report, self._ready = report, loop.create_future()
        self._link, theirs = loops.pair()
        # Aside: it waits until the warm parent has done its imports.
        await asyncio.to_thread(self._start, theirs)
        if self._link is None:
            raise self.why or died()
        await loops.connect(self, self._link)
        info = await self._ready
        self._watchdog.ready = True
        return {**info, "pid": self._process.pid if self._process else None}

    async def generate(self, request: GenerateRequest) -> AsyncIterator[Event]:
        number, inbox = next(self._numbers), _Inbox()
        if self._transport is None or self.exited.is_set():
            raise self.why or died()
        self._answers[number] = inbox
        self._send({"op": "generate", "n": number, "request": request.to_dict()})
        try:
            while True:
                for event in await inbox.take():
                    if event["kind"] == "end":
                        return
                    if event["kind"] == "failed":
                        raise InferenceError.from_event(event)
                    yield event
        finally:
            await self._end(number, inbox)

    async def abort(self, request_id: str) -> None:
        """Closing the iterator of `generate` aborts."""

    def stats(self) -> dict[str, Any]:
        pid = self._process.pid if self._process else None
        return {**self._stats, "running": len(self._answers), "pid": pid}

    def log(self) -> str:
        """Where the load failed, for who runs this house."""
        return self._log

    async def unload(self) -> None:
        self.why = self.why or died()
        if self._transport is not None:
            self._transport.abort()
        elif self._link is not None:
            self._link.close()
        self._link = None
        self._lost()
        process = self._process
        if process is not None and process.is_alive():
            # The closed socket ends it; one that hangs in a library is killed.
            await asyncio.to_thread(process.join, _EXIT_LIMIT)
            if process.is_alive():
                process.kill()
                await asyncio.to_thread(process.join, _EXIT_LIMIT)

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.why is None and oom_kills() != self._oom_kills:
            self.why = InferenceError("out_of_memory", "The model's process ended: no memory was left.", True)
        self._lost()

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._watchdog.heard()
        try:
            for line in lines:
                self._received(orjson.loads(line))
        except (orjson.JSONDecodeError, KeyError, TypeError):
            # What comes after is not to be trusted either; the manager starts a new one.
            if self._transport is not None:
                self._transport.abort()

    # Inside

    def _start(self, theirs: socket.socket) -> None:
        from inference.engines import child

        context = warm.context(heavy=self._spec.engine == "transformers")
        spec = orjson.dumps(self._spec.to_dict())
        name = f"model {self._spec.name}"
        process = cast(Any, context).Process(target=child.main, args=(theirs, spec), name=name, daemon=True)
        try:
            process.start()
        finally:
            theirs.close()  # so that the child's end closes when the child does
        self._process = process

    def _received(self, line: dict[str, Any]) -> None:
        op = line["op"]
        if op == "events":
            inbox = self._answers.get(line["n"])
            if inbox is not None:
                inbox.put(line["events"])
        elif op == "pulse":
            self._stats = line["stats"]
            self._watchdog.heard(self._stats)
            self._oom_kills = oom_kills()
        elif op == "progress":
            self._report(float(line["value"]))
        elif self._ready is not None and not self._ready.done():
            if op == "ready":
                self._ready.set_result(line["info"])
            else:
                self._log = str(line.get("log") or "")
                self._ready.set_exception(InferenceError.from_event(line["event"]))

    def _watch(self) -> None:
        """Look after the child now and then, until it ends."""
        if self.exited.is_set():
            return
        complaint = self._watchdog.look()
        if complaint is None:
            self._alarm = asyncio.get_running_loop().call_later(self._watchdog.every, self._watch)
            return
        self.why = InferenceError("engine_died", complaint, True)
        if self._process is not None:
            self._process.kill()  # also one that is stopped or hangs inside a library
        if self._transport is not None:
            self._transport.abort()
        self._lost()

    def _send(self, line: dict[str, Any]) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))

    async def _end(self, number: int, inbox: _Inbox) -> None:
        """Stop the answer if it still runs, and wait for that: a slot that is given back is really free."""
        try:
            if not inbox.ended:
                self._send({"op": "abort", "n": number})
                async with asyncio.timeout(_ABORT_LIMIT):
                    while not inbox.ended:
                        await inbox.take()
        except TimeoutError:
            pass
        finally:
            self._answers.pop(number, None)

    def _lost(self) -> None:
        self.exited.set()
        if self._alarm is not None:
            self._alarm.cancel()
        error = self.why or died()
        if self._ready is not None and not self._ready.done():
            self._ready.set_exception(error)
            self._ready.exception()  # nobody may be waiting for it any more
        for inbox in self._answers.values():
            if not inbox.ended:
                inbox.put([error.to_event(), {"kind": "end"}])


def died() -> InferenceError:
    return InferenceError("engine_died", "The model's process ended.", True)
