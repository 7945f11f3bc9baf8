"""A model that a server program runs as our child, one way for all of them: started on a socket of its own,
asked whether it is well, spoken to in completions, and ended with all that it has started."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, ClassVar

import aiohttp
import orjson

from inference.engines import openai_wire, server_wire
from inference.engines.base import NO_MEMORY, Report
from inference.engines.openai_wire import refused
from inference.engines.server_dialogue import Dialogue, Prompt
from inference.engines.server_process import ServerProcess
from inference.engines.watchdog import oom_kills
from inference.errors import InferenceError
from inference.protocol import Event, GenerateRequest, ModelSpec

GONE = (aiohttp.ClientError, ConnectionError, TimeoutError, OSError)
#: A server that is not ready after this long has failed (s; the setting `start_limit`) ...
START_LIMIT = 1800.0
#: ... and one that does not say that it is well for this long is ended (s; the setting `stall_limit`).
STALL_LIMIT = 60.0
# How often it is asked while it loads, and later; how long a dead connection's process may take to end (s).
_LOOK_EVERY, _HEALTH_EVERY, _END_LIMIT = 0.1, 5.0, 2.0
# What such programs say when something is wrong, the most telling first.
_COMPLAINT = re.compile(r"\b(?:error|failed|cannot|unable|unsupported|unknown)\b", re.IGNORECASE)


class ServerEngine(ABC):
    """settings: start_limit, stall_limit, and those of each server. The server hears on a Unix socket in a
    folder that nobody else may enter."""

    title: ClassVar[str]
    #: Lines of the output, and how far the load is then (0..1); a group with digits counts as percent of what
    #: is left to the next.
    milestones: ClassVar[tuple[tuple[re.Pattern[str], float], ...]] = ()
    url = "http://server"

    def __init__(self, spec: ModelSpec) -> None:
        self.exited = asyncio.Event()
        self.why: InferenceError | None = None
        self.spec = spec
        self.dialogue = Dialogue("", ())
        self._folder: Path | None = None
        self._process = ServerProcess(self._heard)
        self._session: aiohttp.ClientSession | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._running = 0
        self._limit = 0  # tokens of one answer with its prompt
        self._report: Report = lambda progress: None
        self._progress = 0.0
        self._oom_kills = 0

    # What each server says for itself

    @abstractmethod
    def command(self, socket: Path) -> list[str]:
        """The program and its flags, to hear on `socket`. Raises InferenceError: it is not there."""

    def environment(self) -> dict[str, str]:
        """What is added to the program's: the card that room was made on, unless it takes several."""
        device, settings = self.device, self.spec.settings
        several = int(settings.get("tensor_parallel") or 1) * int(settings.get("pipeline_parallel") or 1) > 1
        if not device.startswith("cuda:") or several:
            return {}
        index, visible = int(device[5:]), os.environ.get("CUDA_VISIBLE_DEVICES")
        names = visible.split(",") if visible else []
        return {"CUDA_VISIBLE_DEVICES": names[index] if index < len(names) else str(index)}

    @property
    def device(self) -> str:
        """Where the manager has decided that it runs; a machine without cards leaves it open, and then it is
        the CPU."""
        asked = str(self.spec.settings.get("device") or "auto")
        return "cpu" if asked == "auto" else asked

    @abstractmethod
    async def inspect(self) -> dict[str, Any]:
        """Once it is ready: context_length, dtype, device, slots, and the `dialogue` is set."""

    @abstractmethod
    async def encode(self, request: GenerateRequest) -> Prompt: ...

    @abstractmethod
    async def tokens(self, pieces: list[str]) -> list[int]:
        """The ids of text that no person wrote: names of control tokens within one piece are those tokens."""

    @abstractmethod
    def extend(self, body: dict[str, Any], request: GenerateRequest) -> None:
        """Make of a body of completions what this server understands."""

    # Engine

    def log(self) -> str:
        """The last lines of the program's output."""
        return self._process.log

    async def load(self, report: Report) -> dict[str, Any]:
        self._report = report
        self._folder = Path(tempfile.mkdtemp(prefix="hearth-server-"))  # 0700
        try:
            command = self.command(self._folder / "s.sock")
        except ValueError as error:
            raise InferenceError("load_failed", str(error)) from error
        self._session = self._connect(self._folder / "s.sock")
        self._oom_kills = oom_kills()
        try:
            await self._process.start(command, self.environment())
        except OSError as error:
            raise InferenceError("load_failed", f"{self.title} cannot be started: {error}") from error
        self._tasks.append(asyncio.create_task(self._watch()))
        limit = float(self.spec.settings.get("start_limit") or START_LIMIT)
        try:
            async with asyncio.timeout(limit):
                await self._until_ready()
        except TimeoutError:
            message = f"{self.title} was not ready after {limit:g} s."
            raise InferenceError("load_failed", message) from None
        info = await self.inspect()
        self._limit = int(info["context_length"])
        self._tasks.append(asyncio.create_task(self._look_after()))
        report(1.0)
        return {
            "memory_bytes": 0,
            "capabilities": self.dialogue.capabilities,
            "pid": self._process.pid,
            **info,
        }

    async def generate(self, request: GenerateRequest) -> AsyncIterator[Event]:
        if self._session is None or self.exited.is_set():
            raise self.why or died(self.title)
        began, self._running = time.perf_counter(), self._running + 1
        try:
            prompt = await self.encode(request)
            yield prompt.event()
            yield {"kind": "status", "phase": "prefill"}
            kept = await self.tokens([request.prefix]) if request.prefix else []
            most = server_wire.room(request, len(prompt.ids), len(kept), self._limit)
            reader = server_wire.Reader(len(kept))
            reader.reason = None if most else "length"
            if most:
                body = server_wire.body("model", request, [*prompt.ids, *kept], most)
                if prompt.stops:
                    body["stop"] = [*(body.get("stop") or ()), *prompt.stops]
                self.extend(body, request)
                async for event in self.stream("/v1/completions", body, reader):
                    yield event
        except GONE as error:
            raise await self.gone(error) from error
        finally:
            self._running -= 1
        yield reader.usage_event(began)
        yield {"kind": "finished", "reason": "length" if reader.reason == "length" else "stop"}

    async def abort(self, request_id: str) -> None:  # noqa: B027
        """Closing the iterator of `generate` closes the connection, which ends the answer."""

    def stats(self) -> dict[str, Any]:
        return {"running": self._running, "pid": self._process.pid}

    async def unload(self) -> None:
        self.why = self.why or died(self.title)
        me = asyncio.current_task()
        for task in self._tasks:
            if task is not me:
                task.cancel()
        session, self._session = self._session, None
        if session is not None:
            await session.close()
        await self._process.stop()
        self.exited.set()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    # Speaking with it

    async def ask(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """One short question. Raises InferenceError, and the errors of a connection."""
        assert self._session is not None
        data = None if body is None else orjson.dumps(body)
        verb = "GET" if body is None else "POST"
        async with self._session.request(verb, self.url + path, data=data, allow_redirects=False) as answer:
            found = await answer.read()
            if answer.status != 200:
                raise refused(answer.status, found, answer.headers)
        try:
            return dict(orjson.loads(found))
        except (ValueError, TypeError):
            raise InferenceError("malformed_output", f"{self.title} answers {path} with no object.") from None

    async def stream(
        self, path: str, body: dict[str, Any], reader: server_wire.Reader | openai_wire.Reader
    ) -> AsyncIterator[Event]:
        assert self._session is not None
        address = self.url + path
        async with self._session.post(address, data=orjson.dumps(body), allow_redirects=False) as answer:
            if answer.status != 200:
                raise refused(answer.status, await answer.content.read(65536), answer.headers)
            rest = b""
            while not reader.done and (chunk := await answer.content.readany()):
                *lines, rest = (rest + chunk).split(b"\n")
                for event in reader.read(lines):
                    yield event
        if not reader.done and reader.reason is None:
            raise await self.gone(ConnectionError("it ended before the answer did"))

    def _connect(self, socket: Path) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.UnixConnector(str(socket), limit=0, force_close=True),
            headers={"Content-Type": "application/json"},
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
            read_bufsize=1 << 18,
            trust_env=False,
        )

    async def gone(self, error: BaseException) -> InferenceError:
        """Why the connection broke: nearly always because the process is ending."""
        try:
            async with asyncio.timeout(_END_LIMIT):
                await self.exited.wait()
        except TimeoutError:
            return InferenceError("unavailable", f"{self.title}: {error or type(error).__name__}", True)
        return self.why or died(self.title)

    # Life

    async def _until_ready(self) -> None:
        while not await self._is_well():
            if self._process.exited.is_set():
                raise self._failure()
            await asyncio.sleep(_LOOK_EVERY)

    async def _is_well(self) -> bool:
        assert self._session is not None
        try:
            limit = aiohttp.ClientTimeout(total=_HEALTH_EVERY)
            async with self._session.get(self.url + "/health", timeout=limit) as answer:
                return answer.status == 200
        except GONE:
            return False

    async def _look_after(self) -> None:
        """A health check says that the server hears, not that its model computes."""
        limit = float(self.spec.settings.get("stall_limit") or STALL_LIMIT)
        loop = asyncio.get_running_loop()
        well = loop.time()
        while loop.time() - well < limit:
            await asyncio.sleep(min(_HEALTH_EVERY, limit / 4))
            if await self._is_well():
                well = loop.time()
        message = f"{self.title} did not say that it is well for {limit:g} s and was ended."
        self.why = self.why or InferenceError("engine_died", message, True)
        self._process.kill()

    async def _watch(self) -> None:
        await self._process.exited.wait()
        if self.why is None:
            self.why = self._failure() if self._short_of_memory() else died(self.title)
        self.exited.set()

    def _heard(self, line: str) -> None:
        for pattern, progress in self.milestones:
            if found := pattern.search(line):
                part = int(found[1]) / 100 * 0.2 if found.re.groups else 0.0
                self._progress = max(self._progress, progress + part)
                self._report(self._progress)
                return

    def _short_of_memory(self) -> bool:
        return NO_MEMORY.search(self.log()) is not None or oom_kills() != self._oom_kills

    def _failure(self) -> InferenceError:
        """What the last lines of a program that ended mean."""
        lines = [line for line in self._process.lines if not line.startswith("ended ")]
        if self._short_of_memory():
            return InferenceError("out_of_memory", f"{self.title} ended: the memory was not enough.")
        told = [line for line in lines if _COMPLAINT.search(line)] or lines or ["it said nothing"]
        return InferenceError("load_failed", f"{self.title} ended: {told[-1][:300]}")


def died(title: str) -> InferenceError:
    return InferenceError("engine_died", f"{title}'s process ended.", True)
