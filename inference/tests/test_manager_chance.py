"""The manager under random requests, cancellations, unloads, pins, failed loads and deaths.

Whatever happens: each request ends in exactly one last event, the models in memory never take more than there
is, one load is under way per device, and in the end nothing is left over.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

import pytest

from inference.errors import InferenceError
from inference.protocol import Event, ModelSpec
from inference.service.deployment import State
from inference.tests.fake_engines import FakeEngine, House, local
from inference.tests.virtual_time import VirtualPolicy

pytestmark = pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy")

TOTAL = 10
SIZES = {"a": 4, "b": 4, "c": 7, "d": 2, "e": 11}
ENDS = ("finished", "failed")


@pytest.fixture
def event_loop_policy() -> VirtualPolicy:
    return VirtualPolicy()


class Chance:
    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.house = House(TOTAL, drain_limit=2.0)
        self.asked: list[asyncio.Task[list[Event]]] = []
        self.others: list[asyncio.Task[None]] = []

    def spec(self) -> ModelSpec:
        name = self.random.choice("aabbccdde")
        settings: dict[str, Any] = {"bytes": SIZES[name], "slots": 2}
        if self.random.random() < 0.1:
            settings["broken"] = True
        if name == "d":
            settings["keep_alive"] = 1
        if name == "b":
            settings["queue_limit"] = 3
        return local(name, **settings)

    def act(self) -> None:
        house, draw = self.house, self.random.random()
        alive = [engine for engine in house.made if not engine.unloaded]
        if draw < 0.5:
            self.asked.append(house.ask(self.spec(), user=self.random.choice("xyz")))
        elif draw < 0.6 and self.asked:
            self.random.choice(self.asked).cancel()
        elif draw < 0.65:
            self.aside(house.manager.unload(self.random.choice("abcde")))
        elif draw < 0.7:
            self.aside(self.load(self.spec()))
        elif draw < 0.75:
            house.manager.pin(self.random.choice("abd"), self.random.random() < 0.3)
        elif draw < 0.8 and alive:
            self.random.choice(alive).exited.set()
        elif draw < 0.85:
            (house.memory.back.clear if self.random.random() < 0.5 else house.memory.back.set)()
        elif alive:
            self.answer(self.random.choice(alive))

    def answer(self, engine: FakeEngine) -> None:
        """Its answers end, and those that begin later wait again."""
        engine.go.set()
        engine.go = asyncio.Event()

    async def load(self, spec: ModelSpec) -> None:
        try:
            await self.house.manager.ensure_ready(spec)
        except InferenceError as error:
            assert error.code in ("load_failed", "out_of_memory", "unloaded", "engine_died")

    def aside(self, work: Any) -> None:
        self.others.append(asyncio.create_task(work))

    def check(self) -> None:
        models = list(self.house.manager._models.values())
        here = [model for model in models if model.state in (State.LOADING, State.READY, State.DRAINING)]
        assert sum(model.held for model in here) <= TOTAL
        assert Counter(model.state for model in models)[State.LOADING] <= 1
        for model in models:
            assert model.running.total() <= 2
            assert (model.engine is not None) or not model.running or model.state is not State.READY

    async def finish(self) -> None:
        """Nobody asks any more, and every answer may end."""
        self.house.memory.back.set()
        for pinned in self.house.manager.pins():
            self.house.manager.pin(pinned, False)
        async with asyncio.timeout(10_000):
            while not all(task.done() for task in (*self.asked, *self.others)):
                for engine in self.house.made:
                    engine.go.set()
                await asyncio.sleep(0.1)
        await asyncio.sleep(200)  # back-offs, keep-alives


@pytest.mark.parametrize("seed", range(50))
async def test_whatever_happens(seed: int) -> None:
    chance = Chance(seed)
    for _ in range(200):
        chance.act()
        await asyncio.sleep(chance.random.choice([0, 0, 0, 0.01, 0.1, 1]))
        chance.check()
    await chance.finish()
    chance.check()
    for task in chance.asked:
        if not task.cancelled():
            kinds = [event["kind"] for event in task.result()]
            assert kinds[-1] in ENDS and sum(kind in ENDS for kind in kinds) == 1
    for other in chance.others:
        other.result()
    for model in chance.house.manager._models.values():
        assert model.state in (State.STOPPED, State.READY, State.FAILED)
        assert not model.running and not model.is_asked_for and not model.leaving and model.task is None
    alive = [engine for engine in chance.house.made if not engine.unloaded]
    assert len(alive) == sum(model.engine is not None for model in chance.house.manager._models.values())
    await chance.house.close()
    assert all(engine.unloaded for engine in chance.house.made)
