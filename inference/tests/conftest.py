from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from inference.client import InferenceClient
from inference.errors import InferenceError
from inference.protocol import Event, ModelSpec
from system.address import default

ROOT = Path(__file__).resolve().parents[2]


class Server:
    """A real server process and a client for it."""

    def __init__(self, process: asyncio.subprocess.Process, client: InferenceClient) -> None:
        self.process = process
        self.client = client

    async def model(self, model_id: str) -> dict[str, Any]:
        models = (await self.client.state())["models"]
        return next(model for model in models if model["id"] == model_id)

    async def model_when(self, model_id: str, holds: Callable[[Event], bool]) -> Event:
        """The model's first line on /watch that `holds` says yes to."""
        async with asyncio.timeout(60):
            async for line in self.client.watch():
                if line["model"] == model_id and holds(line):
                    return line
        raise AssertionError("the watch ended")

    async def stop(self) -> int:
        if self.process.returncode is None:
            with suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(self.process.wait(), 30)


StartServer = Callable[..., Awaitable[Server]]


@pytest.fixture
async def start_server(tmp_path: Path) -> AsyncIterator[StartServer]:
    servers: list[Server] = []

    async def start(*args: str, address: str = "", secret: str | None = None) -> Server:
        address = address or default(tmp_path)
        command = [sys.executable, "-m", "inference.server", "--address", address, *args]
        process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env={**os.environ})
        server = Server(process, InferenceClient(address, secret))
        servers.append(server)
        await until_up(server)
        return server

    yield start
    for server in servers:
        await server.client.close()
        await server.stop()


async def until_up(server: Server) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                await server.client.state()
                return
            except InferenceError as error:
                if error.code != "unavailable" or server.process.returncode is not None:
                    raise
                await asyncio.sleep(0.02)  # a process that starts has no event to wait for


@pytest.fixture
async def server(start_server: StartServer) -> Server:
    return await start_server("--cold")


def echo(model_id: str = "echo", *, settings: dict[str, Any] | None = None, **script: Any) -> ModelSpec:
    return ModelSpec(model_id, model_id, "echo", {"kind": "echo", "script": script}, settings or {})


async def collect(events: AsyncIterator[Event]) -> list[Event]:
    return [event async for event in events]


def joined(events: list[Event], key: str = "text", kind: str = "text") -> str:
    return "".join(event[key] for event in events if event["kind"] == kind)


def raw(events: list[Event]) -> str:
    return "".join(event["raw"] for event in events if "raw" in event)


def last(events: list[Event]) -> Event:
    ends = [event for event in events if event["kind"] in ("finished", "failed")]
    assert len(ends) == 1 and events[-1] is ends[0]
    return ends[0]


HELLO = [{"role": "user", "content": "Hello"}]
CHINESE = [
    {"role": "developer", "content": "你是一个有帮助的助手。"},
    {"role": "user", "content": "你好！"},
]
