"""A model may be silent for as long as it likes: what stands between it and the reader must not give up."""

from __future__ import annotations

import asyncio
import copy
import itertools
import time

import pytest

from inference.engines.echo import word
from tests.house import House, Person, text_of
from tests.nginx import nginx

pytestmark = [pytest.mark.slow, pytest.mark.e2e]
SILENCE_S = 90.0
TOKENS = 3
TEXT = "".join(word(0, position) for position in range(TOKENS))


def check(name: str, began: float, signs: list[float], first: float, text: str) -> None:
    """`signs`: when anything at all came. In the silence there was one within every default time-out."""
    print(f"{name}: first text after {first - began:.1f} s, {len(signs)} signs of life before")
    assert SILENCE_S - 1 <= first - began <= SILENCE_S + 8, name
    gaps = [later - earlier for earlier, later in itertools.pairwise([began, *signs, first])]
    assert max(gaps) < 20, name
    assert text == TEXT, name


async def over_websocket(name: str, house: House, person: Person, model: str) -> None:
    async with house.ws(person) as socket:
        began, signs, first = time.monotonic(), [], 0.0
        await socket.send("turn.start", client_id=name, conversation=None, content="Well?", model=model)
        events = []
        while not events or events[-1]["kind"] not in ("finished", "failed"):
            frame = await socket.next(within=40)
            if frame["type"] == "turn.event":
                events.append(frame["event"])
                first = first or (time.monotonic() if frame["event"]["kind"] == "text" else 0.0)
            if not first:
                signs.append(time.monotonic())
        assert events[-1] == {"kind": "finished", "reason": "stop"}
        check(name, began, signs, first, text_of(events))


async def over_sse(name: str, house: House, person: Person) -> None:
    body = {"tokens": TOKENS, "delay_ms": 0, "first_delay_ms": SILENCE_S * 1000}
    began, signs, first, text, last = time.monotonic(), [], 0.0, "", None
    async with house.sse(person, "POST", "/api/chat/teststream/", json=body) as events:
        async for event in events:
            if event.kind == "text":
                text += event.data["text"]
                first = first or time.monotonic()
            if not first:
                signs.append(time.monotonic())
            last = event
    assert last is not None and last.kind == "finished"
    check(name, began, signs, first, text)


async def test_a_model_that_is_silent_for_ninety_seconds_answers_through_every_door() -> None:
    with House() as house, nginx(house.port) as address:
        proxied = copy.copy(house)
        proxied.url = address
        anna = house.register("anna")
        settings = {"inline": True, "slots": 8}
        script = {"tokens": TOKENS, "seed": 0, "delay_ms": 0, "first_delay_ms": SILENCE_S * 1000}
        model = house.echo_model(anna, "Silent", settings=settings, **script)
        async with asyncio.TaskGroup() as doors:
            doors.create_task(over_websocket("socket", house, anna, model))
            doors.create_task(over_websocket("socket through nginx", proxied, anna, model))
            doors.create_task(over_sse("stream", house, anna))
            doors.create_task(over_sse("stream through nginx", proxied, anna))
