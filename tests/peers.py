"""Houses whose model is run by a server of others, for the tests with the mark `peers`: as a child of the
model service, or started here and joined as an endpoint.

The folder HEARTH_PEERS holds them (see benchmarks/engine_servers.py); the model that thinks is made in it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import psutil
import pytest

from tests import thinking_model
from tests.house import ROOT, House, Person, free_port

PEERS = Path(os.environ.get("HEARTH_PEERS") or "/nonexistent")
MARKS = [
    pytest.mark.peers,
    pytest.mark.slow,
    pytest.mark.skipif(not PEERS.is_dir(), reason="HEARTH_PEERS is not set"),
]
#: How long a strange server may take to start, and an answer to go on after a kill, on a busy machine (s).
START, ANSWER = 900, 900
LLAMA, VLLM = PEERS / "llama" / "llama-server", PEERS / "vllm" / "bin" / "vllm"
_ENV = {
    "HEARTH_LLAMA_SERVER": str(LLAMA),
    "HEARTH_VLLM": str(VLLM),
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
}
VLLM_ENV = {
    "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "VLLM_CPU_KVCACHE_SPACE": "1", "OMP_NUM_THREADS": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind", "PATH": f"{VLLM.parent}:{os.environ.get('PATH', '')}",
}  # fmt: skip


class Files(NamedTuple):
    """One model in the two shapes that servers take."""

    folder: Path
    gguf: Path


def smollm2() -> Files:
    return Files(Path(os.environ["HEARTH_TEST_MODEL"]), PEERS / "llama" / "model-Q8_0.gguf")


def thinker() -> Files:
    """The model that thinks; made at the first time, which takes minutes."""
    made = thinking_model.made(PEERS, Path(os.environ["HEARTH_TEST_MODEL"]))
    return Files(made / "model", made / "model-Q8_0.gguf")


class Endpoint:
    """A server that nobody but this test starts. `start` returns when it is ready; `kill` is -9."""

    def __init__(self, command: list[str], log: Path, **env: str) -> None:
        self.port = free_port()
        self._command = [*command, "--host", "127.0.0.1", "--port", str(self.port)]
        self._log, self._env = log, {**os.environ, **env}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, env=self._env, stdout=log, stderr=log, start_new_session=True, cwd=ROOT
            )
        end = time.monotonic() + START
        while not self._is_well():
            assert self._process.poll() is None and time.monotonic() < end, self._log.read_text()[-4000:]
            time.sleep(0.1)

    def kill(self) -> None:
        if self._process is not None:
            left = psutil.Process(self._process.pid).children(recursive=True)
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            psutil.wait_procs(left, 20)
            self._process = None

    def _is_well(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/health", timeout=5, trust_env=False).is_success
        except httpx.HTTPError:
            return False


@dataclass(frozen=True)
class Served:
    """A house with one model, named Peer. `engine`: how it runs. `endpoint`: where it is one."""

    house: House
    admin: Person
    model: str
    engine: str
    endpoint: Endpoint | None = None

    def line(self) -> dict[str, Any]:
        return next(line for line in self.house.state() if line["id"] == self.model)

    def settled(self) -> dict[str, Any] | None:
        """The model service's line once the model is ready or has failed."""
        found = [line for line in self.house.state() if line["id"] == self.model]
        return found[0] if found and found[0]["state"] in ("ready", "failed") else None

    def kill(self) -> None:
        """The server, -9, in whatever it does."""
        if self.endpoint is not None:
            self.endpoint.kill()
        else:
            os.kill(self.line()["pid"], signal.SIGKILL)


def used(pid: int) -> int:
    """Bytes (PSS) of a process and all that it started."""
    root = psutil.Process(pid)
    return sum(p.memory_full_info().pss for p in [root, *root.children(recursive=True)])


@contextmanager
def child(house: House, engine: str, files: Files) -> Iterator[Served]:
    """`files` loaded in `house` by the engine llama_cpp, vllm or transformers (our own); unloaded after."""
    admin = house.register("admin")
    served = Served(house, admin, _made(house, admin, engine, files), engine)
    began = time.monotonic()
    house.call("POST", f"/api/models/{served.model}/load/", admin, status=202)
    progress: set[float] = set()

    def settled() -> dict[str, Any] | None:
        progress.update(line["progress"] or 0.0 for line in house.state() if line["id"] == served.model)
        return served.settled()

    line = house.until(settled, f"{engine} to be ready", START)
    assert line["state"] == "ready", line
    assert len(progress) > 1, "no progress was told"
    print(f"\n{engine}: ready after {time.monotonic() - began:.1f} s, {used(line['pid']) / 1e6:.0f} MB PSS")
    yield served
    line = house.until(served.settled, f"{engine} to be back", START)
    processes = [psutil.Process(line["pid"]), *psutil.Process(line["pid"]).children(recursive=True)]
    house.call("POST", f"/api/models/{served.model}/unload/", admin, status=202)
    house.until(lambda: not any(p.is_running() for p in processes), f"{engine} to be gone", 60)


@contextmanager
def joined(house: House, engine: str, command: list[str], **env: str) -> Iterator[Served]:
    """A server started here and joined as an endpoint that says that it goes on."""
    endpoint = Endpoint(command, house.data / "endpoint.log", **env)
    endpoint.start()
    try:
        admin = house.register("admin")
        url = f"http://127.0.0.1:{endpoint.port}/v1"
        source = {"kind": "remote", "base_url": url, "model": "m", "continues": True}
        body = {"name": "Peer", "source": source, "settings": {"slots": 2, "context_length": 1024}}
        made = house.call("POST", "/api/models/", admin, status=201, json=body)
        yield Served(house, admin, str(made["id"]), engine, endpoint)
    finally:
        endpoint.kill()


def house_of_peers() -> House:
    return House(worker=True, **_ENV)


def llama_command(files: Files, *flags: str) -> list[str]:
    command = [str(LLAMA), "-m", str(files.gguf), "-np", "2", "-c", "2048", "-t", "1", "-tb", "1"]
    return [*command, "--jinja", "--no-webui", *flags]


def vllm_command(files: Files, *flags: str) -> list[str]:
    command = [str(VLLM), "serve", str(files.folder), "--served-model-name", "m", "--dtype", "bfloat16"]
    return [*command, "--max-model-len", "1024", "--max-num-seqs", "2", "--enforce-eager", *flags]


def _made(house: House, admin: Person, engine: str, files: Files) -> str:
    """The id of the model Peer."""
    settings: dict[str, Any] = {"context_length": 1024}
    if engine == "llama_cpp":
        source = {"kind": "gguf", "path": str(files.gguf)}
        settings |= {"slots": 2, "threads": 1}
    else:
        source = {"kind": "folder", "path": str(files.folder)}
    made = house.call("POST", "/api/models/", admin, status=201, json={"name": "Peer", "source": source})
    if engine == "vllm":
        settings |= {
            "slots": 2, "dtype": "bfloat16", "kv_bytes": 1 << 30, "threads": 1, "stall_limit": 300,
            "flags": {"enforce-eager": True},
        }  # fmt: skip
    changes = {"engine": engine, "settings": settings}
    house.call("PATCH", f"/api/models/{made['id']}/", admin, json=changes)
    return str(made["id"])
