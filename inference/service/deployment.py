"""One model as the manager sees it, and those who wait for it. Only the manager changes these."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from typing import Any

from inference.engines.base import Engine
from inference.engines.fit import Fit
from inference.errors import InferenceError
from inference.protocol import Event, ModelSpec
from inference.service.pulse import Speed
from inference.service.queue import FairQueue
from inference.service.ticket import Ticket

DEFAULT_SLOTS = {"transformers": 32}
MANY_SLOTS = 512


class State(StrEnum):
    STOPPED = "stopped"
    QUEUED = "queued"  # wants to load and waits for room, for its turn, or for its back-off
    LOADING = "loading"
    READY = "ready"
    DRAINING = "draining"
    FAILED = "failed"


class Deployment:
    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec  # what is loaded, or was last
        self.wanted = spec  # what the newest request asked for
        self.state = State.STOPPED
        self.engine: Engine | None = None
        self.info: dict[str, Any] = {}
        self.error: InferenceError | None = None
        self.progress: float | None = None
        self.task: asyncio.Task[None] | None = None  # the load or the stop that is under way
        self.abort_load: Callable[[], object] | None = None  # while it may be called
        # Who waits
        self.running: Counter[str] = Counter()
        self.queue: FairQueue[Ticket] = FairQueue()
        self.later: FairQueue[Ticket] = FairQueue()  # came while it was leaving: for its next load
        self.loaders: list[Ticket] = []
        # Memory
        self.device: str | None = None  # where it holds memory that is counted; None: nowhere
        self.plan: Fit | None = None  # what `planned` will take
        self.planned: ModelSpec | None = None
        self.planning = False
        self.held = 0  # bytes: predicted, then measured
        self.granted = 0  # of them, what its KV cache may take
        self.predicted = 0  # what it was thought to take in all, its KV cache full
        self.measured = 0  # what its process held when it was last looked at
        self.returned: int | None = None  # what came back when it was last unloaded
        self.speed = Speed()
        self.pieces = 0  # of answers so far: stands for tokens where the engine does not count them
        self.looked_at = 0.0
        # Coming and going
        self.turn = 0  # its place among those that wait to be loaded
        self.evicting: list[str] = []  # names of those that leave for it
        self.displaced: list[Deployment] = []  # those that left for it, until its load has ended
        self.leaving = False
        self.yields_to: Deployment | None = None  # for whom it leaves
        self.forget = False  # asked to be unloaded: not kept once stopped
        self.stopped: list[asyncio.Future[None]] = []
        self.last_used = 0.0
        # Faults
        self.revive = False  # was ready and died: is loaded again unasked
        self.failures = 0
        self.retry_at = 0.0
        self.ready_since = 0.0
        self.log = ""  # the last lines of a process that failed

    @property
    def slots(self) -> int:
        """The setting; else what the engine says it can do at a time."""
        fallback = DEFAULT_SLOTS.get(self.spec.engine, MANY_SLOTS)
        return int(self.spec.settings.get("slots") or self.info.get("slots") or fallback)

    @property
    def is_full(self) -> bool:
        """Whether one more would have to wait behind `queue_limit` others."""
        limit = self.wanted.settings.get("queue_limit")
        inside = self.running.total() + len(self.queue) + len(self.later)
        return limit is not None and inside >= self.slots + int(limit)

    @property
    def is_asked_for(self) -> bool:
        return bool(self.loaders or len(self.queue) or len(self.later))

    @property
    def is_wanted(self) -> bool:
        return self.is_asked_for or self.revive

    @property
    def is_stale(self) -> bool:
        return not self.wanted.runs_like(self.spec)

    @property
    def is_planned(self) -> bool:
        return self.planned is not None and self.wanted.runs_like(self.planned)

    def join(self, ticket: Ticket) -> None:
        """Stand in line. One who comes while the model leaves waits for its next load, so that those for
        whom it leaves are not kept waiting for ever."""
        if ticket.purpose == "load":
            self.loaders.append(ticket)
        else:
            (self.later if self.leaving else self.queue).push(ticket.user, ticket)

    def drop(self, ticket: Ticket) -> None:
        if ticket in self.loaders:
            self.loaders.remove(ticket)
        self.queue.remove(ticket.user, ticket)
        self.later.remove(ticket.user, ticket)

    def waiting(self) -> list[Ticket]:
        return [*self.loaders, *self.queue.order(self.running), *self.later.order(self.running)]

    def fail_waiting(self, error: InferenceError) -> None:
        for ticket in self.waiting():
            self.drop(ticket)
            ticket.fail(error)

    def stay(self) -> None:
        """It leaves no longer: it has left, or nobody needs its room any more."""
        self.leaving, self.yields_to = False, None
        for ticket in self.later.order(self.running):
            self.later.remove(ticket.user, ticket)
            self.queue.push(ticket.user, ticket)

    def has_stopped(self) -> None:
        self.stay()
        if self.forget:
            self.state, self.error = State.STOPPED, None
        for future in self.stopped:
            if not future.done():
                future.set_result(None)
        self.stopped.clear()

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
            "memory_bytes": (self.held or self.info.get("memory_bytes")) if loaded else None,
            "predicted_bytes": (self.predicted or None) if loaded else None,
            "measured_bytes": (self.measured or None) if loaded else None,
            "returned_bytes": self.returned,
            "pid": self.engine.stats().get("pid") if self.engine else None,
            "context_length": self.info.get("context_length"),
            "capabilities": [
                name
                for name, key in (("continue", "continues"), ("reasoning", "reasoning"), ("tools", "tools"))
                if capabilities.get(key)
            ],
            # Whether its answers share each step, and why not; both unknown until it is loaded.
            "packed": self.info.get("packed"),
            "reason": self.info.get("reason"),
            "running": self.running.total(),
            "waiting": len(self.queue) + len(self.later),
            "tokens_per_second": self.speed.now,
            "error": {"code": self.error.code, "message": self.error.message} if self.error else None,
        }
