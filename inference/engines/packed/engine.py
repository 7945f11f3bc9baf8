"""The packed engine as the house sees it: requests in, events out. The loop runs on the model's thread."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

import psutil
import torch

from inference.engines.checkpoint import Checkpoint
from inference.engines.fit import kv_tokens
from inference.engines.model_thread import ModelThread
from inference.engines.packed.cache import KVCache, LayerShape
from inference.engines.packed.loop import EngineLoop
from inference.engines.packed.request import Opener, Sequence
from inference.engines.packed.runner import ModelRunner
from inference.engines.packed.scheduler import Scheduler
from inference.engines.prompt import ChatTemplate
from inference.errors import InferenceError, unloaded
from inference.protocol import LAST_EVENTS, Event, GenerateRequest

DEFAULT_SLOTS = 32
DEFAULT_STEP_TOKENS = 512


class PackedEngine:
    """settings: slots, kv_tokens, kv_dtype, step_tokens. `layers` are what `support.examine` found; `thread`
    runs the loop until `unload`."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        layers: tuple[LayerShape, ...],
        settings: dict[str, Any],
        thread: ModelThread,
    ) -> None:
        self._tokenizer, self._template = checkpoint.tokenizer, ChatTemplate(checkpoint.tokenizer)
        config, device = checkpoint.model.config, checkpoint.device
        size = kv_tokens(settings, config.to_dict(), _room(device), device)
        self._cache = KVCache(layers, size, _kv_dtype(settings, checkpoint), device)
        self.limit = min(checkpoint.context_length, self._cache.size)
        vocabulary = int(config.get_text_config().vocab_size)
        self._opener = Opener(checkpoint.tokenizer, checkpoint.ends, vocabulary, self.limit)
        self.slots = int(settings.get("slots") or DEFAULT_SLOTS)
        budget = int(settings.get("step_tokens") or DEFAULT_STEP_TOKENS)
        scheduler = Scheduler(self._cache, budget=budget, slots=self.slots)
        self._loop = EngineLoop(scheduler, ModelRunner(checkpoint.model, self._cache, device), self._spell)
        self._arrived: deque[Sequence] = deque()
        self._work = threading.Condition()
        self._closed = False
        self._step_began = 0.0
        self._outbox: list[tuple[_Inbox, Event]] = []
        self._ended = thread.submit(self._run)

    # Engine

    async def generate(self, request: GenerateRequest) -> AsyncIterator[Event]:
        prompt = await asyncio.to_thread(self._template.encode, request)
        inbox = _Inbox(asyncio.get_running_loop())

        def tell(event: Event) -> None:
            self._outbox.append((inbox, event))

        sequence = await asyncio.to_thread(self._opener.open, request, prompt, tell)
        yield {"kind": "prompt", "reasoning_open": prompt.reasoning_open, "tool_format": prompt.tool_format}
        yield {"kind": "status", "phase": "prefill"}
        self._submit(sequence)
        try:
            while True:
                for event in await inbox.take():
                    if event["kind"] == "failed":
                        raise InferenceError.from_event(event)
                    yield event
                    if event["kind"] in LAST_EVENTS:
                        return
        finally:
            sequence.cancelled = True

    async def abort(self, request_id: str) -> None:
        """Closing the iterator takes the answer out before the next step."""

    def stats(self) -> dict[str, Any]:
        scheduler = self._loop.scheduler
        return {
            "running": scheduler.running,
            "waiting": scheduler.waiting + len(self._arrived),
            "steps": self._loop.steps,
            "tokens": self._loop.tokens,
            "step_seconds": time.monotonic() - self._step_began if self._step_began else 0.0,
            "preempted": scheduler.preempted,
            "kv_tokens": self._cache.size,
            "kv_busy": self._cache.busy_tokens,
            "kv_kept": self._cache.kept_tokens,
        }

    async def unload(self) -> None:
        with self._work:
            self._closed = True
            self._work.notify()
        await asyncio.wrap_future(self._ended)

    # Inside

    def _submit(self, sequence: Sequence) -> None:
        with self._work:
            if self._closed:
                raise unloaded()
            self._arrived.append(sequence)
            self._work.notify()

    def _run(self) -> None:
        """The engine's thread."""
        while self._wait():
            self._step_began = time.monotonic()
            self._loop.step()
            self._step_began = 0.0
            self._flush()
        self._loop.fail_all(unloaded())
        for sequence in self._arrived:
            sequence.fail(unloaded())
        self._flush()

    def _wait(self) -> bool:
        """Until there is something to do; takes what has arrived. False at the end."""
        with self._work:
            while not (self._closed or self._arrived or not self._loop.scheduler.is_idle):
                self._work.wait()
            while self._arrived:
                self._loop.scheduler.add(self._arrived.popleft())
            return not self._closed

    def _spell(self, token: int) -> str:
        return str(self._tokenizer.decode([token], clean_up_tokenization_spaces=False))

    def _flush(self) -> None:
        """Hand out what the step said, with one wake-up for all readers of an event loop."""
        outbox, self._outbox = self._outbox, []
        loops = {inbox.loop for inbox, _ in outbox}
        for loop in loops:
            if not loop.is_closed():
                loop.call_soon_threadsafe(_deliver, [(i, e) for i, e in outbox if i.loop is loop])


class _Inbox:
    """Events of one answer that its reader has not taken yet. Used on its event loop only."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._events: list[Event] = []
        self._wake = asyncio.Event()

    def put(self, event: Event) -> None:
        self._events.append(event)
        self._wake.set()

    async def take(self) -> list[Event]:
        await self._wake.wait()
        self._wake.clear()
        events, self._events = self._events, []
        return events


def _deliver(outbox: list[tuple[_Inbox, Event]]) -> None:
    for inbox, event in outbox:
        inbox.put(event)


def _kv_dtype(settings: dict[str, Any], checkpoint: Checkpoint) -> torch.dtype:
    name = str(settings.get("kv_dtype") or "auto")
    if name == "auto" and checkpoint.dtype == "int8":
        # Who rounds the weights does not miss the lower half of a key, and reads half as much.
        name = "bfloat16"
    dtype: torch.dtype = checkpoint.model.dtype if name == "auto" else getattr(torch, name)
    return dtype


def _room(device: str) -> int:
    """Bytes that the KV cache may take: half of what is free in main memory, most of it on a card."""
    if device.startswith("cuda"):
        return int(0.85 * torch.cuda.mem_get_info(device)[0])
    return int(0.5 * psutil.virtual_memory().available)
