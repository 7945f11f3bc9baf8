"""One client for all servers of benchmarks/engine.py: prompts of a set length, and what a reader sees."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
from engine_servers import ROOT, Server

Messages = list[dict[str, str]]


@dataclass
class Answer:
    """One answer as its reader saw it; times are of time.monotonic()."""

    began: float
    ended: float = 0.0
    text: str = ""
    arrivals: list[float] = field(default_factory=list)
    usage: dict[str, int] = field(default_factory=dict)

    @property
    def ttft(self) -> float:
        return self.arrivals[0] - self.began

    @property
    def gaps(self) -> list[float]:
        return [later - earlier for earlier, later in pairwise(self.arrivals)]


def client() -> aiohttp.ClientSession:
    # A new connection per request, for everybody: llama-server's keep-alive races.
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    return aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=900))


async def ask(
    http: aiohttp.ClientSession,
    server: Server,
    messages: Messages,
    tokens: int,
    *,
    user: str = "one",
    change: Callable[[dict[str, Any]], None] | None = None,
    on_piece: Callable[[Answer], None] | None = None,
) -> Answer:
    """`change` edits the body; `on_piece` is called after each text. Any error ends the benchmark."""
    body = server.body(messages, tokens, user)
    if change:
        change(body)
    answer = Answer(time.monotonic())
    async with http.post(server.url + server.path, json=body) as response:
        if response.status != 200:
            raise SystemExit(f"{server.name}: {response.status} {(await response.text())[:500]}")
        async for line in response.content:
            if not line.strip():
                continue
            piece = server.read(line)
            if piece.error:
                raise SystemExit(f"{server.name}: {piece.error}")
            if piece.text:
                answer.arrivals.append(time.monotonic())
                answer.text += piece.text
                if on_piece:
                    on_piece(answer)
            if piece.usage:
                answer.usage = piece.usage
    answer.ended = time.monotonic()
    if not answer.usage or not answer.arrivals:
        raise SystemExit(f"{server.name}: an answer without text or usage")
    return answer


async def together(
    http: aiohttp.ClientSession, server: Server, chats: list[Messages], tokens: int
) -> list[Answer]:
    users = [f"user{number}" for number in range(len(chats))]
    asked = [ask(http, server, chat, tokens, user=user) for chat, user in zip(chats, users, strict=True)]
    return list(await asyncio.gather(*asked))


class Prompts:
    """Conversations that have an exact number of tokens when rendered, each with a first sentence of its
    own, so that no prefix cache helps. The text is that of this repository's documents."""

    def __init__(self, model: Path) -> None:
        import transformers

        self.tokenizer = transformers.AutoTokenizer.from_pretrained(model, local_files_only=True)
        files = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
        text = "\n".join(path.read_text() for path in files)
        self.ids = self.encode("".join(text.split("<|")))  # nothing that looks like a special token
        self._made = 0

    def encode(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])

    def render(self, messages: Messages) -> list[int]:
        text = self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        return self.encode(text)

    def extend(self, messages: Messages, tokens: int) -> Messages:
        """`messages` and one more of the user, so that all of it rendered has `tokens` tokens."""
        self._made += 1
        begin = f"Note {self._made * 7919} of a reader, to be gone on with at length. "
        start = self._made * 1009 % (len(self.ids) - tokens - 200)
        count = tokens
        for _ in range(20):
            text = begin + self.tokenizer.decode(self.ids[start : start + count]).strip()
            made = [*messages, {"role": "user", "content": text}]
            if (missing := tokens - len(self.render(made))) == 0:
                return made
            count = max(1, count + missing)
        while (missing := tokens - len(self.render(made))) > 0:
            text += " and" * missing
            made = [*messages, {"role": "user", "content": text}]
        return made

    def new(self, count: int, tokens: int) -> list[Messages]:
        return [self.extend([], tokens) for _ in range(count)]


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def figures(answers: list[Answer]) -> dict[str, float]:
    """Of answers that ran together. Tokens are those that the server's usage counts."""
    gaps = [gap * 1000 for answer in answers for gap in answer.gaps]
    ttfts = [answer.ttft * 1000 for answer in answers]
    tokens = sum(answer.usage["completion_tokens"] for answer in answers)
    spent = max(answer.ended for answer in answers) - min(answer.began for answer in answers)
    return {
        "tokens_per_second": tokens / spent,
        "ttft_p50_ms": statistics.median(ttfts),
        "ttft_p95_ms": percentile(ttfts, 0.95),
        "gap_p50_ms": percentile(gaps, 0.5),
        "gap_p95_ms": percentile(gaps, 0.95),
        "completion_tokens": tokens,
        "prompt_tokens": sum(answer.usage["prompt_tokens"] for answer in answers),
    }


def median_of(runs: list[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}
