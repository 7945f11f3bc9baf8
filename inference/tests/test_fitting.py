"""Whether a model would fit on a device, and why: what a load would do, told before it."""

from __future__ import annotations

from typing import Any

import pytest

from inference.engines.fit import Fit
from inference.service.fitting import Room, best, judge
from inference.service.residency import Resident

#: 100 bytes of weights, 10 beside them, one a token; loads with 20 tokens of cache if it can, at least 5.
PLAN = Fit(100, 10, 1, wanted_tokens=20, least_tokens=5, context=10, longest=40, peak=100)


def resident(model: str, size: int, **more: Any) -> Resident:
    return Resident(model, size, 0, 0.0, **more)


def room(budget: int, *residents: Resident, limit: int = 0) -> Room:
    return Room("cpu", 1000, budget, residents, {"a": "Anna's"}, limit)


def codes(found: dict[str, Any]) -> list[str]:
    return [reason["code"] for reason in found["reasons"]]


def test_what_a_load_would_take_where_nothing_is_asked_for() -> None:
    found = judge(PLAN, room(130))
    assert (found["context"], found["concurrency"], found["kv_bytes"]) == (10, 2, 20)
    assert (found["needed_bytes"], found["free_bytes"], found["verdict"]) == (130, 130, "fits")
    assert codes(found) == []


@pytest.mark.parametrize(
    ("context", "concurrency", "budget", "verdict", "largest"),
    [
        (40, None, 150, "fits", 40),
        (40, None, 149, "fits_with_less_context", 39),
        (20, 2, 149, "fits_with_less_context", 19),
        (20, 2, 150, "fits", 20),
        (40, None, 109, "does_not_fit", 0),
        (41, None, 900, "fits_with_less_context", 40),
    ],
)
def test_context_and_answers(
    context: int, concurrency: int | None, budget: int, verdict: str, largest: int
) -> None:
    found = judge(PLAN, room(budget), context, concurrency)
    assert (found["verdict"], found["largest_context"]) == (verdict, largest)


def test_who_would_leave_and_what_is_free_until_then() -> None:
    found = judge(PLAN, room(200, resident("a", 100)), 40)
    assert (found["verdict"], found["free_bytes"]) == ("fits_after_eviction", 100)
    assert found["evicts"] == [{"id": "a", "name": "Anna's"}]
    assert (found["largest_context"], found["largest_context_now"]) == (40, 0)
    assert found["reasons"] == [{"code": "evicts", "models": 1, "bytes": 100}]


def test_a_pinned_model_is_in_the_way_and_named_as_the_reason() -> None:
    found = judge(PLAN, room(200, resident("a", 100, pinned=True)), 40)
    assert found["verdict"] == "does_not_fit" and found["evicts"] == []
    assert codes(found) == ["weights_too_large", "pinned"]


def test_the_peak_of_the_load_has_to_fit_too() -> None:
    plan = Fit(25, 10, 1, 20, 5, context=10, longest=40, peak=100)
    found = judge(plan, room(109), 10)
    assert (found["verdict"], found["needed_bytes"]) == ("does_not_fit", 110)
    assert codes(found) == ["load_peak", "kv_too_large"]
    assert judge(plan, room(110), 10)["verdict"] == "fits"


def test_the_best_device_is_the_best_verdict_then_a_gpu_then_the_most_room() -> None:
    def device(name: str, verdict: str, free: int) -> dict[str, Any]:
        return {"device": name, "verdict": verdict, "free_bytes": free}

    assert best([]) is None
    assert best([device("cpu", "fits", 9), device("cuda:0", "fits_after_eviction", 9)]) == "cpu"
    assert (
        best([device("cpu", "fits", 9), device("cuda:0", "fits", 1), device("cuda:1", "fits", 2)]) == "cuda:1"
    )
