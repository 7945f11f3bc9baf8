"""The service's manager in this process, with one model loaded."""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager

from inference.engines import warm
from inference.errors import InferenceError
from inference.protocol import ModelSpec
from inference.service.manager import Manager


@asynccontextmanager
async def loaded(spec: ModelSpec) -> AsyncGenerator[Manager, None]:
    """A manager that has loaded `spec`; tells the progress on stderr. Raises InferenceError."""
    manager = Manager()
    try:
        await _load(manager, spec)
        yield manager
    finally:
        await manager.close()


async def _load(manager: Manager, spec: ModelSpec) -> None:
    warm.start()
    began, shown = time.perf_counter(), sys.stderr.isatty()
    async with aclosing(manager.load(spec)) as events:
        async for event in events:
            if event["kind"] == "failed":
                raise InferenceError.from_event(event)
            if shown and event.get("phase") == "loading":
                print(f"\rloading {spec.name} {event['progress']:4.0%}", end="", file=sys.stderr, flush=True)
    if shown:
        print("\r\x1b[K", end="", file=sys.stderr)
    (line,) = manager.board.lines()
    text = f"{spec.name} on {line['device']}, context {line['context_length']} tokens"
    print(f"{text}, loaded in {time.perf_counter() - began:.1f} s", file=sys.stderr, flush=True)
    if line["packed"] is False:
        print(f"its answers do not share their steps: {line['reason']}", file=sys.stderr, flush=True)
