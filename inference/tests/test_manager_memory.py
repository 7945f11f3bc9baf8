"""Which models are in memory, when they do not all fit: by bytes, in turn, each switch once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest

from inference.errors import InferenceError
from inference.tests.fake_engines import House, local, settle
from inference.tests.virtual_time import VirtualPolicy

pytestmark = pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy")


@pytest.fixture
def event_loop_policy() -> VirtualPolicy:
    return VirtualPolicy()


@pytest.fixture
async def house() -> AsyncIterator[House]:
    house = House(total=10)
    yield house
    await house.close()


async def test_models_that_fit_together_stay_together(house: House) -> None:
    for name in "abc":
        await house.manager.ensure_ready(local(name, bytes=3))
    assert [house.line(name)["state"] for name in "abc"] == ["ready"] * 3
    await house.manager.ensure_ready(local("d", bytes=6))
    # The two that rested longest make the room of six.
    assert [engine.unloaded for engine in house.made] == [True, True, False, False]


async def test_a_model_that_can_never_fit_is_refused_and_nobody_leaves_for_it(house: House) -> None:
    await house.manager.ensure_ready(local("a", bytes=3))
    with pytest.raises(InferenceError, match="out_of_memory") as refusal:
        await house.manager.ensure_ready(local("b", bytes=11))
    assert refusal.value.extra == {"needed": 11, "budget": 10} and not refusal.value.retryable
    assert house.loads == ["a"] and house.line("a")["state"] == "ready"


async def test_a_model_gets_as_much_kv_as_there_is_room_for(house: House) -> None:
    """Wanted are 8 tokens, at least 2 are needed (FakeMemory)."""
    for name, total, expected in [("a", 10, 8), ("b", 6, 5), ("c", 3, 2)]:
        house.memory.total = total
        await house.manager.ensure_ready(local(name, bytes=1, per_token=1))
        assert house.made[-1].spec.settings["kv_tokens"] == expected
        await house.manager.unload(name)
    house.memory.total = 2
    with pytest.raises(InferenceError, match="out_of_memory"):
        await house.manager.ensure_ready(local("d", bytes=1, per_token=1))


async def test_what_the_engine_says_it_took_counts_after_the_load(house: House) -> None:
    await house.manager.ensure_ready(local("a", bytes=9, info={"memory_bytes": 2}))
    await house.manager.ensure_ready(local("b", bytes=8))
    assert await house.manager.memory() == {"cpu": {"budget": 10, "held": 10}}
    assert not house.made[0].unloaded and house.line("a")["memory_bytes"] == 2


async def test_what_the_process_takes_in_truth_counts_beside_the_kv_it_was_granted(house: House) -> None:
    house.memory.taken = 3
    await house.manager.ensure_ready(local("a", bytes=1, per_token=1))
    await house.until("a", memory_bytes=8 + 3)  # FakeMemory's plan wants 8 tokens
    house.memory.taken = None
    await house.manager.ensure_ready(local("b", bytes=10))
    assert house.made[0].unloaded


async def test_what_left_for_a_load_that_failed_serves_again_unasked(house: House) -> None:
    await house.manager.ensure_ready(local("a"))
    with pytest.raises(InferenceError, match="load_failed"):
        await house.manager.ensure_ready(local("b", broken=True))
    await house.until("a", state="ready")
    assert house.loads == ["a", "b", "a"] and house.line("b")["state"] == "failed"
    assert house.line("b")["error"]["code"] == "load_failed"


async def test_who_asks_the_old_model_while_a_failing_load_has_its_room_is_answered(house: House) -> None:
    await house.manager.ensure_ready(local("a"))
    other = asyncio.create_task(house.manager.ensure_ready(local("b", broken=True, slow=True)))
    await house.until("b", state="loading")
    late = house.ask(local("a"))
    await settle()
    house.made[1].loaded.set()
    with pytest.raises(InferenceError, match="load_failed"):
        await other
    (await house.engine(2)).go.set()
    assert (await late)[-1]["kind"] == "finished" and house.loads == ["a", "b", "a"]


async def test_files_that_no_load_can_succeed_with_make_nobody_leave(house: House) -> None:
    await house.manager.ensure_ready(local("a"))
    with pytest.raises(InferenceError, match="model_not_found"):
        await house.manager.ensure_ready(local("b", missing=True))
    assert house.loads == ["a"] and house.line("a")["state"] == "ready"


async def test_the_predicted_stands_beside_the_measured_and_what_came_back_is_told(house: House) -> None:
    house.memory.taken = 3
    await house.manager.ensure_ready(local("a", bytes=1, per_token=1))
    line = await house.until("a", measured_bytes=3)
    assert line["predicted_bytes"] == 1 + 8  # FakeMemory's plan wants 8 tokens
    await house.manager.ensure_ready(local("b"))
    line = house.line("a")
    assert (line["state"], line["returned_bytes"], line["measured_bytes"]) == ("stopped", 3, None)


async def test_the_speed_is_told_while_answers_run_and_not_after(house: House) -> None:
    running = house.ask(local("a"))
    await house.until("a", running=1)
    house.made[0].tokens = 0
    for tokens in (100, 200, 300):
        await asyncio.sleep(1)
        house.made[0].tokens = tokens
    line = await house.until("a", tokens_per_second=100.0)
    assert line["running"] == 1
    house.made[0].go.set()
    await running
    await house.until("a", tokens_per_second=None)


async def test_a_fit_is_told_against_what_is_there_and_who_would_leave(house: House) -> None:
    await house.manager.ensure_ready(local("a", bytes=6))
    found = await house.manager.fit(local("b", bytes=6))
    (device,) = found["devices"]
    assert (device["verdict"], device["free_bytes"], found["best"]) == ("fits_after_eviction", 4, "cpu")
    assert device["evicts"] == [{"id": "a", "name": "a"}]
    assert house.loads == ["a"], "nothing was loaded and nobody left"
    again = await house.manager.fit(local("a", bytes=6))
    assert again["devices"][0]["verdict"] == "fits", "a model does not stand in its own way"


async def test_devices_have_their_own_room(house: House) -> None:
    await house.manager.ensure_ready(local("a", device="cpu"))
    await house.manager.ensure_ready(local("b", device="cuda:0"))
    assert not house.made[0].unloaded
    await house.manager.ensure_ready(local("c", device="cuda:0"))
    assert [engine.unloaded for engine in house.made] == [False, True, False]


async def test_one_load_at_a_time_on_a_device(house: House) -> None:
    waiting = [house.ask(local(name, bytes=3, slow=True)) for name in "ab"]
    other = house.ask(local("c", device="cuda:0", slow=True))
    await house.until("c", state="loading")
    assert (house.line("a")["state"], house.line("b")["state"]) == ("loading", "queued")
    house.made[0].loaded.set()
    await house.until("b", state="loading")
    for engine in house.made:
        engine.loaded.set()
        engine.go.set()
    await asyncio.gather(*waiting, other)


async def test_the_next_load_waits_until_the_memory_is_back(house: House) -> None:
    await house.manager.ensure_ready(local("a"))
    house.memory.back.clear()
    load = asyncio.create_task(house.manager.ensure_ready(local("b")))
    await asyncio.sleep(5)
    assert house.made[0].unloaded and house.loads == ["a"]
    house.memory.back.set()
    await load
    assert house.loads == ["a", "b"]


async def test_memory_that_never_comes_back_is_not_waited_for_for_ever(house: House) -> None:
    await house.manager.ensure_ready(local("a"))
    house.memory.back.clear()
    began = asyncio.get_running_loop().time()
    await house.manager.ensure_ready(local("b"))
    assert 10 <= asyncio.get_running_loop().time() - began < 11


async def test_who_waited_for_a_model_is_served_before_it_leaves_and_who_comes_later_is_not(
    house: House,
) -> None:
    spec = local("a", slots=1)
    waited = [house.ask(spec, request=f"early {n}") for n in range(3)]
    await house.until("a", running=1, waiting=2)
    other = house.ask(local("b"))
    await settle()
    late = house.ask(spec, request="late")
    await settle()
    house.made[0].go.set()
    await asyncio.gather(*waited)
    await house.until("b", running=1)
    assert house.made[0].asked == ["early 0", "early 1", "early 2"]
    house.made[1].go.set()
    await other
    await house.until("a", running=1)
    house.made[2].go.set()
    assert (await late)[-1]["kind"] == "finished" and house.loads == ["a", "b", "a"]


async def test_a_model_stays_when_those_who_wanted_its_room_have_gone(house: House) -> None:
    running = house.ask(local("a"))
    await house.until("a", running=1)
    other = house.ask(local("b"))
    await house.until("a", state="draining")
    late = house.ask(local("a"))
    await settle()
    other.cancel()
    await house.until("a", state="ready", running=2)
    house.made[0].go.set()
    assert (await running)[-1]["kind"] == (await late)[-1]["kind"] == "finished"
    assert house.loads == ["a"]


@pytest.mark.parametrize("seed", range(20))
async def test_ten_requests_for_three_models_switch_once_per_model(house: House, seed: int) -> None:
    """None of them fits beside another. Every request is answered, each load is joined."""
    chance = random.Random(seed)
    names = [*"abc", *(chance.choice("abc") for _ in range(7))]
    chance.shuffle(names)
    asked = [house.ask(local(name, slots=2), user=f"user {n % 3}") for n, name in enumerate(names)]
    names_in_turn = list(dict.fromkeys(names))
    for round_ in range(3):
        (await house.engine(round_)).go.set()
    results = await asyncio.gather(*asked)
    assert [events[-1]["kind"] for events in results] == ["finished"] * 10
    assert sorted(house.loads) == ["a", "b", "c"]
    assert house.loads == names_in_turn, "in the order in which they were asked for"


@pytest.mark.parametrize("seed", range(10))
async def test_under_a_lasting_load_no_model_starves_and_switches_go_round(house: House, seed: int) -> None:
    """Six users ask one of three models again and again; each load serves all who waited."""
    chance = random.Random(seed)
    left, names = 60, "abc"

    async def user(number: int) -> None:
        nonlocal left
        while left > 0:
            left -= 1
            events = await house.ask(local(chance.choice(names), slots=2), user=str(number))
            assert events[-1]["kind"] == "finished"
            await asyncio.sleep(chance.random())

    async def hurry() -> None:
        while True:
            for engine in house.made:
                engine.go.set()
            await asyncio.sleep(0.1)

    helper = asyncio.create_task(hurry())
    await asyncio.gather(*(user(number) for number in range(6)))
    helper.cancel()
    loads = house.loads
    assert set(loads) == set(names) and len(loads) < 60
    assert all(first != second for first, second in pairwise(loads))
    alive = [engine for engine in house.made if not engine.unloaded]
    assert len(alive) == 1
