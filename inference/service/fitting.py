"""Whether a model would fit, told before anything is loaded: a pure function over what it needs and what
there is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from inference.engines.fit import LEAST_TOKENS, Fit
from inference.service.residency import Resident, to_evict

Verdict = dict[str, Any]
#: Best first.
ORDER = ("fits", "fits_after_eviction", "fits_with_less_context", "does_not_fit")


@dataclass(frozen=True)
class Room:
    """A device now: bytes in all and for models (`budget`), who is there, and how many may be (0: any)."""

    device: str
    total: int
    budget: int
    residents: Sequence[Resident]
    names: Mapping[str, str]
    limit: int = 0

    @property
    def free(self) -> int:
        """Bytes that a model could take with nobody leaving."""
        return max(0, self.budget - sum(resident.bytes for resident in self.residents))

    @property
    def most(self) -> int:
        """Bytes that a model could take with all gone that may go."""
        staying = [r for r in self.residents if r.pinned and not r.leaving]
        return max(0, self.budget - sum(resident.bytes for resident in staying))


def judge(plan: Fit, room: Room, context: int | None = None, concurrency: int | None = None) -> Verdict:
    """One device of the answer of /fit. `context` tokens for each of `concurrency` answers; where neither is
    asked for, what a load would take. A load makes room before it makes do with less, and so does this."""
    each = max(1, context or plan.context)
    answers = max(1, concurrency or (1 if context else plan.wanted_tokens // each))
    need = plan.need(each * answers)
    largest = plan.largest_context(room.most, answers)
    leave = to_evict(need, room.residents, room.budget, room.limit)
    is_too_long = bool(plan.longest) and each > plan.longest
    evicts: list[str] = []
    if leave == "never" or is_too_long:
        verdict = "fits_with_less_context" if largest >= _least(plan, each) else "does_not_fit"
    elif leave is None:
        verdict = "fits"
    else:
        verdict = "fits_after_eviction"
        evicts = leave or [resident.model for resident in room.residents if resident.leaving]
    return {
        "device": room.device,
        "weights_bytes": plan.weights,
        "kv_bytes": each * answers * plan.kv_per_token,
        "kv_bytes_per_token": plan.kv_per_token,
        "overhead_bytes": plan.overhead,
        "needed_bytes": need,
        "free_bytes": room.free,
        "total_bytes": room.total,
        "context": each,
        "concurrency": answers,
        "largest_context": largest,
        "largest_context_now": plan.largest_context(room.free, answers),
        "longest_context": plan.longest,
        "verdict": verdict,
        "evicts": [{"id": model, "name": room.names.get(model, model)} for model in evicts],
        "reasons": list(_reasons(plan, room, each, answers, evicts)),
    }


def _least(plan: Fit, each: int) -> int:
    """Fewer tokens than these are no use; a longer model is content with LEAST_TOKENS."""
    return min(each, plan.least_tokens or LEAST_TOKENS, LEAST_TOKENS)


def _reasons(plan: Fit, room: Room, each: int, answers: int, evicts: Sequence[str]) -> Iterator[Verdict]:
    """Why it is so, for programs: a code and its numbers (bytes, tokens)."""
    need = plan.need(each * answers)
    if plan.longest and each > plan.longest:
        yield {"code": "context_too_long", "context": each, "longest_context": plan.longest}
    if need > plan.total(each * answers):
        # More than it holds later: the weights are there twice for a while, or in a wider dtype.
        yield {"code": "load_peak", "peak_bytes": need, "after_bytes": plan.total(each * answers)}
    if need > room.most:
        if plan.weights + plan.overhead > room.most:
            yield {"code": "weights_too_large", "weights_bytes": plan.weights, "room_bytes": room.most}
        else:
            yield {
                "code": "kv_too_large",
                "kv_bytes": each * answers * plan.kv_per_token,
                "room_bytes": room.most,
            }
    if evicts:
        held = sum(resident.bytes for resident in room.residents if resident.model in evicts)
        yield {"code": "evicts", "models": len(evicts), "bytes": held}
    if pinned := [r for r in room.residents if r.pinned and not r.leaving]:
        yield {"code": "pinned", "models": len(pinned), "bytes": sum(r.bytes for r in pinned)}
    if room.limit and len(room.residents) >= room.limit:
        yield {"code": "resident_limit", "limit": room.limit}


def best(devices: Sequence[Verdict]) -> str | None:
    """The device to run on: the best verdict, among equals a GPU, then the one with the most room."""
    ranked = sorted(
        devices,
        key=lambda d: (ORDER.index(d["verdict"]), d["device"] == "cpu", -d["free_bytes"]),
    )
    return str(ranked[0]["device"]) if ranked else None
