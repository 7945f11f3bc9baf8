"""start.py as a person uses it: an empty folder, a first answer, a crash in the middle, Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import socket as sockets
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from inference.engines.echo import word
from tests.house import PASSWORD, ROOT, House, Person, free_port
from tests.patience import timed, within

pytestmark = [pytest.mark.e2e, pytest.mark.real_model, pytest.mark.slow]
PAGE_WITHIN, TOKEN_WITHIN = 5.0, 15.0
#: Other work may share the machine's few cores with this test.
ROOM = 2.0


class Installation(House):
    """A house that start.py keeps running, instead of this test."""

    def __init__(self, data: Path) -> None:  # no super(): nothing is prepared here, that is start.py's work
        self.data, self.port = data, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        foreign = ("HEARTH_", "DATABASE_URL", "REDIS_URL", "SERVER", "DJANGO_")
        self.env = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        self.env["HEARTH_PLATFORM"] = os.environ.get("HEARTH_PLATFORM", "auto")
        self.env["HEARTH_FIRST_DOWNLOAD"] = "0"  # no test fetches gigabytes
        self.said: list[str] = []
        self._running = {}

    def command(self, *words: str) -> list[str]:
        start = [sys.executable, str(ROOT / "start.py"), *words, "--here"]
        return [*start, "--data", str(self.data), "--port", str(self.port)]

    def begin(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            self.command("start", "--no-browser"),
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._running["start.py"] = process
        threading.Thread(target=self._listen, args=(process,), daemon=True).start()
        return process

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        self.said += (line.decode() for line in process.stdout)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*words), env=self.env, capture_output=True, text=True, timeout=60, check=False
        )

    def ready(self) -> bool:
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(self.url + "/readyz", timeout=5, trust_env=False).status_code == 200
        return False

    def processes(self) -> dict[str, int]:
        return {
            one["name"]: one["pid"] for one in json.loads(self.run("status", "--json").stdout)["processes"]
        }

    def left(self) -> list[str]:
        """The command lines of all processes that know this folder, be it from their environment."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                known = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
                if str(self.data).encode() in known and int(process.name) != os.getpid():
                    found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        return found

    def logs(self) -> str:
        logs = [path.read_text()[-4000:] for path in sorted((self.data / "logs").glob("*.log"))]
        return "\n".join(["".join(self.said), *logs])

    def end(self) -> None:
        for process in self._running.values():
            if process.poll() is None:
                process.kill()  # its children die with it
            process.wait()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Installation]:
    place = Installation(tmp_path / "data")
    yield place
    place.end()


def waited(condition: Callable[[], Any], place: Installation, what: str, within: float) -> float:
    began = time.monotonic()
    place.until(condition, what, within)
    return time.monotonic() - began


async def first_token(place: Installation, person: Person, **start: Any) -> float:
    """Asks over the socket; the seconds to the first text, and the whole answer is waited for."""
    began, first = time.monotonic(), 0.0
    async with place.ws(person) as socket:
        await socket.send("turn.start", client_id=os.urandom(8).hex(), conversation=None, **start)
        turn = (await socket.until("turn.accepted"))["turn"]
        async for frame in socket.events(turn, within=60):
            assert frame["event"]["kind"] != "failed", frame
            if frame["event"]["kind"] == "text":
                first = first or time.monotonic()
    assert first, "no text"
    return first - began


async def killed_in_the_middle(place: Installation, admin: Person) -> None:
    """kill -9 of the web process while an answer streams: what was seen is how the whole begins."""
    model = place.echo_model(admin, "Slow", tokens=80, seed=9, delay_ms=50, settings={"inline": True})
    seen = ""
    async with place.ws(admin) as socket:
        await socket.send("turn.start", client_id="crash", conversation=None, content="Go on", model=model)
        accepted = await socket.until("turn.accepted")
        events = socket.events(accepted["turn"])
        async for frame in events:
            seen += frame["event"].get("text", "")
            if len(seen.split()) >= 12:
                break
        await events.aclose()
        web = place.processes()["web"]
        os.kill(web, signal.SIGKILL)
    # Nobody asks for the turn again: it goes on by itself in the process that start.py makes.
    place.until(lambda: place.ready() and place.processes()["web"] != web, "another web process", 60)
    place.until(lambda: place.message(admin, accepted)["status"] == "done", "the end of the answer", 120)
    text = place.message(admin, accepted)["parts"][0]["text"]
    assert text.startswith(seen)
    assert text == "".join(word(9, position) for position in range(80))
    assert "web ended (signal 9)" in "".join(place.said)


@timed
def test_from_an_empty_folder_to_an_answer_through_a_crash_to_ctrl_c(place: Installation) -> None:
    process = place.begin()
    took = waited(place.ready, place, "the first start", 120)
    print(f"first start on an empty folder: ready after {took:.1f} s")
    page = httpx.get(place.url, trust_env=False)
    nonce = re.search(r"'nonce-([^']+)'", page.headers["content-security-policy"])
    assert nonce is not None and f'content="{nonce[1]}"' in page.text
    admin = place.register("admin")
    token = asyncio.run(
        first_token(place, admin, content="Say hello.", params={"max_tokens": 8, "temperature": 0})
    )
    print(f"first token of the first start: {token:.1f} s")

    again = place.run("start", "--no-browser")
    assert again.returncode == 0 and f"running already: {place.url}" in again.stdout
    asyncio.run(killed_in_the_middle(place, admin))

    names = place.processes()
    assert {"web", "inference", "worker"} <= set(names) and any(name.startswith("model:") for name in names)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0, place.logs()
    assert place.left() == []

    began = time.monotonic()
    process = place.begin()
    page_after = waited(lambda: _page(place), place, "the page", 120)
    body = {"grant_type": "password", "username": "admin", "password": PASSWORD}
    tokens = place.call("POST", "/api/auth/token/", json=body)
    admin = Person(admin.id, tokens["access_token"], tokens["refresh_token"])
    asyncio.run(first_token(place, admin, content="Say hello.", params={"max_tokens": 8, "temperature": 0}))
    token_after = time.monotonic() - began
    print(f"second start: page after {page_after:.1f} s, first token after {token_after:.1f} s")
    within(PAGE_WITHIN * ROOM, page_after)
    within(TOKEN_WITHIN * ROOM, token_after)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0, place.logs()


def _page(place: Installation) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(place.url, timeout=5, trust_env=False).status_code == 200
    return False


def test_a_taken_port_is_named_before_anything_is_made(place: Installation) -> None:
    with sockets.create_server(("127.0.0.1", place.port)):
        said = place.run("start", "--no-browser")
    assert said.returncode == 1
    assert f"Port {place.port} is taken by" in said.stderr and f"(pid {os.getpid()})" in said.stderr
    assert not list(place.data.glob("*.sqlite3"))
