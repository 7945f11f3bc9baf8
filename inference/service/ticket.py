"""One who waits for a model."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from inference.engines.base import Engine
from inference.errors import InferenceError
from inference.protocol import Event


class Ticket:
    """Waits to run an answer on the model, or only until it is loaded. Ends by `admit` or by `fail`."""

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
