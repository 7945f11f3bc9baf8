"""A model service that obeys the test: the protocol is real, the models are not."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

from aiohttp import web


class FakeInference:
    """Listens on a Unix socket, in a thread of its own. `loads` holds the specs it was asked to load."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.loads: list[dict[str, Any]] = []
        self.unloads: list[str] = []
        self.fits: list[dict[str, Any]] = []  # bodies of /fit
        self.fit: dict[str, Any] = {"devices": [], "best": None, "known": True}  # its answer
        self.pins: set[str] = set()
        self.answer: list[dict[str, Any]] = [
            {"kind": "status", "phase": "loading", "progress": 0.5},
            {"kind": "ready"},
        ]
        self.states: dict[str, dict[str, Any]] = {}
        self.hold = threading.Event()
        self.hold.set()
        self.heard = threading.Event()
        self._watchers: set[asyncio.Queue[dict[str, Any]]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._end: asyncio.Event | None = None

    @property
    def address(self) -> str:
        return f"unix:{self.path}"

    def start(self) -> None:
        up = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(up)), daemon=True)
        self._thread.start()
        assert up.wait(60)

    def stop(self) -> None:
        """As a killed process: connections break, the socket's file stays away, pins are forgotten."""
        self.pins.clear()
        if self._thread is not None and self._thread.is_alive():
            assert self._loop is not None and self._end is not None
            self._loop.call_soon_threadsafe(self._end.set)
            self._thread.join(10)
        self.path.unlink(missing_ok=True)

    def say(self, model_id: str, state: str, **more: Any) -> None:
        """Change a model's state and tell all watchers."""
        line = {"kind": "model", "model": model_id, "name": model_id, "state": state, "progress": None} | more
        self.states[model_id] = line
        assert self._loop is not None
        for queue in list(self._watchers):
            self._loop.call_soon_threadsafe(queue.put_nowait, line)

    async def _serve(self, up: threading.Event) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        app = web.Application()
        app.add_routes(
            [
                web.post("/load", self._load),
                web.post("/unload", self._unload),
                web.post("/pin", self._pin),
                web.post("/fit", self._fit),
                web.get("/state", self._state),
                web.get("/watch", self._watch),
            ]
        )
        runner = web.AppRunner(app, shutdown_timeout=0.05)
        await runner.setup()
        await web.UnixSite(runner, str(self.path)).start()
        up.set()
        await self._end.wait()
        await runner.cleanup()

    async def _lines(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        return response

    async def _load(self, request: web.Request) -> web.StreamResponse:
        self.loads.append((await request.json())["model"])
        self.heard.set()
        response = await self._lines(request)
        for event in self.answer:
            while not self.hold.is_set():
                await response.write(b'{"kind": "heartbeat"}\n')
                await asyncio.sleep(0.01)
            await response.write(json.dumps(event).encode() + b"\n")
        return response

    async def _unload(self, request: web.Request) -> web.Response:
        self.unloads.append((await request.json())["model"])
        return web.json_response({"kind": "done"})

    async def _fit(self, request: web.Request) -> web.Response:
        self.fits.append(await request.json())
        return web.json_response(self.fit)

    async def _state(self, request: web.Request) -> web.Response:
        return web.json_response({"models": list(self.states.values()), "pins": sorted(self.pins)})

    async def _pin(self, request: web.Request) -> web.Response:
        body = await request.json()
        (self.pins.add if body["pinned"] else self.pins.discard)(body["model"])
        return web.json_response({"pins": sorted(self.pins)})

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._watchers.add(queue)
        response = await self._lines(request)
        try:
            for line in self.states.values():
                await response.write(json.dumps(line).encode() + b"\n")
            while True:
                await response.write(json.dumps(await queue.get()).encode() + b"\n")
        finally:
            self._watchers.discard(queue)
