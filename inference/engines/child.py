"""The process of one model: it runs the engine and speaks JSON lines with the manager over one socket.

In:   {"op": "generate", "n", "request"} | {"op": "abort", "n"}
Out:  {"op": "progress", "value"} | {"op": "ready", "info"} | {"op": "failed", "event", "log"}
      {"op": "events", "n", "events": [...]}, the last of a generation being {"kind": "end"}
      {"op": "pulse", "stats"} about once a second: the loop is alive, and what the engine does
The socket is the child's life: when the manager is gone, so is the child.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import traceback
from contextlib import aclosing
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import orjson

from inference.engines import allocator
from inference.engines.base import Engine, as_failure, create_local
from inference.engines.watchdog import pulse_every
from inference.errors import InferenceError
from inference.protocol import Event, GenerateRequest, ModelSpec
from system import children, loops

log = logging.getLogger(__name__)
# The web process goes first where they share a processor.
_NICE = 5
_LONGEST_LOG = 4096


def main(link: socket.socket, spec: bytes) -> None:
    """Entry of the process; `spec` is a ModelSpec as JSON."""
    # Ctrl-C goes to the whole process group; when to end is the manager's decision.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # On top of the socket, where it can be had: it also ends a child that hangs inside a library.
    children.die_with_parent()
    model = ModelSpec.from_dict(orjson.loads(spec))
    if model.engine != "echo" and hasattr(os, "nice"):
        os.nice(_NICE)
    if limit := int(model.settings.get("memory_limit_bytes") or 0):
        if model.engine != "echo":
            import_module("inference.engines.preload")  # one that was spawned has not got it from its parent
        _limit_memory(limit)
    asyncio.run(_serve(link, model))


def _limit_memory(limit: int) -> None:
    """No more than `limit` bytes beside what is mapped now: torch alone maps gigabytes that it never touches.
    Linux only. Mapped files and the stacks of threads count, too."""
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except (ImportError, OSError):
        log.warning("memory_limit_bytes is not possible on this system")
        return
    most = limit + pages * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


async def _serve(link: socket.socket, spec: ModelSpec) -> None:
    child = Child()
    await loops.connect(child, link)
    pulse = asyncio.create_task(child.pulse(pulse_every(spec.settings)))
    allocator.before_load()
    try:
        engine = create_local(spec)
        info = await engine.load(lambda value: child.send({"op": "progress", "value": value}))
    except Exception as error:
        if not isinstance(error, InferenceError):
            log.exception("loading failed")
        event = as_failure(error, "load_failed").to_event()
        child.send({"op": "failed", "event": event, "log": traceback.format_exc()[-_LONGEST_LOG:]})
    else:
        allocator.after_load()
        child.engine = engine
        child.send({"op": "ready", "info": info})
    await pulse


class Child(asyncio.Protocol):
    def __init__(self) -> None:
        self.engine: Engine | None = None
        self._transport: asyncio.Transport | None = None
        self._rest = b""
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._pending: dict[int, list[Event]] = {}
        self._writable = asyncio.Event()
        self._writable.set()

    def send(self, line: dict[str, Any]) -> None:
        if self._transport is not None:
            self._transport.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))

    async def pulse(self, every: float) -> None:
        """Signs of life, for ever."""
        while True:
            try:
                stats = self.engine.stats() if self.engine is not None else {}
            except Exception:
                log.exception("the engine cannot say what it does")
                stats = {}
            self.send({"op": "pulse", "stats": stats})
            await asyncio.sleep(every)

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        os._exit(0)

    def eof_received(self) -> bool:
        os._exit(0)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            command = orjson.loads(line)
            number = int(command["n"])
            if command["op"] == "generate":
                request = GenerateRequest.from_dict(command["request"])
                task = asyncio.get_running_loop().create_task(self._answer(number, request))
                self._tasks[number] = task
            elif command["op"] == "abort" and number in self._tasks:
                self._tasks[number].cancel()

    # Answers

    async def _answer(self, number: int, request: GenerateRequest) -> None:
        try:
            assert self.engine is not None
            async with aclosing(cast(Any, self.engine.generate(request))) as events:
                async for event in events:
                    self._put(number, event)
                    if not self._writable.is_set():
                        await self._writable.wait()
        except Exception as error:
            if not isinstance(error, InferenceError):
                log.exception("an answer failed")
            self._put(number, as_failure(error, "engine_error", retryable=True).to_event())
        finally:
            del self._tasks[number]
            self._put(number, {"kind": "end"})

    def _put(self, number: int, event: Event) -> None:
        """Into the next line. A line takes what is ready when the loop comes round: a slow model's token
        goes at once, a fast one's travel together."""
        if not self._pending:
            asyncio.get_running_loop().call_soon(self._flush)
        events = self._pending.setdefault(number, [])
        if events and event["kind"] == "raw" == events[-1]["kind"]:
            events[-1] = {"kind": "raw", "text": events[-1]["text"] + event["text"]}
        else:
            events.append(event)

    def _flush(self) -> None:
        pending, self._pending = self._pending, {}
        try:
            for number, events in pending.items():
                self.send({"op": "events", "n": number, "events": events})
        except MemoryError:
            os._exit(1)  # whoever waits for the lost lines would wait for ever; so they are told
