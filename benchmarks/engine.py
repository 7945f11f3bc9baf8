#!/usr/bin/env python3
"""How fast the inference server is, beside its peers: ``python benchmarks/engine.py --case throughput``.

Every server runs as its users would start it, and one client reads all of them through streaming HTTP:
prompts of 200 tokens, 128 new tokens, greedy, the end token ignored. Runs are interleaved (ours, peer, ours,
peer) and compared by the median of the ratios of each round. Installs nothing: a peer is measured where the
folder HEARTH_PEERS has it (see engine_servers.py). The model is --model or HEARTH_TEST_MODEL.

  throughput  N requests at once: tokens/s, time to first token, time between tokens
  start       start of a server to its first token, and of a second model in ours
  memory      PSS of a server's processes with 32 x 1,023 tokens of KV in use
  prefix      a conversation that grows to 4,000 tokens, with 8 others between its turns (ours)
  latecomer   a prompt of 3,000 tokens that arrives among 8 running answers (ours)
  quality     perplexity and greedy agreement of int8 with float32 (in this process, see engine_quality.py)
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import statistics
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import aiohttp
import engine_cases
import engine_quality
from engine_client import Prompts, ask, client, figures, median_of, together
from engine_servers import PEERS, Hearth, Server, make

PROMPT, NEW = 200, 128
#: After its last step a server's threads may go on waiting in a loop: vLLM's take a second of both cores,
#: which the next server would pay for (seconds).
PAUSE = 3.0


async def throughput(args: argparse.Namespace, prompts: Prompts) -> dict[str, Any]:
    servers = make(args.engines, args.model, 1024, {"slots": 32, **args.settings})
    runs: dict[tuple[str, int], list[dict[str, float]]] = {}
    async with client() as http:
        try:
            for server in servers:
                server.spawn()
                await server.ready(http)
                # The first answers pay for what is made on first use.
                await together(http, server, prompts.new(max(args.at), PROMPT), 8)
                print(f"{server.name} is ready", flush=True)
            for round_number in range(args.rounds):
                for count in args.at:
                    chats = prompts.new(count, PROMPT)
                    turn = round_number % len(servers)
                    for server in servers[turn:] + servers[:turn]:
                        run = await _run(http, server, servers, chats)
                        runs.setdefault((server.name, count), []).append(run)
        finally:
            for server in servers:
                server.stop()
    names = [server.name for server in servers]
    medians = {key: median_of(each) for key, each in runs.items()}
    print(f"\nmedians of {args.rounds} rounds")
    for (name, count), run in medians.items():
        _tell(name, count, run)
    ratios = _ratios(names, args.at, runs)
    for name, ratio in ratios.items():
        print(f"{name:65} {ratio:.2f}")
    return {
        "medians": {f"{name} at {count}": run for (name, count), run in medians.items()},
        "ratios": ratios,
    }


async def _run(
    http: aiohttp.ClientSession, server: Server, servers: list[Server], chats: list[Any]
) -> dict[str, float]:
    others = [other for other in servers if other is not server]
    if others:
        await asyncio.sleep(PAUSE)
    before = sum(other.cpu_seconds() for other in others)
    run = figures(await together(http, server, chats, NEW))
    # Idle servers share the cores: what they took is part of the figure.
    run["others_cpu_s"] = sum(other.cpu_seconds() for other in others) - before
    _tell(server.name, len(chats), run)
    return run


def _tell(name: str, count: int, run: dict[str, float]) -> None:
    print(
        f"{name:22} at {count:2}: {run['tokens_per_second']:7.1f} tokens/s   "
        f"first token {run['ttft_p50_ms']:6.0f} / {run['ttft_p95_ms']:6.0f} ms   "
        f"between {run['gap_p50_ms']:5.0f} / {run['gap_p95_ms']:5.0f} ms (p50 / p95)   "
        f"{run['prompt_tokens'] / count:.0f} + {run['completion_tokens'] / count:.1f} tokens, "
        f"others {run['others_cpu_s']:.1f} s of CPU",
        flush=True,
    )


def _ratios(
    names: list[str], counts: list[int], runs: dict[tuple[str, int], list[dict[str, float]]]
) -> dict[str, float]:
    """Ours over each peer, tokens/s and p95 of the first token: the median over the rounds."""
    found: dict[str, float] = {}
    for ours in (name for name in names if name.startswith("ours-")):
        for peer in (name for name in names if not name.startswith("ours-")):
            for count in counts:
                pairs = list(zip(runs[ours, count], runs[peer, count], strict=True))
                for key in ("tokens_per_second", "ttft_p95_ms"):
                    ratio = statistics.median(mine[key] / theirs[key] for mine, theirs in pairs)
                    found[f"{ours} / {peer} at {count}, {key}"] = ratio
    return found


async def start(args: argparse.Namespace, prompts: Prompts) -> dict[str, Any]:
    """The first start of each server warms the disk's cache and is not counted."""
    found: dict[str, Any] = {}
    weights = sorted(args.model.glob("*.safetensors"))
    async with client() as http:
        for name in args.engines:
            for server in make([name], args.model, 1024, {"slots": 32, **args.settings}):
                times, seconds, readings = [], [], []
                for round_number in range(args.rounds + 1):
                    try:
                        began = server.spawn()
                        await server.ready(http)
                        (chat,) = prompts.new(1, PROMPT)
                        answer = await ask(http, server, chat, 8)
                        if round_number:
                            times.append(answer.arrivals[0] - began)
                        if isinstance(server, Hearth) and round_number:
                            readings.append(engine_cases.reading(weights))
                            (chat,) = prompts.new(1, PROMPT)
                            again = await ask(http, server, chat, 8, change=server.named("second"))
                            seconds.append(again.ttft)
                    finally:
                        server.stop()
                found[name] = {"first_token_s": statistics.median(times), "all_s": times}
                if seconds:
                    found[name]["second_model_s"] = statistics.median(seconds)
                    found[name]["reading_weights_s"] = statistics.median(readings)
                print(name, found[name], flush=True)
    return found


