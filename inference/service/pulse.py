"""What is looked at again and again while models run: how fast they are, and what they hold by now."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

#: Seconds between two looks at the speed, how far back it reaches, and between two at the memory.
EVERY = 1.0
WINDOW = 5.0
MEMORY_EVERY = 5.0


class Speed:
    """Tokens per second of the last seconds, from a count that only grows. `now` is None while idle."""

    def __init__(self) -> None:
        self.now: float | None = None
        self._counts: deque[tuple[float, int]] = deque()

    def look(self, at: float, count: int, running: bool) -> None:
        """`count`: tokens so far, of all answers; `at` in seconds."""
        counts = self._counts
        if counts and count < counts[-1][1]:
            counts.clear()  # another process
        counts.append((at, count))
        while counts[0][0] < at - WINDOW:
            counts.popleft()
        (began, first), (ended, last) = counts[0], counts[-1]
        if not running:
            self.now = None
            counts.clear()
        elif ended > began:
            self.now = round((last - first) / (ended - began), 1)


class Pulse:
    """Calls `look` each second from `start` on, until it says that there is nothing to look at."""

    def __init__(self, look: Callable[[], bool]) -> None:
        self._look = look
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(EVERY, self._beat)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None

    def _beat(self) -> None:
        self._timer = None
        if self._look():
            self.start()
