"""Text reaches its reader while the model makes the next: over both doors, from a script and a real model."""

from __future__ import annotations

import asyncio
import copy
import json
import os
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.flow import Pace, check_flow
from tests.house import House, Person, parse_sse
from tests.nginx import nginx
from tests.patience import timed

pytestmark = [pytest.mark.e2e, timed]
PACED = {"tokens": 25, "delay_ms": 100}
QUESTION = "Write a long story about a small house at the edge of a forest."
REAL = {"content": QUESTION, "model": "Real", "params": {"max_tokens": 24, "temperature": 0}}
# A proxy that gathers what it gets, whatever the answer's own header asks for.
GATHERS = "proxy_ignore_headers X-Accel-Buffering; gzip on; gzip_types text/event-stream; gzip_min_length 0;"


@dataclass
class Seen:
    arrivals: list[float] = field(default_factory=list)
    usage: dict[str, Any] = field(default_factory=dict)
    text: str = ""

    def event(self, kind: str, event: dict[str, Any]) -> None:
        if kind == "text":
            self.arrivals.append(time.monotonic())
            self.text += event["text"]
        elif kind == "usage":
            self.usage = event
        assert kind != "failed", event


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with House() as house:
        yield house


@pytest.fixture(scope="module")
def anna(house: House) -> Person:
    return house.register("anna")


@pytest.fixture(scope="module")
def real(house: House, anna: Person) -> None:
    """The real model, loaded and warm."""
    source = {"kind": "folder", "path": os.environ["HEARTH_TEST_MODEL"]}
    house.call("POST", "/api/models/", anna, status=201, json={"name": "Real", "source": source})
    asyncio.run(curl(house, anna, "/api/chat/stream/", REAL | {"params": {"max_tokens": 4}}))


async def curl(house: House, person: Person, path: str, body: dict[str, Any]) -> Seen:
    """What a real curl prints, line by line, as it prints it."""
    process = await asyncio.create_subprocess_exec(
        *("curl", "-N", "-sS", "--compressed", "--noproxy", "*", "-X", "POST", house.url + path),
        *("-H", "Content-Type: application/json", "-H", f"Authorization: Bearer {person.access}"),
        *("-d", json.dumps(body)),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None

    async def lines(stream: asyncio.StreamReader) -> AsyncIterator[str]:
        async for line in stream:
            yield line.decode().rstrip("\n")

    seen = Seen()
    async with asyncio.timeout(90):
        async for sent in parse_sse(lines(process.stdout)):
            seen.event(sent.kind, sent.data)
        assert await process.wait() == 0
    return seen


async def over_websocket(house: House, person: Person, **start: Any) -> Seen:
    seen = Seen()
    async with house.ws(person) as socket:
        await socket.send("turn.start", client_id=os.urandom(8).hex(), conversation=None, **start)
        turn = (await socket.until("turn.accepted"))["turn"]
        async for frame in socket.events(turn, within=60):
            seen.event(frame["event"]["kind"], frame["event"])
    return seen


async def test_the_test_stream_arrives_in_its_script_s_steps(house: House, anna: Person) -> None:
    seen = await curl(house, anna, "/api/chat/teststream/", PACED)
    check_flow(seen.arrivals, Pace(25, 0.1))
    assert len(seen.arrivals) == 25


async def test_an_echo_over_the_websocket_arrives_in_its_script_s_steps(house: House, anna: Person) -> None:
    model = house.echo_model(anna, "Paced", settings={"inline": True}, **PACED)
    seen = await over_websocket(house, anna, content="Go on", model=model)
    check_flow(seen.arrivals, Pace(25, 0.1))


async def test_nginx_lets_the_stream_flow_and_one_that_gathers_is_found_out(
    house: House, anna: Person
) -> None:
    with nginx(house.port) as good, nginx(house.port, GATHERS) as bad:
        through, gathered = copy.copy(house), copy.copy(house)
        through.url, gathered.url = good, bad
        both = (
            curl(through, anna, "/api/chat/teststream/", PACED),
            curl(gathered, anna, "/api/chat/teststream/", PACED),
        )
        flowing, held = await asyncio.gather(*both)
    check_flow(flowing.arrivals, Pace(25, 0.1))
    assert held.text == flowing.text
    with pytest.raises(AssertionError, match="25 arrivals of 25 tokens"):
        check_flow(held.arrivals, Pace(25, 0.1))


@pytest.mark.real_model
async def test_curl_gets_a_real_model_s_tokens_as_they_are_made(
    house: House, anna: Person, real: None
) -> None:
    seen = await curl(house, anna, "/api/chat/stream/", REAL)
    check_flow(seen.arrivals, Pace.of(seen.usage))


@pytest.mark.real_model
async def test_a_websocket_gets_a_real_model_s_tokens_as_they_are_made(
    house: House, anna: Person, real: None
) -> None:
    seen = await over_websocket(house, anna, **REAL)
    check_flow(seen.arrivals, Pace.of(seen.usage))
