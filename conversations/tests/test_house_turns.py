"""Turns over real sockets: streaming, stopping, and going on reading from any place over either door."""

from __future__ import annotations

import asyncio
import json
import random
import time
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.house import LAST, House, Person, text_of
from tests.patience import timed, within

pytestmark = pytest.mark.e2e

#: Long enough to be stopped, too long to end by itself within a test.
LONG = {"tokens": 20_000, "delay_ms": 5}


@pytest.fixture(scope="module", params=["uvicorn", "daphne"])
def house(request: pytest.FixtureRequest) -> Iterator[House]:
    with House(SERVER=request.param) as found:
        yield found


@pytest.fixture(scope="module")
def anna(house: House) -> Person:
    person = house.register("anna")
    house.echo_model(person, settings={"inline": True}, tokens=40, delay_ms=2)
    return person


async def test_teststream_is_accepted_numbered_and_whole(house: House, anna: Person):
    body = {"tokens": 30, "delay_ms": 1}
    async with house.sse(anna, "POST", "/api/chat/teststream/", json=body) as stream:
        sent = [event async for event in stream]
    accepted, *events = sent
    assert accepted.kind == "accepted" and accepted.id == 0
    assert set(accepted.data) == {"turn", "conversation", "user_message", "assistant_message"}
    assert [event.id for event in events] == list(range(1, len(events) + 1))
    assert all(event.kind == event.data["kind"] for event in events)
    assert events[-1].data["reason"] == "stop"
    message = house.message(anna, accepted.data)
    assert message["status"] == "done" and message["turn"] is None
    assert message["parts"] == [{"type": "text", "text": text_of([event.data for event in events])}]
    assert len(message["parts"][0]["text"].split()) == 30


async def test_a_test_stream_is_in_no_list(house: House, anna: Person):
    async with house.sse(anna, "POST", "/api/chat/teststream/", json={"tokens": 1, "delay_ms": 0}) as stream:
        accepted = (await anext(stream)).data
        _rest = [event async for event in stream]
    listed = house.call("GET", "/api/conversations/", anna)["results"]
    assert accepted["conversation"] not in [conversation["id"] for conversation in listed]


async def test_the_headers_of_a_stream(house: House, anna: Person):
    async with (
        httpx.AsyncClient(timeout=60, trust_env=False, verify=False) as client,
        client.stream(
            "POST",
            house.url + "/api/chat/teststream/",
            headers=anna.headers,
            json={"tokens": 1, "delay_ms": 0},
        ) as answer,
    ):
        assert answer.headers["x-accel-buffering"] == "no"
        assert "no-cache" in answer.headers["cache-control"]
        _body = await answer.aread()


@timed
async def test_stop_over_the_socket_frees_the_engine_and_keeps_the_text(house: House, anna: Person):
    async with house.ws(anna) as socket:
        accepted, text = await begun(house, anna, socket)
        began = time.monotonic()
        await socket.send("turn.stop", turn=accepted["turn"])
        house.until(lambda: house.running() == 0, "the engine to be idle")
        within(0.3, time.monotonic() - began)
        frames = [frame async for frame in socket.events(accepted["turn"])]
    assert frames[-1]["event"] == {"kind": "finished", "reason": "stopped"}
    message = house.message(anna, accepted)
    assert message["status"] == "stopped"
    assert message["parts"][0]["text"] == text + text_of([frame["event"] for frame in frames])


@timed
async def test_stop_over_rest_does_the_same(house: House, anna: Person):
    async with house.sse(anna, "POST", "/api/chat/teststream/", json=LONG) as stream:
        accepted = (await anext(stream)).data
        async for event in stream:
            if event.kind == "text":
                break
        began = time.monotonic()
        answer = await asyncio.to_thread(
            house.call, "POST", f"/api/turns/{accepted['turn']}/stop/", anna, status=202
        )
        assert answer == {"turn": accepted["turn"]}
        await asyncio.to_thread(house.until, lambda: house.running() == 0, "the engine to be idle")
        within(0.5, time.monotonic() - began)  # with the call's own way through HTTP
        events = [event async for event in stream]
    assert events[-1].data == {"kind": "finished", "reason": "stopped"}
    # A turn that has ended is no error.
    assert house.call("POST", f"/api/turns/{accepted['turn']}/stop/", anna, status=202)


async def test_a_turn_is_not_its_readers(house: House, anna: Person):
    body = {"tokens": 40, "delay_ms": 5}
    async with house.sse(anna, "POST", "/api/chat/teststream/", json=body) as stream:
        accepted = (await anext(stream)).data
    async with house.watch(anna, accepted["turn"]) as stream:
        events = [event async for event in stream]
    assert [event.id for event in events] == list(range(1, len(events) + 1))
    assert house.message(anna, accepted)["status"] == "done"


@timed
async def test_a_sender_who_goes_at_once_has_its_answer_made(house: House, anna: Person):
    """The turn begins while its socket is being closed: nobody's cancellation may leave it lying."""
    for _ in range(5):
        client_id = uuid.uuid4().hex
        async with house.ws(anna) as socket:
            await socket.send("turn.start", client_id=client_id, conversation=None, content="hasty")
        async with house.ws(anna) as socket:
            await socket.send("turn.start", client_id=client_id, conversation=None, content="hasty")
            accepted = await socket.until("turn.accepted", client_id=client_id)
            began = time.monotonic()
            await socket.text(accepted["turn"])
            within(3, time.monotonic() - began)


