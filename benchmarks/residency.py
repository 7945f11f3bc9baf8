"""Whether models give back what they take, and how often they are switched.

    python benchmarks/residency.py [--model FOLDER] [--work FOLDER] [--rounds 20]

Starts an inference server of its own. Five models of five families are loaded, asked and unloaded in turn,
each so many times; printed is the memory of all its processes with nothing loaded, after one of each and at
the end.
Then ten requests for the three at once, with room for one: answers, loads, seconds. Needs Linux.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.fit_models import make  # noqa: E402
from inference.client import InferenceClient  # noqa: E402
from inference.errors import InferenceError  # noqa: E402
from inference.protocol import Event, ModelSpec  # noqa: E402

HELLO = [{"role": "user", "content": "Hello! Who are you?"}]
TOKENS = 8


class Memory(NamedTuple):
    """Bytes of the server and all below it. `pss` counts a shared page by its share, so a neighbour that maps
    the same libraries changes it; `uss` is what nobody shares."""

    pss: int
    uss: int


class Server:
    """An inference server as a child process, and a client for it."""

    def __init__(self, folder: str, limit: int | None = None) -> None:
        self._address = f"unix:{folder}/inference.sock"
        self._limit = limit
        self.client = InferenceClient(self._address)

    async def __aenter__(self) -> Server:
        command = [sys.executable, "-m", "inference.server", "--address", self._address]
        if self._limit:
            command += ["--memory-limit", str(self._limit)]
        self._process = await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, stderr=asyncio.subprocess.DEVNULL
        )
        async with asyncio.timeout(30):
            while True:
                with suppress(InferenceError):
                    await self.client.state()
                    return self
                await asyncio.sleep(0.05)

    async def __aexit__(self, *exc: object) -> None:
        await self.client.close()
        self._process.terminate()
        await self._process.wait()

    def memory(self) -> Memory:
        root = psutil.Process(self._process.pid)
        infos = []
        for process in [root, *root.children(recursive=True)]:
            with suppress(psutil.Error):
                infos.append(process.memory_full_info())
        return Memory(sum(info.pss for info in infos), sum(info.uss for info in infos))


FIVE = ("llama", "qwen3_moe", "gemma3", "deepseek_v3")


def five(folder: Path, work: Path) -> list[ModelSpec]:
    """The real model, and four with random weights."""
    folders = {folder.name: folder, **{name: make(work / name, name) for name in FIVE}}
    settings = {"dtype": "bfloat16", "kv_tokens": 4096}
    return [
        ModelSpec(f"five-{name}", name, "transformers", {"kind": "folder", "path": str(path)}, settings)
        for name, path in folders.items()
    ]


def models(folder: Path) -> list[ModelSpec]:
    source = {"kind": "folder", "path": str(folder)}
    kinds = [("a", "float32"), ("b", "bfloat16"), ("c", "float32")]
    return [
        ModelSpec(f"residency-{name}", name, "transformers", source, {"dtype": dtype, "kv_tokens": 4096})
        for name, dtype in kinds
    ]


async def ask(client: InferenceClient, spec: ModelSpec, user: str = "") -> Event:
    last: Event = {}
    async for event in client.stream(HELLO, model=spec, params={"max_tokens": TOKENS}, user=user):
        last = event
    return last


async def turns(server: Server, specs: list[ModelSpec], rounds: int) -> tuple[list[Memory], list[float]]:
    """Memory with nothing loaded: first after one load of each, then after each round. And the seconds that
    each load took, until it was ready."""
    empty, loads = [], []
    for number in range(rounds + len(specs)):
        spec = specs[number % len(specs)]
        began = time.perf_counter()
        await server.client.switch(spec)
        loads.append(time.perf_counter() - began)
        ended = await ask(server.client, spec)
        assert ended["kind"] == "finished", ended
        await server.client.unload(spec.id)
        if number + 1 >= len(specs):
            empty.append(server.memory())
    return empty, loads


async def rush(server: Server, specs: list[ModelSpec]) -> tuple[list[Event], list[str], float]:
    """Ten requests for three models at once: their last events, the loads in their order, the seconds."""
    loads: list[str] = []

    async def watch() -> None:
        pids: dict[str, int] = {}
        async for line in server.client.watch():
            if line["pid"] and pids.get(line["name"]) != line["pid"]:
                pids[line["name"]] = line["pid"]
                loads.append(line["name"])

    watcher = asyncio.create_task(watch())
    began = time.perf_counter()
    order = [specs["abc".index(name)] for name in "abcaabcbac"]
    ended = await asyncio.gather(*(ask(server.client, spec, f"user {n}") for n, spec in enumerate(order)))
    spent = time.perf_counter() - began
    watcher.cancel()
    return list(ended), loads, spent


async def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    folder = os.environ.get("HEARTH_TEST_MODEL") or ROOT / ".cache" / "models" / "SmolLM2-135M-Instruct"
    parser.add_argument("--model", type=Path, default=folder)
    parser.add_argument("--rounds", type=int, default=20, help="loads and unloads of each model")
    parser.add_argument("--work", type=Path, help="keeps the made models; else they are made anew")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as run:
        specs = await asyncio.to_thread(five, args.model, args.work or Path(run))
        async with Server(run) as server:
            empty, loads = await turns(server, specs, (args.rounds - 1) * len(specs))
    print(f"all processes, nothing loaded, after one load of each of {len(specs)} and after {args.rounds}:")
    for name, before, after in zip(Memory._fields, empty[0], empty[-1], strict=True):
        print(
            f"  {name} {before / 1e6:.1f} -> {after / 1e6:.1f} MB ({100 * (after - before) / before:+.2f} %)"
        )
    print(
        f"a load, first / median of the others: {loads[0]:.1f} / {sorted(loads[1:])[len(loads) // 2]:.2f} s"
    )

    from inference.engines import fit

    specs = models(args.model)
    needs = [plan.need(plan.wanted_tokens) for spec in specs if (plan := fit.read(args.model, spec.settings))]
    with tempfile.TemporaryDirectory() as run:
        async with Server(run, limit=max(needs) + min(needs) // 2) as server:
            ended, loaded, spent = await rush(server, specs)
    done = sum(event["kind"] == "finished" for event in ended)
    print(f"ten requests for three models, room for one: {done} answered in {spent:.1f} s,")
    print(f"  loads: {' '.join(loaded)}")


if __name__ == "__main__":
    asyncio.run(main())
