"""What every model is doing, for those who watch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from inference.protocol import Event


class Board:
    """Keeps the newest line of each model. A slow watcher skips what was overtaken, but no last state."""

    def __init__(self) -> None:
        self._lines: dict[str, Event] = {}
        self._watchers: list[tuple[dict[str, Event], asyncio.Event]] = []

    def lines(self) -> list[Event]:
        return list(self._lines.values())

    def publish(self, line: Event) -> None:
        if self._lines.get(line["model"]) == line:
            return
        self._lines[line["model"]] = line
        self._tell(line)

    def remove(self, line: Event) -> None:
        """The model is gone: its last line is sent once and then forgotten."""
        if self._lines.pop(line["model"], None) is not None:
            self._tell(line)

    async def watch(self) -> AsyncGenerator[Event, None]:
        """The lines as they are, then each change. Never ends by itself."""
        pending, wake = dict(self._lines), asyncio.Event()
        wake.set()
        entry = (pending, wake)
        self._watchers.append(entry)
        try:
            while True:
                await wake.wait()
                wake.clear()
                while pending:
                    yield pending.pop(next(iter(pending)))
        finally:
            self._watchers.remove(entry)

    def _tell(self, line: Event) -> None:
        for pending, wake in self._watchers:
            pending[line["model"]] = line
            wake.set()
