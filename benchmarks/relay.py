#!/usr/bin/env python3
"""How much time Hearth adds between a model and its reader: ``python benchmarks/relay.py``.

Starts a fake OpenAI endpoint whose tokens carry their send time (upstream.py) and a whole Hearth with its
production settings and an empty data folder, registers the endpoint as a remote model, and lets 20 users hold
N chats at once over WebSocket. Every line has its own baseline in the same run: the same number of streams
read straight from the endpoint. Prints one line per case, and with --json all figures as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import orjson

ROOT = Path(__file__).resolve().parent.parent
USERS = 20
RAMP = 2.6
STAMP = re.compile(r"(\d{8,}):(\d+) ")


@dataclass
class Seen:
    """One chat as its reader saw it."""

    began: float
    first: float = 0.0
    ended: float = 0.0
    ages_ms: list[float] = field(default_factory=list)
    text: dict[int, str] = field(default_factory=dict)
    turn: str = ""
    conversation: str = ""
    error: str = ""

    def take(self, text: str) -> None:
        now = time.monotonic_ns()
        if not self.first:
            self.first = time.monotonic()
        self.ages_ms += [(now - int(sent)) / 1e6 for sent, _index in STAMP.findall(text)]

    @property
    def ttft_ms(self) -> float:
        return (self.first - self.began) * 1000


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def direct(
    http: aiohttp.ClientSession, upstream: str, model: str, chats: int, ramp: float
) -> list[Seen]:
    async def one(index: int) -> Seen:
        await asyncio.sleep(ramp * index / chats)
        seen = Seen(time.monotonic())
        body = {"model": model, "stream": True, "messages": [{"role": "user", "content": "go"}]}
        async with http.post(upstream + "/chat/completions", json=body) as answer:
            async for line in answer.content:
                if line.startswith(b"data: {"):
                    delta = orjson.loads(line[6:])["choices"][0]["delta"]
                    if delta.get("content"):
                        seen.take(delta["content"])
        seen.ended = time.monotonic()
        return seen

    return list(await asyncio.gather(*[one(index) for index in range(chats)]))


class Reader:
    """One user's socket with all of the user's chats."""

    def __init__(self, http: aiohttp.ClientSession, url: str, token: str) -> None:
        self.http, self.url, self.token = http, url, token
        self.chats: dict[str, Seen] = {}
        self.turns: dict[str, Seen] = {}
        self.finished = asyncio.Event()
        self.expected = 0
        self.socket: aiohttp.ClientWebSocketResponse | None = None

    async def connect(self) -> None:
        self.socket = await self.http.ws_connect(
            self.url.replace("http", "ws", 1) + "/ws/chat/", protocols=["chat.v1", self.token], max_msg_size=0
        )

    async def read(self) -> None:
        assert self.socket is not None
        async for message in self.socket:
            frame = orjson.loads(message.data)
            kind = frame["type"]
            if kind == "turn.event":
                self._event(frame)
            elif kind == "turn.accepted":
                seen = self.chats[frame["client_id"]]
                seen.turn, seen.conversation = frame["turn"], frame["conversation"]
                self.turns[seen.turn] = seen
            elif kind == "error":
                seen = self.chats[frame["client_id"]]
                self._end(seen, frame["code"])

    def _event(self, frame: dict[str, Any]) -> None:
        seen, event = self.turns[frame["turn"]], frame["event"]
        if event["kind"] == "text":
            if frame["seq"] in seen.text:
                seen.error = "doubled"
            seen.text[frame["seq"]] = event["text"]
            seen.take(event["text"])
        elif event["kind"] == "finished":
            self._end(seen, "" if event["reason"] == "stop" else event["reason"])
        elif event["kind"] == "failed":
            self._end(seen, event["code"])

    def _end(self, seen: Seen, error: str) -> None:
        seen.error = seen.error or error
        seen.ended = time.monotonic()
        self.expected -= 1
        if not self.expected:
            self.finished.set()

    async def start(self, name: str, model: str) -> None:
        assert self.socket is not None
        self.chats[name] = Seen(time.monotonic())
        frame = {
            "type": "turn.start",
            "client_id": name,
            "conversation": None,
            "content": "go",
            "model": model,
        }
        await self.socket.send_str(orjson.dumps(frame).decode())


class House:
    """A whole Hearth in its own data folder, and 20 users."""

    def __init__(self, http: aiohttp.ClientSession, folder: Path) -> None:
        self.http, self.folder, self.port = http, folder, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.tokens: list[str] = []
        self.process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        command = [sys.executable, "start.py", "--here", "--no-browser", "--no-first-download"]
        command += ["--data", str(self.folder), "--port", str(self.port)]
        env = {**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings.prod", "HEARTH_LOG_LEVEL": "WARNING"}
        self.process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL)  # noqa: ASYNC220
        await self.ready(120)

    async def ready(self, within: float) -> None:
        until = time.monotonic() + within
        while time.monotonic() < until:
            try:
                async with self.http.get(self.url + "/readyz") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.1)
        raise SystemExit("Hearth did not become ready")

    async def post(self, path: str, body: dict[str, Any], token: str = "") -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self.http.post(self.url + path, json=body, headers=headers) as answer:
            if answer.status >= 400:
                raise SystemExit(f"{path}: {answer.status} {await answer.text()}")
            return dict(await answer.json())

    async def people(self) -> None:
        for number in range(USERS):
            name = f"user{number}"
            body = {"username": name, "email": f"{name}@example.org", "password": "Kestrel-lamp-91"}
            self.tokens.append((await self.post("/api/auth/register/", body))["access_token"])

    async def register(self, upstream: str, model: str) -> None:
        source = {"kind": "remote", "base_url": upstream, "model": model, "continues": True}
        await self.post("/api/models/", {"name": model, "source": source}, self.tokens[0])

    async def chats(self, model: str, count: int, ramp: float) -> list[Seen]:
        readers = [Reader(self.http, self.url, token) for token in self.tokens[: min(USERS, count)]]
        for index in range(count):
            readers[index % len(readers)].expected += 1
        await asyncio.gather(*[reader.connect() for reader in readers])
        reading = [asyncio.create_task(reader.read()) for reader in readers]

        async def one(index: int) -> None:
            await asyncio.sleep(ramp * index / count)
            await readers[index % len(readers)].start(f"{model}-{count}-{time.monotonic_ns()}-{index}", model)

        await asyncio.gather(*[one(index) for index in range(count)])
        async with asyncio.timeout(180):
            await asyncio.gather(*[reader.finished.wait() for reader in readers])
        for reader, task in zip(readers, reading, strict=True):
            task.cancel()
            if reader.socket is not None:
                await reader.socket.close()
        return [seen for reader in readers for seen in reader.chats.values()]

    def role(self, name: str) -> int:
        command = [sys.executable, "start.py", "status", "--json", "--data", str(self.folder)]
        found = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout)
        return next(int(process["pid"]) for process in found["processes"] if process["name"] == name)

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(timeout=20)


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def figures(seen: list[Seen]) -> dict[str, float]:
    ages = [age for chat in seen for age in chat.ages_ms]
    spent = max(chat.ended for chat in seen) - min(chat.began for chat in seen)
    return {
        "ttft_p50_ms": statistics.median(chat.ttft_ms for chat in seen),
        "age_p50_ms": percentile(ages, 0.5),
        "age_p99_ms": percentile(ages, 0.99),
        "tokens_per_second": len(ages) / spent,
        "errors": sum(1 for chat in seen if chat.error),
        "tokens": len(ages),
    }


async def killed(house: House, model: str) -> dict[str, int]:
    """20 chats; the web process is killed outright in mid-run. What was seen must be what is stored."""
    readers = [Reader(house.http, house.url, token) for token in house.tokens]
    for reader in readers:
        reader.expected = 1
        await reader.connect()
    reading = [asyncio.create_task(reader.read()) for reader in readers]
    for number, reader in enumerate(readers):
        await reader.start(f"kill-{time.monotonic_ns()}-{number}", model)
    await asyncio.sleep(1.2)
    os.kill(house.role("web"), signal.SIGKILL)
    await asyncio.gather(*reading, return_exceptions=True)
    await house.ready(30)
    for reader in readers:
        await reader.connect()
    reading = [asyncio.create_task(reader.read()) for reader in readers]
    for reader in readers:
        for seen in reader.chats.values():
            frame = {"type": "turn.watch", "turn": seen.turn, "after_seq": max(seen.text, default=0)}
            assert reader.socket is not None
            await reader.socket.send_str(json.dumps(frame))
    async with asyncio.timeout(60):
        await asyncio.gather(*[reader.finished.wait() for reader in readers])
    outcome = {"chats": 0, "whole": 0, "as_seen": 0}
    for reader in readers:
        for seen in reader.chats.values():
            url = f"{house.url}/api/conversations/{seen.conversation}/messages/"
            async with house.http.get(url, headers={"Authorization": f"Bearer {reader.token}"}) as answer:
                parts = (await answer.json())["results"][-1]["parts"]
            stored = "".join(part["text"] for part in parts)
            indices = [int(index) for _stamp, index in STAMP.findall(stored)]
            outcome["chats"] += 1
            outcome["whole"] += indices == list(range(128))
            outcome["as_seen"] += stored == "".join(text for _seq, text in sorted(seen.text.items()))
    for task in reading:
        task.cancel()
    return outcome


async def run(args: argparse.Namespace) -> dict[str, Any]:
    port = free_port()
    upstream = f"http://127.0.0.1:{port}/v1"
    script = str(ROOT / "benchmarks" / "upstream.py")
    endpoint = subprocess.Popen([sys.executable, script, "--port", str(port)])  # noqa: ASYNC220
    found: dict[str, Any] = {}
    timeout = aiohttp.ClientTimeout(total=None)
    with tempfile.TemporaryDirectory(prefix="hearth-relay-") as folder:
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), timeout=timeout, read_bufsize=1 << 20
        ) as http:
            house = House(http, Path(folder) / "data")
            try:
                await house.start()
                await house.people()
                for model in ("fake-128x20", "fake-2000x0"):
                    await house.register(upstream, model)
                await house.chats("fake-128x20", 1, 0)  # connections and caches are warm now
                for count in args.chats:
                    ramp = RAMP if count > 1 else 0.0
                    repeats = 5 if count == 1 else 1
                    ours, plain = [], []
                    for _ in range(repeats):
                        plain += await direct(http, upstream, "fake-128x20", count, ramp)
                        ours += await house.chats("fake-128x20", count, ramp)
                    found[f"{count} chats"] = line(f"{count} chats, 128 tokens 20 ms apart", plain, ours)
                for count in args.flood:
                    plain = await direct(http, upstream, "fake-2000x0", count, 0)
                    ours = await house.chats("fake-2000x0", count, 0)
                    found[f"{count} no delay"] = line(f"{count} chats, 2000 tokens, no delay", plain, ours)
                if args.kill:
                    found["kill"] = await killed(house, "fake-128x20")
                    print(f"web process killed in mid-run: {found['kill']}")
            finally:
                house.stop()
                endpoint.terminate()
    return found


def line(title: str, plain: list[Seen], ours: list[Seen]) -> dict[str, Any]:
    base, with_us = figures(plain), figures(ours)
    print(
        f"{title:40} first token {base['ttft_p50_ms']:7.1f} → {with_us['ttft_p50_ms']:7.1f} ms "
        f"(+{with_us['ttft_p50_ms'] - base['ttft_p50_ms']:.1f})  "
        f"age p50 {base['age_p50_ms']:.1f} → {with_us['age_p50_ms']:.1f}, "
        f"p99 {base['age_p99_ms']:.1f} → {with_us['age_p99_ms']:.1f} ms  "
        f"{base['tokens_per_second']:,.0f} → {with_us['tokens_per_second']:,.0f} tokens/s "
        f"(× {with_us['tokens_per_second'] / base['tokens_per_second']:.2f})  "
        f"errors {with_us['errors']:.0f}",
        flush=True,
    )
    return {"direct": base, "hearth": with_us}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chats", type=int, nargs="*", default=[1, 50, 100, 200])
    parser.add_argument("--flood", type=int, nargs="*", default=[1, 20])
    parser.add_argument("--no-kill", dest="kill", action="store_false")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    result = asyncio.run(run(options))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1))
