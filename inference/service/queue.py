"""Who is next when a model's slots are taken: the user with the fewest answers running, of those the one
who was served longest ago, then first come."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from itertools import count
from typing import Generic, TypeVar

T = TypeVar("T")


class FairQueue(Generic[T]):
    """One lane per user. Someone who asks twenty things at once waits behind one who asks one."""

    def __init__(self) -> None:
        self._lanes: dict[str, deque[tuple[int, T]]] = {}
        self._served: dict[str, int] = {}  # when each waiting user was served last
        self._ticks = count(1)

    def __len__(self) -> int:
        return sum(len(lane) for lane in self._lanes.values())

    def push(self, user: str, item: T) -> None:
        self._lanes.setdefault(user, deque()).append((next(self._ticks), item))

    def pop(self, running: Mapping[str, int]) -> T:
        """The next item; `running` counts each user's running answers. Raises IndexError when empty."""
        if not self._lanes:
            raise IndexError("the queue is empty")
        user = min(self._lanes, key=lambda name: self._rank(name, 0, running))
        item = self._lanes[user].popleft()[1]
        self._served[user] = next(self._ticks)
        if not self._lanes[user]:
            self._drop(user)
        return item

    def remove(self, user: str, item: T) -> None:
        """Take out one who does not wait any longer; nothing happens when it is not here."""
        lane = [entry for entry in self._lanes.get(user, ()) if entry[1] is not item]
        if lane:
            self._lanes[user] = deque(lane)
        else:
            self._drop(user)

    def order(self, running: Mapping[str, int]) -> list[T]:
        """All items in the order in which `pop` would give them if nothing else happened."""
        ranked = [
            (self._rank(user, index, running), item)
            for user, lane in self._lanes.items()
            for index, (_, item) in enumerate(lane)
        ]
        return [item for _, item in sorted(ranked, key=lambda entry: entry[0])]

    def _rank(self, user: str, index: int, running: Mapping[str, int]) -> tuple[int, int, int]:
        """Of the item at `index` of the user's lane: the ones before it run by the time it is its turn."""
        return (running.get(user, 0) + index, self._served.get(user, 0), self._lanes[user][index][0])

    def _drop(self, user: str) -> None:
        self._lanes.pop(user, None)
        self._served.pop(user, None)