async def memory(args: argparse.Namespace, prompts: Prompts) -> dict[str, Any]:
    found: dict[str, Any] = {}
    tokens = 32 * 1024
    async with client() as http:
        for name in args.engines:
            for server in make([name], args.model, 1024, {"slots": 32, "kv_tokens": tokens, **args.settings}):
                try:
                    server.spawn()
                    await server.ready(http)
                    await together(http, server, prompts.new(1, PROMPT), 8)
                    loaded = server.pss()
                    filling = asyncio.create_task(
                        together(http, server, prompts.new(32, 1023 - NEW), NEW)  # the last token needs no KV
                    )
                    highest = loaded
                    while not filling.done():
                        await asyncio.wait([filling], timeout=1)
                        highest = max(highest, server.pss())
                    used = sum(sum(answer.usage[key] for key in ("prompt_tokens", "completion_tokens"))
                               for answer in filling.result())  # fmt: skip
                finally:
                    server.stop()
                gigabytes = {"loaded_gb": loaded / 1e9, "highest_gb": highest / 1e9, "kv_tokens_used": used}
                found[name] = gigabytes
                print(f"{name:22} PSS {loaded / 1e9:.2f} GB loaded, {highest / 1e9:.2f} GB at most, "
                      f"{used} tokens", flush=True)  # fmt: skip
    return found


CASES: dict[str, Callable[[argparse.Namespace, Prompts], Awaitable[dict[str, Any]]]] = {
    "throughput": throughput,
    "start": start,
    "memory": memory,
    "prefix": engine_cases.prefix,
    "latecomer": engine_cases.latecomer,
    "quality": engine_quality.quality,
}
OURS = ["ours-float32", "ours-int8"]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--case", choices=CASES, action="append", required=True)
    parser.add_argument("--model", type=Path, default=os.environ.get("HEARTH_TEST_MODEL"))
    parser.add_argument(
        "--engines", nargs="*", metavar="NAME",
        help=f"ours-DTYPE and {', '.join(PEERS)}; in cases of ours alone only those of ours are taken",
    )  # fmt: skip
    parser.add_argument("--at", type=int, nargs="*", default=[1, 4, 16, 32], help="requests at once")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--settings", type=json.loads, default={}, help="our deployment's settings, as JSON")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    args = parser.parse_args()
    if args.model is None:
        parser.error("no model: give --model or set HEARTH_TEST_MODEL")
    for name in args.engines or []:
        if name not in PEERS and not name.startswith("ours-"):
            parser.error(f"{name} is no engine")
    return args


def main() -> None:
    args = arguments()
    # By way of an exception, so that the servers are stopped too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    prompts, found = Prompts(args.model), {}
    chosen = args.engines
    for case in args.case:
        everybody = case in ("throughput", "start", "memory")
        args.engines = chosen or (OURS + list(PEERS) if everybody else OURS)
        if not everybody:
            args.engines = [name for name in args.engines if name.startswith("ours-")]
        found[case] = asyncio.run(CASES[case](args, prompts))
        if case != "throughput":
            print(f"\n{case}")
            engine_cases.table(found[case])
        if args.json:
            args.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
