"""When a model's process is held for hung; by counted looks, without a clock."""

from __future__ import annotations

import pytest

from inference.engines.base import as_failure
from inference.engines.watchdog import Watchdog, oom_kills, pulse_every
from inference.errors import InferenceError


def looks(dog: Watchdog, most: int = 10_000) -> int:
    """How many looks it takes until something is wrong."""
    return next((n for n in range(1, most) if dog.look()), most)


@pytest.fixture
def dog() -> Watchdog:
    dog = Watchdog({})
    dog.ready = True
    return dog


def test_ten_silent_seconds_are_too_many(dog: Watchdog) -> None:
    assert dog.every == 1 and looks(dog) == 11


def test_any_line_is_a_sign_of_life(dog: Watchdog) -> None:
    for _ in range(100):
        dog.heard()
        assert dog.look() is None
    assert "silent" in next(complaint for _ in range(11) if (complaint := dog.look()))


def test_while_it_loads_it_may_be_silent_for_longer() -> None:
    assert looks(Watchdog({})) == 121


def test_an_engine_that_works_and_makes_no_step_spins(dog: Watchdog) -> None:
    complaints = []
    for _ in range(125):
        dog.heard({"running": 2, "steps": 7})
        complaints.append(dog.look())
    assert complaints.index(next(filter(None, complaints))) in range(119, 122)
    assert "no step" in str(complaints[-1])


@pytest.mark.parametrize(
    "stats",
    [{"running": 0, "steps": 7}, {"running": 2}, {}],
    ids=["nothing runs", "steps are not counted", "no figures"],
)
def test_an_engine_that_rests_or_counts_no_steps_does_not_spin(dog: Watchdog, stats: dict[str, int]) -> None:
    for _ in range(1000):
        dog.heard(stats)
        assert dog.look() is None


def test_steps_that_go_on_do_not_spin(dog: Watchdog) -> None:
    for step in range(1000):
        dog.heard({"running": 1, "steps": step // 100})
        assert dog.look() is None


def test_short_limits_are_looked_after_more_often() -> None:
    assert pulse_every({"stall_limit": 0.5}) == pytest.approx(0.1)
    dog = Watchdog({"stall_limit": 0.5, "spin_limit": 1})
    dog.ready = True
    assert looks(dog) in (5, 6)


def test_the_kernels_count_of_kills_is_a_number() -> None:
    assert oom_kills() >= 0


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (MemoryError(), "out_of_memory"),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes"),
            "out_of_memory",
        ),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:73] . not enough memory"), "out_of_memory"),
        (OSError(12, "Cannot allocate memory"), "out_of_memory"),
        (RuntimeError("std::bad_alloc"), "out_of_memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 MiB"), "out_of_memory"),
        (ValueError("no"), "engine_error"),
        (InferenceError("context_too_long", "long"), "context_too_long"),
    ],
)
def test_a_lack_of_memory_is_known_by_what_is_said(error: Exception, code: str) -> None:
    assert as_failure(error, "engine_error").code == code
