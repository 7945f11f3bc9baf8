"""The servers that benchmarks/engine.py compares: ours, and the peers that the folder HEARTH_PEERS holds.

A peer is used where its file is found: ``llama/llama-server`` and ``llama/model-Q8_0.gguf``,
``vllm/bin/vllm``, ``transformers/bin/transformers``. Each runs in its own process session on 127.0.0.1.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import orjson

ROOT = Path(__file__).resolve().parent.parent
SLOTS = 32
TICKS = os.sysconf("SC_CLK_TCK")


class Piece(NamedTuple):
    """What one line of a stream says. `usage` has prompt, completion and reused tokens."""

    text: str = ""
    usage: dict[str, int] | None = None
    error: str = ""


class Server:
    """One server as a child process. `context`: tokens per request; the KV has room for SLOTS such."""

    health = "/health"
    path = "/v1/chat/completions"

    def __init__(self, name: str, model: Path, context: int) -> None:
        self.name, self.model, self.context = name, model, context
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = Path(tempfile.gettempdir()) / f"hearth-bench-{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> tuple[list[str], dict[str, str]]:
        """The command line and what is added to the environment."""
        raise NotImplementedError

    def body(self, messages: list[dict[str, str]], tokens: int, user: str) -> dict[str, Any]:
        """A greedy, streamed request for exactly `tokens` new tokens; the end token is ignored."""
        raise NotImplementedError

    def read(self, line: bytes) -> Piece:
        raise NotImplementedError

    def spawn(self) -> float:
        command, env = self.command()
        began = time.monotonic()
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                command, cwd=ROOT, env={**os.environ, **env}, stdout=log, stderr=log, start_new_session=True
            )
        return began

    async def ready(self, http: aiohttp.ClientSession, within: float = 900) -> None:
        until = time.monotonic() + within
        while time.monotonic() < until and self._process is not None and self._process.poll() is None:
            try:
                async with http.get(self.url + self.health) as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.02)
        raise SystemExit(f"{self.name} did not start, see {self.log}")

    def stop(self) -> None:
        if self._process is None:
            return
        mine = self.pids()
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pid in mine:
            if _parent(pid) == 1:  # what it left behind
                os.kill(pid, signal.SIGKILL)
        self._process = None

    def pids(self) -> list[int]:
        """The server's process and all below it."""
        children: dict[int, list[int]] = {}
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                children.setdefault(_parent(int(folder.name)), []).append(int(folder.name))
        found = [self._process.pid] if self._process else []
        for pid in found:
            found += children.get(pid, [])
        return found

    def pss(self) -> int:
        """Bytes of memory of all its processes; a page shared by n processes counts 1/n in each."""
        total = 0
        for pid in self.pids():
            try:
                rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            except OSError:
                continue
            total += sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
        return total * 1024

    def cpu_seconds(self) -> float:
        stats = [_stat(pid) for pid in self.pids()]
        return sum(int(stat[11]) + int(stat[12]) for stat in stats if stat) / TICKS


class Hearth(Server):
    """Our model service; `settings` are those of the deployment."""

    health = "/healthz"
    path = "/stream"

    def __init__(self, name: str, model: Path, context: int, settings: dict[str, Any]):
        super().__init__(name, model, context)
        self.settings = settings

    def command(self) -> tuple[list[str], dict[str, str]]:
        return [sys.executable, "-m", "inference.server", "--address", self.url], {}

    def spec(self, id: str = "model") -> dict[str, Any]:
        source = {"kind": "folder", "path": str(self.model)}
        return {"id": id, "name": id, "engine": "transformers", "source": source, "settings": self.settings}

    def named(self, id: str) -> Callable[[dict[str, Any]], None]:
        """A change of a request's body: the same folder as a model of this id."""
        return lambda body: body.update(model=self.spec(id))

    def body(self, messages: list[dict[str, str]], tokens: int, user: str) -> dict[str, Any]:
        params = {"temperature": 0, "max_tokens": tokens, "ignore_eos": True}
        return {"model": self.spec(), "messages": messages, "params": params, "user": user}

    def read(self, line: bytes) -> Piece:
        event = orjson.loads(line)
        kind = event["kind"]
        if kind in ("text", "reasoning"):
            return Piece(event["text"])
        if kind == "usage":
            counts = ("prompt_tokens", "completion_tokens", "reused_tokens")
            return Piece(usage={name: int(event[name]) for name in counts})
        return Piece(error=f"{event['code']}: {event['message']}" if kind == "failed" else "")


