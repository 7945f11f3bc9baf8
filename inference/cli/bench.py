"""The engine's speed without web, HTTP or database: N answers at once, each of P tokens in and G out."""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from itertools import count, pairwise
from typing import Any

import psutil

from inference.cli.arguments import positive
from inference.cli.house import loaded
from inference.errors import InferenceError
from inference.protocol import Event, GenerateRequest, ModelSpec
from inference.service.manager import Manager

_WORDS = ["the", "river", "carries", "small", "stones", "over", "old", "bridges", "while", "light", "falls"]
_numbers = count(1)


@dataclass
class Run:
    """One answer. Times in seconds of the clock; `usage` as the engine counted."""

    began: float = 0.0
    times: list[float] = field(default_factory=list)
    usage: Event = field(default_factory=dict)

    @property
    def first(self) -> float:
        return self.times[0] - self.began


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-n", "--concurrent", type=positive, nargs="+", default=[1, 4, 16], help="answers at once"
    )
    parser.add_argument(
        "-p", "--prompt-tokens", type=positive, default=200, help="about how long a prompt is"
    )
    parser.add_argument("-g", "--new-tokens", type=positive, default=128, help="how long an answer is")
    parser.add_argument("--temperature", type=float, default=0.0, help="0 is greedy")


async def run(args: argparse.Namespace, spec: ModelSpec) -> None:
    params = {"temperature": args.temperature, "ignore_eos": True}
    most = max(args.concurrent)
    if spec.settings.get("slots") is None:
        spec.settings["slots"] = max(1, most)
    async with loaded(spec) as manager:
        words = await _words_for(manager, spec, args.prompt_tokens)
        print(
            f"{'at once':>7} {'tokens/s':>9} {'first token s':>15} {'between ms':>14} {'in':>6} {'reused':>7}"
        )
        for number in args.concurrent:
            began = time.perf_counter()
            asked = (
                _one(manager, spec, words, {**params, "max_tokens": args.new_tokens}) for _ in range(number)
            )
            runs = await asyncio.gather(*asked)
            print(_row(number, runs, time.perf_counter() - began), flush=True)
        print(_memory(manager))


async def _words_for(manager: Manager, spec: ModelSpec, tokens: int) -> int:
    """How many words make a prompt of about `tokens` tokens with this model's template and vocabulary."""
    sizes: list[int] = []
    few, more = len(_WORDS), 3 * len(_WORDS)
    for words in (few, more):
        run = await _one(manager, spec, words, {"max_tokens": 1, "temperature": 0.0})
        sizes.append(run.usage["prompt_tokens"])
    per_word = (sizes[1] - sizes[0]) / (more - few)
    return max(1, round(few + (tokens - sizes[0]) / per_word))


async def _one(manager: Manager, spec: ModelSpec, words: int, params: dict[str, Any]) -> Run:
    number = next(_numbers)
    # The number stands first, so that no prompt is the begin of another.
    text = " ".join([f"{number}.", *(_WORDS[(i + number) % len(_WORDS)] for i in range(words))])
    request = GenerateRequest(f"bench {number}", [{"role": "user", "content": text}], params)
    run = Run(began=time.perf_counter())
    async with aclosing(manager.stream(spec, request)) as events:
        async for event in events:
            if event["kind"] in ("text", "reasoning"):
                run.times.append(time.perf_counter())
            elif event["kind"] == "usage":
                run.usage = event
            elif event["kind"] == "failed":
                raise InferenceError.from_event(event)
    run.times = run.times or [time.perf_counter()]  # an answer without any text
    return run


def _row(number: int, runs: Sequence[Run], seconds: float) -> str:
    made = sum(run.usage["completion_tokens"] for run in runs)
    first = [run.first for run in runs]
    gaps = [(b - a) * 1000 for run in runs for a, b in pairwise(run.times)] or [0.0]
    prompt = statistics.mean(run.usage["prompt_tokens"] for run in runs)
    reused = statistics.mean(run.usage["reused_tokens"] for run in runs)
    return (
        f"{number:>7} {made / seconds:>9.1f} {_spread(first, 2):>15} {_spread(gaps, 1):>14} "
        f"{prompt:>6.0f} {reused:>7.0f}"
    )


def _spread(values: Sequence[float], digits: int) -> str:
    """Median and 95th percentile."""
    ordered = sorted(values)
    high = ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]
    return f"{statistics.median(ordered):.{digits}f} p95 {high:.{digits}f}"


def _memory(manager: Manager) -> str:
    (line,) = manager.board.lines()
    info = psutil.Process(line["pid"]).memory_full_info()
    pss = getattr(info, "pss", 0)
    share = f", {pss / 1e6:.0f} MB counted proportionally (PSS)" if pss else ""
    return f"memory of the model's process: {info.rss / 1e6:.0f} MB{share}"
