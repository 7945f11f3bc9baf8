"""One model as the manager sees it, and those who wait for it. Only the manager changes these."""

from __future__ import annotations

import asyncio
from collections import Counter
from enum import StrEnum
from typing import Any, Literal

from inference.engines.base import Engine
from inference.errors import InferenceError
from inference.protocol import Event, ModelSpec
from inference.service.queue import FairQueue

DEFAULT_SLOTS = {"transformers": 4}
MANY_SLOTS = 512


class State(StrEnum):
    STOPPED = "stopped"
    QUEUED = "queued"  # wants to load and waits for room, or for its back-off
    LOADING = "loading"
    READY = "ready"
    DRAINING = "draining"
    FAILED = "failed"


class Ticket:
    """One who waits for a model: to run an answer on it, or only until it is loaded."""

    def __init__(self, user: str, purpose: Literal["run", "load"]) -> None:
        self.user = user
        self.purpose = purpose
        self.engine: Engine | None = None
        self.info: dict[str, Any] = {}
        self.done = False
        self.error: InferenceError | None = None
        self.status: Event | None = None
        self.changed = asyncio.Event()

    def tell(self, status: Event) -> None:
        if status != self.status:
            self.status = status
            self.changed.set()

    def admit(self, engine: Engine, info: dict[str, Any]) -> None:
        self.engine, self.info, self.done = engine, info, True
        self.changed.set()

    def fail(self, error: InferenceError) -> None:
        self.error, self.done = error, True
        self.changed.set()


class Deployment:
    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec  # what is loaded, or was last
        self.wanted = spec  # what the newest request asked for
        self.state = State.STOPPED
        self.engine: Engine | None = None
        self.info: dict[str, Any] = {}
        self.error: InferenceError | None = None
        self.progress: float | None = None
        self.leaving = False
        self.forget = False  # asked to be unloaded: not kept once stopped
        self.evicting: list[str] = []
        self.running: Counter[str] = Counter()
        self.queue: FairQueue[Ticket] = FairQueue()
        self.loaders: list[Ticket] = []
        self.last_used = 0.0
        self.failures = 0
        self.retry_at = 0.0
        self.task: asyncio.Task[None] | None = None  # the load or the stop that is under way
        self.stopped: list[asyncio.Future[None]] = []

    @property
    def slots(self) -> int:
        return int(self.spec.settings.get("slots") or DEFAULT_SLOTS.get(self.spec.engine, MANY_SLOTS))

    @property
    def is_wanted(self) -> bool:
        return bool(self.loaders or len(self.queue))

    @property
    def is_stale(self) -> bool:
        return not self.wanted.runs_like(self.spec)

    def waiting(self) -> list[Ticket]:
        return [*self.loaders, *self.queue.order(self.running)]

    def line(self) -> Event:
        """The model's line of /state and /watch."""
        loaded = self.state in (State.READY, State.DRAINING)
        capabilities = self.info.get("capabilities") or {}
        return {
            "kind": "model",
            "model": self.spec.id,
            "name": self.wanted.name,
            "state": self.state.value,
            "progress": self.progress if self.state is State.LOADING else None,
            "device": self.info.get("device") if loaded else None,
            "memory_bytes": self.info.get("memory_bytes") if loaded else None,
            "pid": self.engine.stats().get("pid") if self.engine else None,
            "context_length": self.info.get("context_length"),
            "capabilities": [
                name
                for name, key in (("continue", "continues"), ("reasoning", "reasoning"), ("tools", "tools"))
                if capabilities.get(key)
            ],
            "running": self.running.total(),
            "waiting": len(self.queue),
            "error": {"code": self.error.code, "message": self.error.message} if self.error else None,
        }
