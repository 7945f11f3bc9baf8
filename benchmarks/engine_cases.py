"""The cases of benchmarks/engine.py that look at our server alone."""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from engine_client import Answer, Messages, Prompts, ask, client, percentile, together
from engine_servers import Hearth, make

TURNS, TURN, OTHERS = 20, 200, 8


async def prefix(args: argparse.Namespace, prompts: Prompts) -> dict[str, Any]:
    """A conversation grows by 200 tokens per turn; between two turns 8 others take theirs.

    Reported: the time to the first token of turn 2 and of turn 20, and the largest number of tokens that
    stood in the turn before (prompt and answer) and were not reused."""
    found: dict[str, Any] = {}
    room = (OTHERS + 1) * (TURNS + 1) * TURN * 5 // 4  # a region may be a quarter larger than what it holds
    for server in _ours(args, {"slots": 16, "kv_tokens": room}):
        second, last, shares, misses = [], [], [], []
        async with running(server) as http:
            for _ in range(args.rounds):
                chats: list[Messages] = [[] for _ in range(OTHERS + 1)]
                before = 0
                for turn in range(1, TURNS + 1):
                    chats = [prompts.extend(chat, turn * TURN) for chat in chats]
                    main = await ask(http, server, chats[0], 48, change=_with_end)
                    others = await together(http, server, chats[1:], 16)
                    for chat, answer in zip(chats, [main, *others], strict=True):
                        chat.append({"role": "assistant", "content": answer.text})
                    if turn > 1:
                        misses.append(before - main.usage["reused_tokens"])
                    before = main.usage["prompt_tokens"] + main.usage["completion_tokens"]
                    if turn in (2, TURNS):
                        (second if turn == 2 else last).append(main.ttft * 1000)
                shares.append(main.usage["reused_tokens"] / main.usage["prompt_tokens"])
                print(f"{server.name}: first token of turn 2 {second[-1]:.0f} ms, of turn {TURNS} "
                      f"{last[-1]:.0f} ms, {main.usage}", flush=True)  # fmt: skip
        found[server.name] = {
            "turn_2_ms": statistics.median(second),
            "turn_20_ms": statistics.median(last),
            "ratio": statistics.median(b / a for a, b in zip(second, last, strict=True)),
            "reused_share_of_turn_20": statistics.median(shares),
            "most_tokens_not_reused": max(misses),
        }
    return found


async def latecomer(args: argparse.Namespace, prompts: Prompts) -> dict[str, Any]:
    """8 answers run; with and without a prompt of 3,000 tokens that arrives among them.

    `during`: the times between tokens while that prompt is read, over those of a run without it.
    `whole`: all times between tokens of the one run over those of the other."""
    found: dict[str, Any] = {}
    for server in _ours(args, {"slots": 16, "kv_tokens": 8 * 640 + 4096}):
        plain, mixed, during, late_ttft = [], [], [], []
        async with running(server) as http:
            await together(http, server, prompts.new(8, 200), 16)
            for _ in range(args.rounds):
                plain.append(_gaps(await together(http, server, prompts.new(8, 200), 256)))
                answers, late = await _with_latecomer(http, server, prompts)
                mixed.append(_gaps(answers))
                during.append(_gaps(answers, late.began, late.arrivals[0]))
                late_ttft.append(late.ttft)
                print(f"{server.name}: p95 between tokens {plain[-1]:.0f} ms without, {during[-1]:.0f} ms "
                      f"during {late.ttft:.1f} s, {mixed[-1]:.0f} ms over all", flush=True)  # fmt: skip
        found[server.name] = {
            "p95_without_ms": statistics.median(plain),
            "p95_during_ms": statistics.median(during),
            "p95_whole_ms": statistics.median(mixed),
            "ratio_during": statistics.median(b / a for a, b in zip(plain, during, strict=True)),
            "ratio_whole": statistics.median(b / a for a, b in zip(plain, mixed, strict=True)),
            "latecomer_first_token_s": statistics.median(late_ttft),
        }
    return found


async def _with_latecomer(
    http: aiohttp.ClientSession, server: Hearth, prompts: Prompts
) -> tuple[list[Answer], Answer]:
    (long,) = prompts.new(1, 3000)
    settled = asyncio.Event()

    def look(answer: Answer) -> None:
        if len(answer.arrivals) >= 32:
            settled.set()

    chats = prompts.new(8, 200)
    asked = [ask(http, server, chat, 256, user=f"user{i}", on_piece=look) for i, chat in enumerate(chats)]
    tasks = [asyncio.create_task(one) for one in asked]
    await settled.wait()
    late = await ask(http, server, long, 8, user="late")
    return list(await asyncio.gather(*tasks)), late


def _gaps(answers: list[Answer], since: float = 0.0, until: float = float("inf")) -> float:
    """p95, ms, of the times between tokens that ended in this span."""
    found = []
    for answer in answers:
        times = zip(answer.arrivals, answer.gaps, strict=False)
        found += [gap * 1000 for start, gap in times if since < start + gap and start < until]
    return percentile(found, 0.95)


def _ours(args: argparse.Namespace, settings: dict[str, Any]) -> list[Hearth]:
    made = make(args.engines, args.model, 8192, {**settings, **args.settings})
    return [server for server in made if isinstance(server, Hearth)]


@asynccontextmanager
async def running(server: Hearth) -> AsyncGenerator[aiohttp.ClientSession, None]:
    async with client() as http:
        try:
            server.spawn()
            await server.ready(http)
            yield http
        finally:
            server.stop()


def _with_end(body: dict[str, Any]) -> None:
    """An answer that goes past its end token would not be the same tokens when it comes back as history."""
    body["params"]["ignore_eos"] = False


def reading(files: list[Path]) -> float:
    """Seconds to read these files once more."""
    began = time.monotonic()
    for path in files:
        with path.open("rb", buffering=0) as file:
            while file.read(1 << 24):
                pass
    return time.monotonic() - began


def table(found: dict[str, Any], indent: str = "  ") -> None:
    """Nested figures, one per line."""
    for name, value in found.items():
        if isinstance(value, dict):
            print(f"{indent}{name}")
            table(value, indent + "  ")
        else:
            print(f"{indent}{name:54}", f"{value:.4g}" if isinstance(value, float) else value)
