"""A process dies in the middle of an answer, and the same answer goes on to the same text."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from inference.engines.echo import word
from tests.house import House, Person, text_of

pytestmark = pytest.mark.e2e

TOKENS = 300
WHOLE = "".join(word(5, position) for position in range(TOKENS))
SCRIPT: dict[str, Any] = {"tokens": TOKENS, "seed": 5, "delay_ms": 5}


@pytest.fixture(scope="module", params=[pytest.param("uvicorn", marks=pytest.mark.windows), "daphne"])
def house(request: pytest.FixtureRequest) -> Iterator[House]:
    with House(SERVER=request.param) as found:
        yield found


@pytest.fixture(scope="module")
def anna(house: House) -> Person:
    return house.register("anna")


@pytest.fixture(scope="module")
def inline(house: House, anna: Person) -> str:
    return house.echo_model(anna, "inline", settings={"inline": True}, **SCRIPT)


@pytest.fixture(scope="module")
def child(house: House, anna: Person) -> str:
    return house.echo_model(anna, "child", **SCRIPT)


async def half_an_answer(house: House, person: Person, model: str) -> tuple[dict[str, Any], list[Any]]:
    """A turn in the middle, and its events so far."""
    body = {"content": "hi", "model": model}
    events = []
    async with house.sse(person, "POST", "/api/chat/stream/", json=body) as stream:
        accepted = (await anext(stream)).data
        async for event in stream:
            events.append(event.data)
            if len(text_of(events)) > len(WHOLE) / 3:
                break
    return accepted, events


async def the_rest(house: House, person: Person, accepted: dict[str, Any], events: list[Any]) -> None:
    """Goes on reading from where `events` end; checks that all is whole and stored."""
    async with house.watch(person, accepted["turn"], len(events)) as stream:
        async for event in stream:
            if event.kind != ":":
                assert event.id == len(events) + 1
                events.append(event.data)
    message = await asyncio.to_thread(house.message, person, accepted)
    assert events[-1] == {"kind": "finished", "reason": "stop"}
    assert text_of(events) == WHOLE == message["parts"][0]["text"]
    assert message["status"] == "done" and message["error"] is None
    assert {"kind": "status", "phase": "resuming"} in events


async def test_the_web_process_is_killed_and_comes_back(house: House, anna: Person, inline: str):
    accepted, events = await half_an_answer(house, anna, inline)
    house.kill("web")
    house.start("web")
    await the_rest(house, anna, accepted, events)


async def test_the_web_process_is_asked_to_end_and_comes_back(house: House, anna: Person, inline: str):
    accepted, events = await half_an_answer(house, anna, inline)
    house.kill("web", signal.SIGTERM)
    house.start("web")
    await the_rest(house, anna, accepted, events)


async def test_a_stop_that_nobody_could_hear_is_heard_after_the_restart(house: House, anna: Person):
    body = {"tokens": 20_000, "delay_ms": 5}
    async with house.sse(anna, "POST", "/api/chat/teststream/", json=body) as stream:
        accepted = (await anext(stream)).data
        async for event in stream:
            if event.kind == "text":
                break
    house.kill("web")
    house.python(
        f"from conversations.leases import turn_request_stop\nturn_request_stop('{accepted['turn']}')"
    )
    house.start("web")
    async with house.watch(anna, accepted["turn"]) as stream:
        events = [event.data async for event in stream]
    assert events[-1] == {"kind": "finished", "reason": "stopped"}
    assert house.message(anna, accepted)["parts"][0]["text"] == text_of(events)


async def test_the_model_service_is_killed_and_comes_back(house: House, anna: Person, inline: str):
    accepted, events = await half_an_answer(house, anna, inline)
    house.kill("inference")
    house.start("inference")
    await the_rest(house, anna, accepted, events)


async def test_the_process_of_a_model_is_killed(house: House, anna: Person, child: str):
    accepted, events = await half_an_answer(house, anna, child)
    pid = next(model["pid"] for model in house.state() if model["id"] == child)
    assert pid not in (None, house.pid("inference"))
    os.kill(pid, signal.SIGKILL)
    await the_rest(house, anna, accepted, events)
    assert next(model["pid"] for model in house.state() if model["id"] == child) != pid
