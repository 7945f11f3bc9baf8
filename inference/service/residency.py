"""Which models must leave so that one more fits: a pure function over what is resident."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Resident:
    """A model that holds memory. `leaving`: it drains already; `settled`: loaded, so it can go."""

    model: str
    bytes: int
    running: int
    last_used: float
    leaving: bool = False
    settled: bool = True
    pinned: bool = False


def to_evict(
    need: int, residents: Sequence[Resident], budget: int, limit: int = 0
) -> list[str] | Literal["never"] | None:
    """None when a model of `need` bytes fits now; "never" when not even an empty memory, pinned models aside,
    is enough; else who is asked to leave for it, often nobody anew.

    `budget` is what all of them may take together (bytes), `limit` how many there may be (0: any number).
    Idle ones go first, the least recently used before the others; a busy one ends its answers first. A
    model that is still loading is not asked: whoever waits for it gets at least one answer.
    """

    def fits(others: Sequence[Resident]) -> bool:
        taken = sum(resident.bytes for resident in others)
        return taken + need <= budget and (not limit or len(others) < limit)

    if fits(residents):
        return None
    if not fits([resident for resident in residents if resident.pinned and not resident.leaving]):
        return "never"
    staying = [resident for resident in residents if not resident.leaving]
    can_go = [resident for resident in staying if resident.settled and not resident.pinned]
    can_go.sort(key=lambda resident: (resident.running > 0, resident.last_used))
    victims: list[Resident] = []
    for resident in can_go:
        if fits(staying):
            break
        victims.append(resident)
        staying.remove(resident)
    # A later, larger one may have made the room of an earlier one needless.
    for resident in reversed(victims):
        if fits([*staying, resident]):
            victims.remove(resident)
            staying.append(resident)
    return [resident.model for resident in victims]