@timed
async def test_a_caller_who_hangs_up_at_once_has_its_answer_made(house: House, anna: Person):
    for number in range(5):
        body = json.dumps({"content": "hasty", "client_id": uuid.uuid4().hex})
        head = (
            f"POST /api/chat/stream/ HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {anna.access}\r\n"
        )
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        _reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
        writer.write((head + body).encode())
        await writer.drain()
        await asyncio.sleep(number * 0.004)  # hangs up at different places
        writer.transport.abort()
        async with house.sse(anna, "POST", "/api/chat/stream/", json=json.loads(body)) as stream:
            began = time.monotonic()
            _events = [event async for event in stream]
        within(3, time.monotonic() - began)


async def test_a_hundred_cuts_over_both_doors(house: House, anna: Person):
    """A reader that is cut at random places and comes back over the other door gets every event once."""
    dice = random.Random(7)
    body = {"tokens": 1500, "delay_ms": 6}  # slow enough for a hundred cuts on a busy machine
    async with house.sse(anna, "POST", "/api/chat/teststream/", json=body) as stream:
        accepted = (await anext(stream)).data
    events: list[dict[str, Any]] = []
    cuts = 0
    while not events or events[-1]["kind"] not in LAST:
        until = len(events) + dice.randrange(0, 10) if cuts < 100 else 10**9
        if dice.random() < 0.5:
            await read_socket(house, anna, accepted["turn"], events, until)
        else:
            await read_stream(house, anna, accepted["turn"], events, until)
        cuts += 1
    assert cuts > 100
    message = house.message(anna, accepted)
    assert text_of(events).encode() == message["parts"][0]["text"].encode()
    assert len(message["parts"][0]["text"].split()) == 1500


async def test_every_place_of_an_ended_turn(house: House, anna: Person):
    async with house.sse(anna, "POST", "/api/chat/teststream/", json={"tokens": 5, "delay_ms": 1}) as stream:
        accepted = (await anext(stream)).data
        whole = [event async for event in stream]
    async with house.ws(anna) as socket:
        for after in range(len(whole)):
            async with house.watch(anna, accepted["turn"], after) as stream:
                assert [event async for event in stream] == whole[after:]
            await socket.send("turn.watch", turn=accepted["turn"], after_seq=after)
            frames = [frame async for frame in socket.events(accepted["turn"])]
            assert [(f["seq"], f["event"]) for f in frames] == [(e.id, e.data) for e in whole[after:]]


async def test_the_page_that_loads_in_mid_turn_misses_nothing(house: House, anna: Person):
    """`parts` hold everything up to `turn.seq`, and watching from there gives the rest."""
    async with house.sse(
        anna, "POST", "/api/chat/teststream/", json={"tokens": 300, "delay_ms": 3}
    ) as stream:
        accepted = (await anext(stream)).data
        async for event in stream:
            if event.kind == "text":
                break
        for _look in range(5):
            message = await asyncio.to_thread(house.message, anna, accepted)
            before = "".join(part["text"] for part in message["parts"])
            assert message["status"] == "streaming" and message["turn"]["id"] == accepted["turn"]
            async with house.watch(anna, accepted["turn"], message["turn"]["seq"]) as rest:
                after = [(await anext(rest)).data for _event in range(3)]
            so_far = before + text_of(after)
            async with house.watch(anna, accepted["turn"]) as again:
                whole: list[dict[str, Any]] = []
                async for event in again:
                    whole.append(event.data)
                    if len(text_of(whole)) >= len(so_far):
                        break
            assert text_of(whole).startswith(so_far)


async def begun(house: House, person: Person, socket: Any) -> tuple[dict[str, Any], str]:
    """A long turn on this socket that has begun to speak, and what it said."""
    async with house.sse(person, "POST", "/api/chat/teststream/", json=LONG) as stream:
        accepted = (await anext(stream)).data
    await socket.send("turn.watch", turn=accepted["turn"], after_seq=0)
    events: list[dict[str, Any]] = []
    while not events or events[-1]["kind"] != "text":
        events.append((await socket.until("turn.event", turn=accepted["turn"]))["event"])
    return accepted, text_of(events)


async def read_socket(house: House, person: Person, turn: str, events: list[Any], until: int) -> None:
    async with house.ws(person) as socket:
        await socket.send("turn.watch", turn=turn, after_seq=len(events))
        while len(events) < until:
            frame = await socket.until("turn.event", turn=turn)
            assert frame["seq"] == len(events) + 1
            events.append(frame["event"])
            if frame["event"]["kind"] in LAST:
                return
        socket.cut()


async def read_stream(house: House, person: Person, turn: str, events: list[Any], until: int) -> None:
    async with house.watch(person, turn, len(events)) as stream:
        while len(events) < until:
            sent = await anext(stream)
            assert sent.id == len(events) + 1
            events.append(sent.data)
            if sent.kind in LAST:
                return


def test_the_stored_text_is_json_safe(house: House, anna: Person):
    """Line ends inside a text do not break the framing of a stream."""
    body = {"content": "eins\r\n\nzwei\u2028drei 你好 😀"}
    with httpx.stream(
        "POST",
        house.url + "/api/chat/stream/",
        headers=anna.headers,
        json=body,
        timeout=60,
        trust_env=False,
        verify=False,
    ) as answer:
        raw = answer.read().decode()
    records = [record.split("\n") for record in raw.strip().split("\n\n")]
    for fields in records:
        assert [field.partition(":")[0] for field in fields][-2:] == ["event", "data"]
        assert isinstance(json.loads(fields[-1].removeprefix("data: ")), dict)
