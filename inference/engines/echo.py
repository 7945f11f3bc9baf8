"""A scripted model with settable speed and faults: the fake of every test and the engine of load tests.

script: text, tokens, seed, delay_ms (20), first_delay_ms (0), reasoning, fault ("die" | "hang" | "error" |
"malformed" | "memory"), fault_at (token index), fault_always, tool_format (how its text writes
tool calls). ``params["echo"]`` overrides it per request.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import AsyncIterator
from typing import Any

from inference.engines.base import Report
from inference.errors import InferenceError
from inference.protocol import Event, GenerateRequest, ModelSpec
from system import children

_WORDS = [
    "river",
    "stone",
    "light",
    "paper",
    "wind",
    "garden",
    "window",
    "morning",
    "quiet",
    "letter",
    "bridge",
    "music",
    "forest",
    "answer",
    "table",
    "silver",
    "winter",
    "question",
    "harbour",
    "lamp",
    "story",
    "field",
    "cloud",
    "number",
    "mountain",
    "little",
    "green",
    "open",
    "slow",
    "bright",
]
# A token is a word with the space after it; CJK has no spaces, so there it is a character.
_TOKEN = re.compile(r"[\u3000-\u9fff\uff00-\uffef]|[^\s\u3000-\u9fff\uff00-\uffef]+\s*|\s+")


def word(seed: int, position: int) -> str:
    """The word at `position`, a pure function, so that a resumed stream is what would have been."""
    mixed = (seed * 0x9E3779B97F4A7C15 + position * 0xBF58476D1CE4E5B9 + 0x94D049BB133111EB) % (1 << 64)
    mixed ^= mixed >> 31
    return _WORDS[mixed % len(_WORDS)] + (".\n" if position % 17 == 16 else " ")


def script_tokens(script: dict[str, Any], request: GenerateRequest) -> list[str]:
    """The raw text of the answer as tokens, markers included."""
    tokens: list[str] = []
    if reasoning := script.get("reasoning"):
        tokens += ["<think>", *_TOKEN.findall(reasoning), "</think>"]
    count = script.get("tokens")
    if script.get("text") is not None:
        tokens += _TOKEN.findall(script["text"])[:count]
    elif count is not None:
        seed = int(script.get("seed", request.params.get("seed") or 0))
        tokens += [word(seed, position) for position in range(int(count))]
    else:
        said = [m.get("content", "") for m in request.messages if m.get("role") == "user"]
        tokens += _TOKEN.findall("You said: " + (said[-1] if said else ""))
    return tokens


def after_prefix(tokens: list[str], prefix: str) -> tuple[int, list[str]]:
    """How many tokens `prefix` holds, and the rest; a token cut in the middle goes on in the middle."""
    left = prefix
    for index, token in enumerate(tokens):
        if not left:
            return index, tokens[index:]
        if left.startswith(token):
            left = left[len(token) :]
        elif token.startswith(left):
            return index, [token[len(left) :], *tokens[index + 1 :]]
        else:
            raise InferenceError("cannot_continue", "The text to go on from is not this script's.")
    if left:
        raise InferenceError("cannot_continue", "The text to go on from is longer than the script.")
    return len(tokens), []


class EchoEngine:
    def __init__(self, spec: ModelSpec) -> None:
        self._script: dict[str, Any] = dict(spec.source.get("script") or {})
        self._inline = bool(spec.settings.get("inline"))
        self._settings = spec.settings
        self._running = self._steps = 0

    async def load(self, report: Report) -> dict[str, Any]:
        steps = 5
        for step in range(steps):
            report(step / steps)
            await asyncio.sleep(float(self._settings.get("load_ms", 0)) / 1000 / steps)
        if self._settings.get("load_fault") == "memory":
            raise MemoryError
        if self._settings.get("load_fault"):
            raise InferenceError("load_failed", "The script says that loading fails.")
        report(1.0)
        return {
            "device": "cpu",
            "dtype": "text",
            "context_length": int(self._settings.get("context_length", 8192)),
            "memory_bytes": int(self._settings.get("memory_bytes", 0)),
            "capabilities": {"continues": True, "reasoning": True, "tools": "tool_format" in self._script},
        }

    async def generate(self, request: GenerateRequest) -> AsyncIterator[Event]:
        script = {**self._script, **(request.params.get("echo") or {})}
        tokens = script_tokens(script, request)
        start, tokens = after_prefix(tokens, request.prefix)
        limit = request.params.get("max_tokens")
        room = len(tokens) if limit is None else max(0, int(limit) - start)
        length = len(tokens) > room
        tokens = tokens[:room]
        # A resumed answer completes, so that a test of take-over needs no second script.
        armed = script.get("fault") if not request.prefix or script.get("fault_always") else None
        fault_at = int(script.get("fault_at", 0))
        delay = float(script.get("delay_ms", 20)) / 1000
        loop = asyncio.get_running_loop()
        began = due = loop.time() + float(script.get("first_delay_ms", 0)) / 1000
        self._running += 1
        entered, first = time.perf_counter(), None
        try:
            yield {"kind": "prompt", "reasoning_open": False, "tool_format": script.get("tool_format")}
            yield {"kind": "status", "phase": "prefill"}
            await asyncio.sleep(max(0.0, began - loop.time()))
            for index, token in enumerate(tokens):
                if armed and start + index == fault_at:
                    yield await self._fail(armed)
                if delay:
                    due += delay
                    await asyncio.sleep(max(0.0, due - loop.time()))
                elif index % 32 == 31:
                    await asyncio.sleep(0)
                first = first or time.perf_counter()
                self._steps += 1
                yield {"kind": "raw", "text": token}
            spent = time.perf_counter() - entered
            prompt = sum(len(_TOKEN.findall(m.get("content", ""))) for m in request.messages)
            yield {
                "kind": "usage",
                "prompt_tokens": prompt,
                "reused_tokens": 0,
                "completion_tokens": start + len(tokens),
                "ttft_ms": round(((first or time.perf_counter()) - entered) * 1000, 1),
                "tokens_per_second": round(len(tokens) / spent, 1) if spent else 0.0,
            }
            yield {"kind": "finished", "reason": "length" if length else "stop"}
        finally:
            self._running -= 1

    async def _fail(self, fault: str) -> Event:
        if fault == "malformed":
            return {"kind": "scrambled"}
        if fault == "memory":
            bytearray(1 << 40)  # more than memory_limit_bytes, and more than any machine has
        if fault == "hang":
            await asyncio.Event().wait()
        if fault == "die":
            if self._inline:
                raise InferenceError("engine_died", "The model's process ended.", True)
            children.kill(os.getpid())
        raise InferenceError("engine_error", "The script says that this answer fails.")

    async def abort(self, request_id: str) -> None:
        """Nothing runs outside the iterator."""

    def stats(self) -> dict[str, Any]:
        return {"running": self._running, "steps": self._steps}

    async def unload(self) -> None:
        """Nothing is held."""
