"""Which models must leave so that one more fits: a pure function over what is resident."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Resident:
    """A model that holds memory. `leaving`: it drains already; `settled`: loaded, so it can go."""

    model: str
    running: int
    last_used: float
    leaving: bool = False
    settled: bool = True


def to_evict(residents: Sequence[Resident], limit: int) -> list[str] | None:
    """None when one more model fits now; else who is asked to leave for it, often nobody anew.

    Idle ones go first, the least recently used before the others; a busy one ends its answers first.
    A model that is still loading is not asked: whoever waits for it gets at least one answer.
    """
    if len(residents) < limit:
        return None
    missing = len(residents) + 1 - limit - sum(r.leaving for r in residents)
    can_go = [r for r in residents if r.settled and not r.leaving]
    can_go.sort(key=lambda r: (r.running > 0, r.last_used))
    return [r.model for r in can_go[: max(0, missing)]]
