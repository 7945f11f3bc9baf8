"""Engines that die by themselves: nobody is sent to them, and they come back by themselves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

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
    house = House()
    yield house
    await house.close()


async def test_nobody_is_sent_to_an_engine_that_has_died(house: House) -> None:
    """What is left of a dead process is put away aside, and a request may come in that moment."""
    await house.manager.ensure_ready(local("a"))
    house.made[0].buried.clear()
    house.made[0].exited.set()
    await house.made[0].ending.wait()
    late = house.ask(local("a"))
    house.made[0].buried.set()
    await house.until("a", running=1)
    house.made[1].go.set()
    assert (await late)[-1]["kind"] == "finished"


async def test_a_model_that_died_comes_back_unasked_with_the_reason_meanwhile(house: House) -> None:
    await house.manager.ensure_ready(local("a"))
    house.made[0].why = InferenceError("out_of_memory", "The machine had no memory left.", True)
    house.made[0].exited.set()
    line = await house.until("a", state="queued")
    assert line["error"]["code"] == "out_of_memory"
    await house.until("a", state="ready", error=None)
    assert house.loads == ["a", "a"]


async def test_one_that_dies_again_and_again_waits_longer_each_time_and_then_fails(house: House) -> None:
    loop, times = asyncio.get_running_loop(), []
    await house.manager.ensure_ready(local("a"))
    while house.line("a")["state"] == "ready":
        house.made[-1].exited.set()
        died = loop.time()
        await house.until("a", state="queued" if len(house.made) < 5 else "failed")
        if house.line("a")["state"] == "queued":
            await house.until("a", state="ready")
            times.append(loop.time() - died)
    assert times == pytest.approx([0.25, 0.5, 1, 2])
    await asyncio.sleep(1000)
    assert len(house.made) == 5 and house.line("a")["error"]["code"] == "engine_died"


async def test_an_answer_or_a_long_life_makes_a_model_as_good_as_new(house: House) -> None:
    await house.manager.ensure_ready(local("a"))
    for turn in range(8):
        if turn % 2:
            await asyncio.sleep(100)
        else:
            asked = house.ask(local("a"))
            await house.until("a", running=1)
            house.made[-1].go.set()
            await asked
        house.made[-1].exited.set()
        await house.until("a", state="queued")
        await house.until("a", state="ready")


async def test_who_waits_for_a_slot_when_the_engine_dies_gets_one_of_the_next(house: House) -> None:
    running, waiting = (house.ask(local("a", slots=1), request=name) for name in ("first", "second"))
    await house.until("a", running=1, waiting=1)
    house.made[0].exited.set()
    assert (await running)[-1]["code"] == "engine_died"
    await house.until("a", running=1)
    house.made[1].go.set()
    assert (await waiting)[-1]["kind"] == "finished" and house.made[1].asked == ["second"]


async def test_one_that_died_does_not_drive_out_another_to_come_back(house: House) -> None:
    await house.manager.ensure_ready(local("a", bytes=6))
    house.made[0].buried.clear()
    house.made[0].exited.set()
    await house.made[0].ending.wait()
    other = asyncio.create_task(house.manager.ensure_ready(local("b", bytes=6)))
    await settle()
    house.made[0].buried.set()
    await other
    await asyncio.sleep(1000)
    assert house.loads == ["a", "b"] and house.line("a")["state"] == "stopped"


async def test_an_unload_ends_the_coming_back(house: House) -> None:
    await house.manager.ensure_ready(local("a"))
    house.made[0].exited.set()
    await house.until("a", state="queued")
    await house.manager.unload("a")
    await asyncio.sleep(1000)
    assert house.loads == ["a"] and house.manager.board.lines() == []


async def test_others_notice_nothing_of_a_death(house: House) -> None:
    await house.manager.ensure_ready(local("a", bytes=5))
    other = house.ask(local("b", bytes=5))
    await house.until("b", running=1)
    house.made[0].exited.set()
    await house.until("a", state="queued")
    await house.until("a", state="ready")
    house.made[1].go.set()
    assert (await other)[-1]["kind"] == "finished" and house.loads == ["a", "b", "a"]
