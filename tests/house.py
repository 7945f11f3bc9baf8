"""A whole house for tests: real web, inference and worker processes, free ports, a data folder of its own.

with House() as house:                 # or House(SERVER="daphne", DATABASE_URL=..., REDIS_URL=...)
    anna = house.register("anna")
    async with house.ws(anna) as socket: ...
    house.kill("web"); house.start("web")
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import json
import logging
import os
import shutil
import signal
import socket as sockets
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
import websockets

from system import address

logging.getLogger("httpx").setLevel(logging.WARNING)

ROOT = Path(__file__).resolve().parents[1]
PASSWORD = "a stove warms the house"
LAST = ("finished", "failed")
#: How long a process may take to answer on a machine that has much else to do (seconds).
START = 120.0
_SETTINGS = {
    "DJANGO_SETTINGS_MODULE": "config.settings.prod",
    "HEARTH_LOGIN_LIMIT": "10000/60",
    # No test fetches gigabytes from a hub that it did not start.
    "HEARTH_FIRST_DOWNLOAD": "0",
}
#: Nothing of the caller's own installation leaks into a test's.
_FOREIGN = (
    "DATABASE_URL",
    "REDIS_URL",
    "SERVER",
    "HEARTH_DATA",
    "HEARTH_RUN",
    "HEARTH_HOST",
    "HEARTH_PORT",
    "HEARTH_INFERENCE",
    "HEARTH_MEMORY_LIMIT",
    "HEARTH_RESIDENT_MODELS",
    "HEARTH_MODELSCOPE_ENDPOINT",
    "HEARTH_HF_ENDPOINT",
    "MODELSCOPE_API_TOKEN",
    "HF_TOKEN",
)


@dataclass(frozen=True)
class Person:
    id: str
    access: str
    refresh: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.access}"}


@dataclass(frozen=True)
class Sent:
    """One server-sent event; `id` is 0 where there was none. A comment has the kind ":"."""

    kind: str
    id: int
    data: Any


class Socket:
    """A chat socket: frames as dicts, and what was skipped over stays in `seen`."""

    def __init__(self, raw: Any) -> None:
        self.raw = raw
        self.seen: list[dict[str, Any]] = []

    async def send(self, kind: str, **fields: Any) -> None:
        await self.raw.send(json.dumps({"type": kind, **fields}))

    async def next(self, within: float = 30) -> dict[str, Any]:
        async with asyncio.timeout(within):
            frame: dict[str, Any] = json.loads(await self.raw.recv())
        self.seen.append(frame)
        return frame

    async def until(self, kind: str, within: float = 30, **fields: Any) -> dict[str, Any]:
        """The next frame of this type whose fields are these; a surprising error frame ends the wait."""
        async with asyncio.timeout(within):
            while True:
                frame = await self.next(within)
                if frame["type"] == kind and all(frame.get(k) == v for k, v in fields.items()):
                    return frame
                assert frame["type"] != "error", frame

    def cut(self) -> None:
        """The connection is gone without a word."""
        self.raw.transport.abort()

    async def events(self, turn: str, within: float = 60) -> AsyncIterator[dict[str, Any]]:
        """Frames turn.event of this turn, the last included."""
        while True:
            frame = await self.until("turn.event", within, turn=turn)
            yield frame
            if frame["event"]["kind"] in LAST:
                return

    async def text(self, turn: str, within: float = 60) -> str:
        return text_of([frame["event"] async for frame in self.events(turn, within)])


def text_of(events: list[dict[str, Any]]) -> str:
    return "".join(event["text"] for event in events if event["kind"] == "text")


class House:
    """`start` and `kill` take "web", "inference" or "worker". Keyword arguments are the environment."""

    def __init__(self, *, worker: bool = False, **env: str) -> None:
        self.data = Path(tempfile.mkdtemp(prefix="house-"))
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._roles = ["inference", "web"] + (["worker"] if worker else [])
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self.env = {name: value for name, value in os.environ.items() if name not in _FOREIGN}
        self.env |= _SETTINGS | {"HEARTH_DATA": str(self.data), "PYTHONUNBUFFERED": "1"} | env
        if "DATABASE_URL" in env:
            python(self.env, "-m", "django", "migrate", "--verbosity", "0")
        else:
            shutil.copytree(_template(), self.data, dirs_exist_ok=True)

    def __enter__(self) -> House:
        try:
            for role in self._roles:
                self.start(role)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            print(self.logs())
        self.close()

    def close(self) -> None:
        for role in list(self._running):
            self.kill(role, signal.SIGTERM)
        shutil.rmtree(self.data, ignore_errors=True)

    def start(self, role: str) -> None:
        """Returns when it answers."""
        commands = {
            "web": ["config.serve", "--host", "127.0.0.1", "--port", str(self.port)],
            "inference": ["inference.server", "--cold", "--address", self.inference],
            "worker": ["config.worker"],
        }
        with (self.data / f"{role}.log").open("ab") as log:
            command = [sys.executable, "-m", *commands[role]]
            self._running[role] = subprocess.Popen(command, env=self.env, cwd=ROOT, stdout=log, stderr=log)
        if role == "web":
            self.until(lambda: self._answers("/healthz"), "the web process to answer", START)
        elif role == "inference":
            self.until(self._inference_answers, "the model service to answer", START)

    def kill(self, role: str, with_signal: signal.Signals = signal.SIGKILL) -> None:
        process = self._running.pop(role)
        process.send_signal(with_signal)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)

    def pid(self, role: str) -> int:
        return self._running[role].pid

    @property
    def inference(self) -> str:
        """The address of the model service."""
        return address.default(self.data / "run")

    def state(self) -> list[dict[str, Any]]:
        """The models as the model service tells them."""
        found = address.ask(self.inference, "/state", timeout=10)
        assert found is not None, "the model service does not answer"
        models: list[dict[str, Any]] = found["models"]
        return models

    def running(self) -> int:
        """How many answers the engines are making at this moment."""
        return sum(model["running"] + model["waiting"] for model in self.state())

    def register(self, username: str) -> Person:
        body = {"username": username, "email": f"{username}@example.org", "password": PASSWORD}
        found = self.call("POST", "/api/auth/register/", json=body, status=201)
        return Person(found["user"]["id"], found["access_token"], found["refresh_token"])

    def call(
        self, method: str, path: str, person: Person | None = None, status: int = 200, **more: Any
    ) -> Any:
        """A REST call; the answer's JSON, or None."""
        more.setdefault("headers", {})
        more["headers"] |= person.headers if person else {}
        answer = httpx.request(method, self.url + path, timeout=60, trust_env=False, verify=False, **more)
        assert answer.status_code == status, f"{answer.status_code}: {answer.text}"
        return answer.json() if answer.content else None

    def message(self, person: Person, accepted: dict[str, Any]) -> dict[str, Any]:
        """The assistant's message that a turn writes, as the API tells it now."""
        page = self.call("GET", f"/api/conversations/{accepted['conversation']}/messages/", person)
        return next(m for m in page["results"] if m["id"] == accepted["assistant_message"])

    def echo_model(self, person: Person, name: str = "Echo", **script: Any) -> str:
        """An echo model with a process of its own (inline where `settings` say so); its id."""
        settings = script.pop("settings", {})
        body = {"name": name, "source": {"kind": "echo", "script": script}, "settings": settings}
        made = self.call("POST", "/api/models/", person, status=201, json=body)
        return str(made["id"])

    @contextlib.asynccontextmanager
    async def ws(self, person: Person | None, *, token: str = "", **more: Any) -> AsyncIterator[Socket]:
        token = token or (person.access if person else "")
        address = self.url.replace("http", "ws") + "/ws/chat/"
        protocols = [websockets.Subprotocol("chat.v1"), websockets.Subprotocol(token)]
        # With a short queue the library stops to read, and then its close waits in vain for the answer.
        usual = {
            "max_size": None,
            "max_queue": None,
            "ping_interval": None,
            "open_timeout": 60,
            "proxy": None,
            "compression": None,
        }
        more = usual | more
        async with websockets.connect(address, subprotocols=protocols, **more) as raw:
            yield Socket(raw)

    @contextlib.asynccontextmanager
    async def sse(
        self, person: Person, method: str, path: str, **more: Any
    ) -> AsyncIterator[AsyncIterator[Sent]]:
        """The events of a stream; leave the block to cut it."""
        headers = person.headers | {"Accept": "text/event-stream"} | more.pop("headers", {})
        async with (
            httpx.AsyncClient(timeout=60, trust_env=False, verify=False) as client,
            client.stream(method, self.url + path, headers=headers, **more) as answer,
        ):
            if answer.status_code != 200:
                raise AssertionError(f"{answer.status_code}: {(await answer.aread()).decode()}")
            assert answer.headers["content-type"].startswith("text/event-stream")
            yield parse_sse(answer.aiter_lines())

    def watch(self, person: Person, turn: str, after: int = 0) -> Any:
        headers = {"Last-Event-ID": str(after)}
        return self.sse(person, "GET", f"/api/turns/{turn}/events/", headers=headers)

    def until(self, holds: Callable[[], Any], what: str, within: float = 60) -> Any:
        """Looks until `holds()` is true; a process that died ends the wait."""
        end = time.monotonic() + within
        while not (found := holds()):
            dead = [role for role, process in self._running.items() if process.poll() is not None]
            if dead or time.monotonic() > end:
                raise AssertionError(f"waited for {what}; ended: {dead}\n{self.logs()}")
            time.sleep(0.01)  # what another process does has no event to wait for
        return found

    def logs(self) -> str:
        found = [f"--- {path.name}\n{path.read_text()[-8000:]}" for path in sorted(self.data.glob("*.log"))]
        return "\n".join(found)

    def python(self, code: str) -> str:
        """Runs `code` with Django set up on this house's database."""
        return python(self.env, "-c", f"import django; django.setup()\n{code}")

    def _answers(self, path: str) -> bool:
        try:
            return httpx.get(self.url + path, timeout=5, trust_env=False, verify=False).status_code == 200
        except httpx.HTTPError:
            return False

    def _inference_answers(self) -> bool:
        return address.ask(self.inference, "/state") is not None


async def parse_sse(lines: AsyncIterator[str]) -> AsyncIterator[Sent]:
    fields: dict[str, str] = {}
    async for line in lines:
        if line.startswith(":"):
            yield Sent(":", 0, line[1:].strip())
        elif line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif fields:
            yield Sent(fields["event"], int(fields.get("id", 0)), json.loads(fields["data"]))
            fields = {}


def free_port() -> int:
    with sockets.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def python(env: dict[str, str], *args: str) -> str:
    command = [sys.executable, *args]
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@functools.cache
def _template() -> Path:
    """A data folder with a migrated database, made once per test run and copied."""
    folder = Path(tempfile.mkdtemp(prefix="house-template-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    env = {name: value for name, value in os.environ.items() if name not in _FOREIGN}
    python(env | _SETTINGS | {"HEARTH_DATA": str(folder)}, "-m", "django", "migrate", "--verbosity", "0")
    return folder
