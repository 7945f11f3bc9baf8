"""The manager's decisions, with engines, memory and a clock that the test commands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from inference.errors import InferenceError
from inference.service.queue import FairQueue
from inference.service.residency import Resident, to_evict
from inference.tests.fake_engines import House, local, settle
from inference.tests.virtual_time import VirtualPolicy

pytestmark = pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy")


@pytest.fixture
def event_loop_policy() -> VirtualPolicy:
    return VirtualPolicy()


@pytest.fixture
async def house() -> AsyncIterator[House]:
    house = House()
    yield house
    await house.close()


async def test_a_second_local_model_waits_for_the_first_ones_answer(house: House) -> None:
    first = house.ask(local("a"))
    await house.until("a", running=1)
    second = house.ask(local("b"))
    await house.until("a", state="draining")
    assert len(house.made) == 1 and not house.made[0].unloaded
    house.made[0].go.set()
    assert (await first)[-1]["kind"] == "finished"
    await house.until("b", running=1)
    assert house.made[0].unloaded
    house.made[1].go.set()
    events = await second
    assert {"kind": "status", "phase": "evicting", "models": ["a"]} in events
    assert events[-1]["kind"] == "finished"


async def test_a_failed_load_fails_all_who_wait_and_the_next_try_comes_after_the_back_off(
    house: House,
) -> None:
    results = await asyncio.gather(*(house.ask(local("a", broken=True)) for _ in range(3)))
    assert [events[-1]["code"] for events in results] == ["load_failed"] * 3 and len(house.made) == 1
    failed_at = asyncio.get_running_loop().time()
    assert (await house.ask(local("a", broken=True)))[-1]["code"] == "load_failed"
    assert asyncio.get_running_loop().time() - failed_at == pytest.approx(0.25) and len(house.made) == 2
    await house.manager.ensure_ready(local("a"))


async def test_unload_while_waiting_fails_the_waiting_and_lets_the_running_end(house: House) -> None:
    running = house.ask(local("a", slots=1))
    await house.until("a", running=1)
    waiting = house.ask(local("a", slots=1))
    await house.until("a", waiting=1)
    unload = asyncio.create_task(house.manager.unload("a"))
    assert (await waiting)[-1]["code"] == "unloaded"
    house.made[0].go.set()
    assert (await running)[-1]["kind"] == "finished"
    await unload
    assert house.made[0].unloaded and house.manager.board.lines() == []


async def test_who_asks_while_a_model_is_being_unloaded_gets_it_again(house: House) -> None:
    running = house.ask(local("a"))
    await house.until("a", running=1)
    unload = asyncio.create_task(house.manager.unload("a"))
    await house.until("a", state="draining")
    late = house.ask(local("a"))
    house.made[0].go.set()
    assert (await running)[-1]["kind"] == "finished"
    await unload
    await house.until("a", running=1)
    house.made[1].go.set()
    assert (await late)[-1]["kind"] == "finished"


@pytest.mark.parametrize("begun", [True, False])
async def test_a_load_that_an_unload_ends_is_put_away(house: House, begun: bool) -> None:
    waiting = house.ask(local("a", slow=True))
    await house.until("a", state="loading")
    if begun:
        await house.engine(0)
    await house.manager.unload("a")
    assert (await waiting)[-1]["code"] == "unloaded"
    assert [engine.unloaded for engine in house.made] == [True] * begun
    assert house.manager.board.lines() == []


async def test_an_answer_that_an_unload_ends_is_not_to_be_tried_again(house: House) -> None:
    """A retry would load what somebody just asked to unload."""
    running = house.ask(local("a"))
    await house.until("a", running=1)
    await house.manager.unload("a")
    last = (await running)[-1]
    assert (last["code"], last["retryable"]) == ("unloaded", False)
    assert house.made[0].unloaded and house.manager.board.lines() == []


async def test_past_the_queue_limit_a_request_is_refused_at_once(house: House) -> None:
    spec = local("a", slots=1, queue_limit=2)
    kept = [house.ask(spec) for _ in range(3)]
    await house.until("a", running=1)
    refused = (await house.ask(spec))[-1]
    assert (refused["code"], refused["retryable"]) == ("busy", True)
    house.made[0].go.set()
    assert [(await task)[-1]["kind"] for task in kept] == ["finished"] * 3


async def test_the_slots_are_the_settings_or_what_the_engine_says(house: House) -> None:
    cases: list[tuple[str, dict[str, Any], int]] = [
        ("a", {"slots": 2, "info": {"slots": 5}}, 2),
        ("b", {"info": {"slots": 5}}, 5),
        ("c", {}, 32),
    ]
    for name, settings, expected in cases:
        tasks = [house.ask(local(name, **settings)) for _ in range(40)]
        await house.until(name, running=expected, waiting=40 - expected)
        house.made[-1].go.set()
        await asyncio.gather(*tasks)


async def test_a_model_that_rested_for_its_keep_alive_leaves(house: House) -> None:
    spec = local("a", keep_alive=300)
    loop = asyncio.get_running_loop()
    first = house.ask(spec)
    await house.until("a", running=1)
    await asyncio.sleep(1000)
    assert house.line("a")["state"] == "ready"
    house.made[0].go.set()
    await first
    ended = loop.time()
    await house.until("a", state="stopped")
    assert loop.time() - ended == pytest.approx(300) and house.made[0].unloaded


async def test_a_new_keep_alive_holds_without_a_reload_and_a_new_dtype_does_not(house: House) -> None:
    await house.manager.ensure_ready(local("a", keep_alive=300))
    await house.manager.ensure_ready(local("a"))
    await asyncio.sleep(1000)
    assert house.line("a")["state"] == "ready"
    await house.manager.ensure_ready(local("a", keep_alive=50))
    assert house.loads == ["a"]
    await house.until("a", state="stopped")
    await house.manager.ensure_ready(local("a", keep_alive=50, dtype="int8"))
    assert house.loads == ["a", "a"]


async def test_a_pinned_model_neither_leaves_for_another_nor_for_its_keep_alive(house: House) -> None:
    await house.manager.ensure_ready(local("a", keep_alive=300))
    house.manager.pin("a", True)
    refused = (await house.ask(local("b")))[-1]
    assert refused["code"] == "out_of_memory" and refused["extra"]["pinned"] == ["a"]
    await asyncio.sleep(10_000)
    assert house.line("a")["state"] == "ready" and house.manager.pins() == ["a"]
    house.manager.pin("a", False)
    await house.manager.ensure_ready(local("b"))
    assert house.made[0].unloaded


async def test_an_unload_by_name_ends_a_pinned_model_too(house: House) -> None:
    await house.manager.ensure_ready(local("a"))
    house.manager.pin("a", True)
    await house.manager.unload("a")
    assert house.made[0].unloaded


def resident(model: str, used: float, **more: Any) -> Resident:
    return Resident(model, more.pop("bytes", 4), more.pop("running", 0), used, **more)


@pytest.mark.parametrize(
    ("residents", "budget", "expected"),
    [
        ([], 4, None),
        ([], 3, "never"),
        ([resident("a", 1)], 8, None),
        ([resident("a", 1)], 7, ["a"]),
        ([resident("a", 2), resident("b", 1)], 8, ["b"]),
        ([resident("a", 2), resident("b", 1, running=1)], 8, ["a"]),
        ([resident("a", 1), resident("b", 2)], 7, ["a", "b"]),
        ([resident("a", 1, bytes=1), resident("b", 2)], 5, ["b"]),
        ([resident("a", 1, leaving=True)], 4, []),
        ([resident("a", 1, settled=False)], 4, []),
        ([resident("a", 1, pinned=True), resident("b", 2)], 8, ["b"]),
        ([resident("a", 1, pinned=True)], 7, "never"),
        ([resident("a", 1, pinned=True, leaving=True)], 7, []),
    ],
)
def test_who_leaves_for_four_bytes(residents: list[Resident], budget: int, expected: Any) -> None:
    assert to_evict(4, residents, budget) == expected


@pytest.mark.parametrize(
    ("residents", "limit", "expected"),
    [
        ([resident("a", 1)], 2, None),
        ([resident("a", 1)], 1, ["a"]),
        ([resident("a", 2), resident("b", 1)], 2, ["b"]),
        ([resident("a", 1, pinned=True)], 1, "never"),
        ([resident("a", 1)], 0, None),
    ],
)
def test_a_limit_of_their_number_counts_beside_the_bytes(residents: Any, limit: int, expected: Any) -> None:
    assert to_evict(4, residents, 1000, limit) == expected


def test_the_queue_gives_what_its_order_says() -> None:
    queue: FairQueue[str] = FairQueue()
    for user, item in [("a", "a1"), ("a", "a2"), ("b", "b1"), ("a", "a3"), ("c", "c1")]:
        queue.push(user, item)
    order = queue.order({"c": 1})
    assert order == ["a1", "b1", "a2", "c1", "a3"]
    queue.remove("b", "b1")
    assert queue.pop({"c": 1}) == "a1" and len(queue) == 3


async def test_a_missing_model_is_said_to_be_missing(house: House) -> None:
    with pytest.raises(InferenceError, match="model_not_found"):
        await house.manager.ensure_ready(local("a", missing=True))
    await settle()
    assert house.made == [] and house.line("a")["state"] == "failed"
