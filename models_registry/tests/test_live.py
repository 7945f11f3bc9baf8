from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from models_registry import live
from models_registry.tests.fake_inference import FakeInference


class Heard:
    """A listener that can be waited for."""

    def __init__(self) -> None:
        self.all: list[dict[str, Any]] = []
        self._changed = asyncio.Event()

    def __call__(self, event: dict[str, Any]) -> None:
        self.all.append(event)
        self._changed.set()

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not true():
                self._changed.clear()
                await self._changed.wait()

    def states(self) -> list[tuple[str, str]]:
        return [(event["model"], event["state"]) for event in self.all]


@pytest.fixture
async def board() -> AsyncIterator[live.StateBoard]:
    board = live.StateBoard()
    yield board
    await board.stop()
    await live.client().close()


async def test_the_board_follows_the_service(board: live.StateBoard, inference: FakeInference) -> None:
    inference.say("a", "ready")
    heard = Heard()
    end = board.subscribe(heard)
    await board.settle()
    await heard.until(lambda: ("a", "ready") in heard.states())
    inference.say("b", "loading", progress=0.5)
    await heard.until(lambda: ("b", "loading") in heard.states())
    assert board.states["b"]["progress"] == 0.5
    inference.say("b", "stopped")
    await heard.until(lambda: ("b", "stopped") in heard.states())
    assert set(board.states) == {"a"}
    assert board.state_of("b")["state"] == "stopped"
    end()
    other = Heard()
    board.subscribe(other)
    count = len(heard.all)
    inference.say("a", "draining")
    await other.until(lambda: ("a", "draining") in other.states())
    assert len(heard.all) == count


async def test_a_service_without_models_is_there_all_the_same(
    board: live.StateBoard, inference: FakeInference
) -> None:
    await board.settle()
    assert board.error is None
    assert board.state_of("a")["error"] is None


async def test_a_failed_model_stays_with_its_reason(board: live.StateBoard, inference: FakeInference) -> None:
    heard = Heard()
    board.subscribe(heard)
    await board.settle()
    inference.say("a", "failed", error={"code": "out_of_memory", "message": "Too large."})
    await heard.until(lambda: ("a", "failed") in heard.states())
    assert board.state_of("a")["error"]["code"] == "out_of_memory"


async def test_when_the_service_goes_all_are_stopped_and_when_it_is_back_all_is_well(
    board: live.StateBoard, inference: FakeInference
) -> None:
    inference.say("a", "ready")
    heard = Heard()
    board.subscribe(heard)
    await board.settle()
    await heard.until(lambda: ("a", "ready") in heard.states())
    await asyncio.to_thread(inference.stop)
    await heard.until(lambda: heard.states()[-1] == ("a", "stopped"))
    assert heard.all[-1]["error"]["code"] == "unavailable"
    assert board.state_of("a")["error"]["code"] == "unavailable"
    assert board.states == {}
    await asyncio.to_thread(inference.start)
    await heard.until(lambda: heard.states()[-1] == ("a", "ready"))
    assert board.error is None


async def test_a_service_that_is_away_costs_no_wait(board: live.StateBoard) -> None:
    async with asyncio.timeout(live.FIRST_WORD / 2):
        await board.settle()
    assert board.state_of("a")["error"]["code"] == "unavailable"


async def test_a_listener_that_fails_does_not_end_the_watch(
    board: live.StateBoard, inference: FakeInference
) -> None:
    def broken(event: dict[str, Any]) -> None:
        raise RuntimeError("no")

    board.subscribe(broken)
    heard = Heard()
    board.subscribe(heard)
    await board.settle()
    inference.say("a", "loading")
    inference.say("a", "ready")
    await heard.until(lambda: ("a", "ready") in heard.states())


async def test_starting_twice_makes_one_watch(board: live.StateBoard, inference: FakeInference) -> None:
    board.ensure_started()
    board.ensure_started()
    tasks = [task for task in asyncio.all_tasks() if task.get_name() == "models-state-board"]
    assert len(tasks) == 1


async def test_a_view_reads_the_board_of_the_servers_loop(inference: FakeInference) -> None:
    """A synchronous view runs in a thread; the watch that it starts lives on with the server."""
    inference.say("a", "ready")
    board = live.StateBoard()
    await sync_to_async(board.read)()
    assert board.state_of("a")["state"] == "ready"
    heard = Heard()
    board.subscribe(heard)
    inference.say("a", "draining")
    await heard.until(lambda: ("a", "draining") in heard.states())
    await board.stop()


def test_a_board_of_a_loop_that_is_gone_starts_again(inference: FakeInference) -> None:
    """As under a synchronous test client, where each request has a loop of its own."""
    inference.say("a", "ready")
    board = live.StateBoard()
    board.read()
    inference.say("a", "draining")
    board.read()
    assert board.state_of("a")["state"] == "draining"
