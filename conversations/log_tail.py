"""The newest events of the turns that this process makes, kept in memory for those who watch them."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

LONGEST = 4096


class Logged(NamedTuple):
    """A stored event. `data` is its JSON as clients get it, `kind` included."""

    seq: int
    kind: str
    data: str


class Tail:
    """`after` answers from memory or says None (ask the database); `changed` waits for the next event.

    It exists from the moment a turn is launched, so that a watcher never has to poll for a turn that is made
    here. Until `begin` says what the log holds already, `last` is not known.
    """

    def __init__(self) -> None:
        self.last: int | None = None
        self.ended = False
        self._events: list[Logged] = []
        self._waiting: list[asyncio.Future[None]] = []

    def begin(self, last: int) -> None:
        self.last = last
        self._wake()

    def push(self, events: list[Logged]) -> None:
        self._events += events
        self.last = events[-1].seq
        if len(self._events) > 2 * LONGEST:
            del self._events[:-LONGEST]
        self._wake()

    def end(self) -> None:
        self.ended = True
        self._wake()

    def after(self, seq: int) -> list[Logged] | None:
        if self.last is None:
            return None
        if seq >= self.last:
            return []
        if not self._events or self._events[0].seq > seq + 1:
            return None
        return self._events[seq + 1 - self._events[0].seq :]

    async def changed(self, seq: int, within: float) -> bool:
        """True when there is more than `seq`, or the turn has left this process; False after `within` s."""
        if (self.last is not None and self.last > seq) or self.ended:
            return True
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        handle = asyncio.get_running_loop().call_later(within, waiting.cancel)
        try:
            await waiting
        except asyncio.CancelledError:
            if asyncio.current_task().cancelling():  # type: ignore[union-attr]
                raise
            return False
        finally:
            handle.cancel()
            if waiting in self._waiting:
                self._waiting.remove(waiting)
        return True

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)


tails: dict[str, Tail] = {}
