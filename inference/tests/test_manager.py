"""The manager's decisions, with engines whose every step the test commands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from inference.errors import InferenceError
from inference.protocol import Event, GenerateRequest, ModelSpec
from inference.service.manager import Manager
from inference.service.queue import FairQueue
from inference.service.residency import Resident, to_evict
from inference.tests.conftest import HELLO, collect

#: No answer here takes longer by itself (seconds).
DRAIN_LIMIT = 0.5


class FakeEngine:
    def __init__(self, spec: ModelSpec) -> None:
        self.spec, self.go, self.unloaded = spec, asyncio.Event(), False
        self.exited, self.ending, self.buried = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.buried.set()

    async def load(self, report: Any) -> dict[str, Any]:
        if self.spec.settings.get("broken"):
            raise InferenceError("load_failed", "broken")
        return {"capabilities": {}}

    async def generate(self, request: GenerateRequest) -> AsyncIterator[Event]:
        await self.go.wait()
        if self.unloaded:
            raise InferenceError("engine_died", "The model's process ended.", True)
        yield {"kind": "raw", "text": self.spec.id}
        yield {"kind": "finished", "reason": "stop"}

    async def abort(self, request_id: str) -> None: ...

    def stats(self) -> dict[str, Any]:
        return {}

    async def unload(self) -> None:
        self.unloaded = True
        self.ending.set()
        self.exited.set()
        self.go.set()
        await self.buried.wait()


@pytest.fixture
async def house() -> AsyncIterator[tuple[Manager, list[FakeEngine]]]:
    made: list[FakeEngine] = []

    def make(spec: ModelSpec) -> FakeEngine:
        made.append(FakeEngine(spec))
        return made[-1]

    manager = Manager(make_engine=make, backoff=(0.01, 0.02), drain_limit=DRAIN_LIMIT)
    yield manager, made
    await manager.close()


def local(name: str, **settings: Any) -> ModelSpec:
    return ModelSpec(name, name, "transformers", {}, settings)


def ask(manager: Manager, spec: ModelSpec) -> asyncio.Task[list[Event]]:
    return asyncio.create_task(collect(manager.stream(spec, GenerateRequest("r", HELLO))))


async def until(manager: Manager, model: str, **values: Any) -> None:
    async with asyncio.timeout(2):
        async for line in manager.board.watch():
            if line["model"] == model and all(line[key] == value for key, value in values.items()):
                return


async def test_a_second_local_model_waits_for_the_first_ones_answer(house) -> None:
    manager, made = house
    first = ask(manager, local("a"))
    await until(manager, "a", running=1)
    second = ask(manager, local("b"))
    await until(manager, "a", state="draining")
    assert len(made) == 1 and not made[0].unloaded
    made[0].go.set()
    assert (await first)[-1]["kind"] == "finished"
    await until(manager, "b", running=1)
    assert made[0].unloaded
    made[1].go.set()
    events = await second
    assert {"kind": "status", "phase": "evicting", "models": ["a"]} in events
    assert events[-1]["kind"] == "finished"


async def test_a_failed_load_fails_all_who_wait_and_the_next_try_comes_after_the_back_off(house) -> None:
    manager, made = house
    results = await asyncio.gather(*(ask(manager, local("a", broken=True)) for _ in range(3)))
    assert [events[-1]["code"] for events in results] == ["load_failed"] * 3 and len(made) == 1
    assert (await ask(manager, local("a", broken=True)))[-1]["code"] == "load_failed" and len(made) == 2
    await manager.ensure_ready(local("a"))


async def test_unload_while_waiting_fails_the_waiting_and_lets_the_running_end(house) -> None:
    manager, made = house
    running = ask(manager, local("a", slots=1))
    await until(manager, "a", running=1)
    waiting = ask(manager, local("a", slots=1))
    await until(manager, "a", waiting=1)
    unload = asyncio.create_task(manager.unload("a"))
    assert (await waiting)[-1]["code"] == "unloaded"
    made[0].go.set()
    assert (await running)[-1]["kind"] == "finished"
    await unload
    assert made[0].unloaded and manager.board.lines() == []


async def test_nobody_is_sent_to_an_engine_that_has_died(house) -> None:
    """What is left of a dead process is put away aside, and a request may come in that moment."""
    manager, made = house
    await manager.ensure_ready(local("a"))
    made[0].buried.clear()
    made[0].exited.set()
    await made[0].ending.wait()
    late = ask(manager, local("a"))
    made[0].buried.set()
    await until(manager, "a", running=1)
    made[1].go.set()
    assert (await late)[-1]["kind"] == "finished"


async def test_an_answer_that_an_unload_ends_is_not_to_be_tried_again(house) -> None:
    """A retry would load what somebody just asked to unload."""
    manager, made = house
    running = ask(manager, local("a"))
    await until(manager, "a", running=1)
    await manager.unload("a")
    last = (await running)[-1]
    assert (last["code"], last["retryable"]) == ("unloaded", False)
    assert made[0].unloaded and manager.board.lines() == []


def idle(model: str, used: float, **more: Any) -> Resident:
    return Resident(model, more.pop("running", 0), used, **more)


@pytest.mark.parametrize(
    ("residents", "limit", "expected"),
    [
        ([], 1, None),
        ([idle("a", 1)], 2, None),
        ([idle("a", 1)], 1, ["a"]),
        ([idle("a", 2), idle("b", 1)], 2, ["b"]),
        ([idle("a", 2), idle("b", 1, running=1)], 2, ["a"]),
        ([idle("a", 1, leaving=True)], 1, []),
        ([idle("a", 1, settled=False)], 1, []),
    ],
)
def test_who_leaves(residents: list[Resident], limit: int, expected: list[str] | None) -> None:
    assert to_evict(residents, limit) == expected


def test_the_queue_gives_what_its_order_says() -> None:
    queue: FairQueue[str] = FairQueue()
    for user, item in [("a", "a1"), ("a", "a2"), ("b", "b1"), ("a", "a3"), ("c", "c1")]:
        queue.push(user, item)
    order = queue.order({"c": 1})
    assert order == ["a1", "b1", "a2", "c1", "a3"]
    queue.remove("b", "b1")
    assert queue.pop({"c": 1}) == "a1" and len(queue) == 3
