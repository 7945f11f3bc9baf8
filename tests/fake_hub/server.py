"""The server itself: in a thread for tests, or in a process of its own."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from aiohttp import web

from tests.fake_hub.faults import Faults
from tests.fake_hub.huggingface import HuggingFace
from tests.fake_hub.modelscope import ModelScope
from tests.fake_hub.repos import Repos


@dataclass(frozen=True)
class Seen:
    """One request. `range` is its Range header, "" without; `headers` in lower case."""

    method: str
    path: str
    range: str
    headers: dict[str, str]


class FakeHub:
    """`endpoint` serves both hubs. After `stop`, `start` listens on the same port again."""

    def __init__(self, folder: Path | str, port: int = 0) -> None:
        self.repos = Repos(Path(folder))
        self.faults = Faults()
        self.port = port
        self.seen: list[Seen] = []
        #: Bytes of files that went out, all together.
        self.sent = 0
        self._change = threading.Condition()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> FakeHub:
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=[ready], name="fake hub", daemon=True)
        self._thread.start()
        if not ready.wait(60) or self._loop is None:
            raise RuntimeError(f"The fake hub does not listen on port {self.port}.")
        return self

    def stop(self) -> None:
        """Connections that are open end at once, in the middle of a body."""
        loop, thread = self._loop, self._thread
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(10)
        self._loop = self._thread = None

    def __enter__(self) -> FakeHub:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def until(self, true: Callable[[], bool], within: float = 60) -> None:
        """Wait until `true()`, looked at after every request and every piece of a file."""
        ends = time.monotonic() + within
        with self._change:
            while not true():
                if not self._change.wait(ends - time.monotonic()):
                    raise TimeoutError(
                        f"Not within {within} s; {self.sent} bytes sent, {len(self.seen)} requests"
                    )

    def asked_for(self, text: str) -> list[Seen]:
        """The requests whose path or query holds `text`."""
        with self._change:
            return [seen for seen in self.seen if text in seen.path]

    def application(self) -> web.Application:
        application = web.Application(middlewares=[self._see])
        parts = (self.repos, self.faults, self._sent, lambda: self.endpoint)
        face, scope = HuggingFace(*parts), ModelScope(*parts)
        application.add_routes(
            [
                web.get("/", _hello),
                web.get("/cdn/{owner}/{name}/{path:.+}", face.from_cdn),
                web.get("/_fake/seen", self._control_seen),
                web.get("/_fake/faults", self._control),
                web.post("/_fake/faults", self._control),
                web.delete("/_fake/faults", self._control),
                *scope.routes(),
                *face.routes(),
            ]
        )
        return application

    def _run(self, ready: threading.Event) -> None:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        runner = web.AppRunner(self.application(), access_log=None, shutdown_timeout=0)
        try:
            loop.run_until_complete(runner.setup())
            site = web.TCPSite(runner, "127.0.0.1", self.port, reuse_address=True)
            loop.run_until_complete(site.start())
            self.port = runner.addresses[0][1]
            self._loop = loop
            ready.set()
            loop.run_forever()
        finally:
            ready.set()
            loop.run_until_complete(_ended(runner))
            loop.close()

    def _sent(self, count: int) -> None:
        with self._change:
            self.sent += count
            self._change.notify_all()

    @web.middleware
    async def _see(self, request: web.Request, handler: Callable) -> web.StreamResponse:
        if not request.path.startswith("/_fake/"):
            headers = {name.lower(): value for name, value in request.headers.items()}
            with self._change:
                seen = Seen(request.method, request.path_qs, request.headers.get("Range", ""), headers)
                self.seen.append(seen)
                self._change.notify_all()
        answer: web.StreamResponse = await handler(request)
        return answer

    async def _control(self, request: web.Request) -> web.Response:
        if request.method == "POST":
            self.faults.add(**await request.json())
        elif request.method == "DELETE":
            self.faults.clear()
        return web.json_response({"faults": self.faults.as_list()})

    async def _control_seen(self, request: web.Request) -> web.Response:
        lines = [{"method": seen.method, "path": seen.path, "range": seen.range} for seen in self.seen]
        return web.json_response({"seen": lines, "sent": self.sent})


async def _hello(request: web.Request) -> web.Response:
    return web.Response(text="A hub of models, for tests.")


async def _ended(runner: web.AppRunner) -> None:
    """Cut what is open first: a graceful end would wait for answers that never come."""
    for connection in list(runner.server.connections if runner.server is not None else []):
        if connection.transport is not None:
            connection.transport.abort()
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await runner.cleanup()