class Peer(Server):
    """A server with OpenAI's chat completions; `extra` is what makes it go past the end token."""

    def __init__(
        self, name: str, model: Path, context: int, command: list[str], env: dict[str, str],
        extra: dict[str, Any], model_name: str,
    ) -> None:  # fmt: skip
        super().__init__(name, model, context)
        self._command, self._env, self._extra, self._model_name = command, env, extra, model_name

    def command(self) -> tuple[list[str], dict[str, str]]:
        return [*self._command, "--host", "127.0.0.1", "--port", str(self.port)], self._env

    def body(self, messages: list[dict[str, str]], tokens: int, user: str) -> dict[str, Any]:
        wanted = {"max_tokens": tokens, "temperature": 0, "stream": True}
        usage = {"stream_options": {"include_usage": True}}
        return {"model": self._model_name, "messages": messages, **wanted, **usage, **self._extra}

    def read(self, line: bytes) -> Piece:
        if not line.startswith(b"data: {"):
            return Piece(error=line.decode() if line.startswith(b"error:") else "")
        chunk = orjson.loads(line[6:])
        if "error" in chunk:
            return Piece(error=str(chunk["error"]))
        choices, usage = chunk.get("choices"), chunk.get("usage")
        text = (choices[0]["delta"].get("content") or "") if choices else ""
        if not usage:
            return Piece(text)
        reused = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
        counts = {name: int(usage[name]) for name in ("prompt_tokens", "completion_tokens")}
        return Piece(text, {**counts, "reused_tokens": int(reused)})


def _vllm(name: str, binary: Path, model: Path, context: int) -> Peer:
    command = [str(binary), "serve", str(model), "--served-model-name", "m", "--dtype", name.split("-")[1]]
    command += ["--max-model-len", str(context), "--max-num-seqs", str(SLOTS)]
    env = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "VLLM_CPU_KVCACHE_SPACE": "4"}
    env["VLLM_CPU_OMP_THREADS_BIND"] = "0-1"
    env["PATH"] = f"{binary.parent}:{os.environ['PATH']}"
    return Peer(name, model, context, command, env, {"ignore_eos": True}, "m")


def _llama(name: str, binary: Path, model: Path, context: int) -> Peer:
    command = [str(binary), "-m", str(binary.parent / "model-Q8_0.gguf"), "-t", "2", "-tb", "2"]
    command += ["-np", str(SLOTS), "-c", str(SLOTS * context), "--no-webui"]
    return Peer(name, model, context, command, {}, {"ignore_eos": True}, "m")


def _transformers(name: str, binary: Path, model: Path, context: int) -> Peer:
    command = [str(binary), "serve", str(model), "--device", "cpu"]
    if name.endswith("-batching"):
        command += ["--continuous-batching", "--cb-num-blocks", "160", "--cb-max-batch-tokens", "512"]
    env = {"HF_HUB_OFFLINE": "1"}
    config = {"eos_token_id": -1, "do_sample": False, "max_new_tokens": 128}
    return Peer(name, model, context, command, env, {"generation_config": orjson.dumps(config).decode()},
                str(model))  # fmt: skip


PEERS: dict[str, tuple[str, Callable[[str, Path, Path, int], Peer]]] = {
    "llama-q8": ("llama/llama-server", _llama),
    "vllm-bfloat16": ("vllm/bin/vllm", _vllm),
    "vllm-float32": ("vllm/bin/vllm", _vllm),
    "transformers-batching": ("transformers/bin/transformers", _transformers),
    "transformers": ("transformers/bin/transformers", _transformers),
}


def make(names: list[str], model: Path, context: int, settings: dict[str, Any]) -> list[Server]:
    """The named servers that are there; says which peers are not. Ours are named ours-DTYPE."""
    peers = Path(os.environ.get("HEARTH_PEERS") or "/nonexistent")
    found: list[Server] = []
    for name in names:
        if name.startswith("ours-"):
            found.append(Hearth(name, model, context, {"dtype": name.removeprefix("ours-"), **settings}))
        elif (peers / PEERS[name][0]).exists():
            found.append(PEERS[name][1](name, peers / PEERS[name][0], model, context))
        else:
            print(f"{name}: not measured, HEARTH_PEERS has no {PEERS[name][0]}", flush=True)
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name (which may hold spaces); empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _parent(pid: int) -> int:
    stat = _stat(pid)
    return int(stat[1]) if stat else 0
