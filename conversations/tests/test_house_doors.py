"""Who may come in, what a rude or slow client does, and what two tabs see."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.house import House, Person
from tests.patience import timed, within

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with House() as found:
        yield found


@pytest.fixture(scope="module")
def anna(house: House) -> Person:
    person = house.register("anna")
    house.echo_model(person, settings={"inline": True}, tokens=40, delay_ms=2)
    return person


@pytest.fixture(scope="module")
def berta(house: House, anna: Person) -> Person:
    return house.register("berta")


async def start(socket: Any, client_id: str, **more: Any) -> dict[str, Any]:
    fields = {"conversation": None, "content": "hi"} | more
    await socket.send("turn.start", client_id=client_id, **fields)
    accepted: dict[str, Any] = await socket.until("turn.accepted", client_id=client_id)
    return accepted


async def refusal(socket: Any) -> dict[str, Any]:
    while (frame := await socket.next())["type"] != "error":
        pass
    told: dict[str, Any] = frame
    return told


async def test_the_protocol_is_answered_and_a_ping(house: House, anna: Person):
    async with house.ws(anna) as socket:
        assert socket.raw.subprotocol == "chat.v1"
        await socket.send("ping", t=5)
        assert (await socket.until("pong"))["t"] == 5


@pytest.mark.parametrize("token", ["rubbish", "a.b.c", "hk_nobody"])
async def test_a_bad_token_is_told_by_the_close_code(house: House, token: str):
    async with house.ws(None, token=token) as socket:
        with pytest.raises(ConnectionClosed):
            await socket.next()
        assert socket.raw.close_code == 4401


async def test_a_foreign_page_is_refused_before_the_upgrade(house: House, anna: Person):
    with pytest.raises(InvalidStatus) as refused:
        async with house.ws(anna, origin="https://elsewhere.example"):
            pass
    assert refused.value.response.status_code == 403
    async with house.ws(anna, origin=house.url):
        pass


@timed
async def test_a_revoked_family_closes_its_sockets_within_a_second(house: House, anna: Person, berta: Person):
    sessions = [
        house.call(
            "POST",
            "/api/auth/token/",
            json={"grant_type": "password", "username": "berta", "password": "a stove warms the house"},
        )
        for _ in range(2)
    ]
    async with (
        house.ws(None, token=sessions[0]["access_token"]) as mine,
        house.ws(None, token=sessions[1]["access_token"]) as other,
    ):
        await other.send("ping", t=1)
        await other.until("pong")
        began = time.monotonic()
        await asyncio.to_thread(
            house.call, "POST", "/api/auth/revoke/", json={"token": sessions[0]["refresh_token"]}
        )
        with pytest.raises(ConnectionClosed):
            while True:
                await mine.next()
        within(1, time.monotonic() - began)
        assert mine.raw.close_code == 4401
        await other.send("ping", t=2)
        await other.until("pong")


@timed
async def test_a_deleted_key_closes_its_sockets(house: House, berta: Person):
    key = house.call("POST", "/api/auth/keys/", berta, status=201, json={"name": "script"})
    async with house.ws(None, token=key["key"]) as socket:
        await socket.send("ping", t=1)
        await socket.until("pong")
        began = time.monotonic()
        await asyncio.to_thread(house.call, "DELETE", f"/api/auth/keys/{key['id']}/", berta, status=204)
        with pytest.raises(ConnectionClosed):
            while True:
                await socket.next()
        within(1, time.monotonic() - began)
        assert socket.raw.close_code == 4401


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("x" * 1_000_001, "frame_too_large"),
        ("你" * 1_000_001, "frame_too_large"),
        (b"\x00\xff", "invalid_frame"),
        (b"", "invalid_frame"),
        ("", "invalid_frame"),
        ("rubbish", "invalid_frame"),
        ("[" * 100_000, "invalid_frame"),
        ('{"type": "dance"}', "unknown_type"),
        ('{"type": "ping", "more": 1}', "invalid"),
        ('{"type": "turn.stop", "turn": "nobody"}', "not_found"),
        ('{"type": "turn.watch", "turn": "nobody", "after_seq": 0}', "not_found"),
        (json.dumps({"type": "turn.retry", "client_id": "r", "message": "nobody"}), "not_found"),
        (
            json.dumps({"type": "turn.start", "client_id": "e", "conversation": None, "content": "\0"}),
            "invalid",
        ),
        (
            json.dumps({"type": "turn.start", "client_id": "x" * 65, "conversation": None, "content": "a"}),
            "invalid",
        ),
        (
            json.dumps(
                {"type": "turn.start", "client_id": "m", "conversation": None, "content": "a", "model": "no"}
            ),
            "model_not_found",
        ),
        (
            json.dumps(
                {"type": "turn.start", "client_id": "t", "conversation": None, "content": "a", "task": "auto"}
            ),
            "unsupported_task",
        ),
    ],
)
async def test_a_wrong_frame_is_answered_and_the_socket_lives(
    house: House, anna: Person, frame: str | bytes, code: str
):
    async with house.ws(anna) as socket:
        await socket.raw.send(frame)
        told = await refusal(socket)
        assert told["code"] == code and told["message"]
        assert set(told) - {"client_id", "turn"} == {"type", "code", "message", "extra"}
        await socket.send("ping", t=1)
        await socket.until("pong")


async def test_another_users_turn_does_not_exist(house: House, anna: Person, berta: Person):
    async with house.ws(anna) as mine, house.ws(berta) as other:
        accepted = await start(mine, "private")
        for frame in (
            {"type": "turn.watch", "turn": accepted["turn"], "after_seq": 0},
            {"type": "turn.stop", "turn": accepted["turn"]},
            {
                "type": "turn.start",
                "client_id": "x",
                "conversation": accepted["conversation"],
                "content": "a",
            },
            {"type": "turn.edit", "client_id": "x", "message": accepted["user_message"], "content": "a"},
            {"type": "turn.retry", "client_id": "x", "message": accepted["assistant_message"]},
            {"type": "turn.continue", "client_id": "x", "message": accepted["assistant_message"]},
        ):
            await other.raw.send(json.dumps(frame))
            assert (await refusal(other))["code"] == "not_found"
        assert (await mine.text(accepted["turn"])).count(" ") >= 30
        assert {frame["type"] for frame in other.seen} <= {"error", "heartbeat", "model.changed"}


async def test_a_repeated_client_id_gets_the_same_turn(house: House, anna: Person):
    async with house.ws(anna) as first, house.ws(anna) as second:
        frame = {"client_id": "again", "conversation": None, "content": "hi"}
        for _ in range(3):
            await first.send("turn.start", **frame)
            await second.send("turn.start", **frame)
        told = [await first.until("turn.accepted") for _ in range(3)]
        told += [await second.until("turn.accepted") for _ in range(3)]
        assert all(one == told[0] for one in told)
        over_rest = house.call(
            "POST",
            f"/api/conversations/{told[0]['conversation']}/messages/",
            anna,
            status=202,
            json={"content": "hi", "client_id": "again"},
        )
        assert over_rest["turn"] == told[0]["turn"]


async def test_the_other_tab_hears_of_a_turn_and_can_watch_it(house: House, anna: Person):
    async with house.ws(anna) as first, house.ws(anna) as second:
        accepted = await start(first, "tabs")
        heard = await second.until("turn.started", turn=accepted["turn"])
        assert heard["assistant_message"] == accepted["assistant_message"]
        await second.until("conversation.changed")
        await second.send("turn.watch", turn=accepted["turn"], after_seq=0)
        frames = [[frame async for frame in tab.events(accepted["turn"])] for tab in (first, second)]
        assert frames[0] == frames[1]
        assert [frame["seq"] for frame in frames[0]] == list(range(1, len(frames[0]) + 1))


async def test_a_second_watch_moves_the_cursor(house: House, anna: Person):
    async with house.ws(anna) as socket:
        accepted = await start(socket, "cursor")
        whole = [frame["seq"] async for frame in socket.events(accepted["turn"])]
        await socket.send("turn.watch", turn=accepted["turn"], after_seq=whole[-3])
        assert [frame["seq"] async for frame in socket.events(accepted["turn"])] == whole[-2:]


async def test_a_conversation_deleted_in_mid_answer(house: House, anna: Person):
    async with house.ws(anna) as socket:
        accepted = await start(socket, "delete", params={"max_tokens": 40})
        await socket.until("turn.event", turn=accepted["turn"])
        path = f"/api/conversations/{accepted['conversation']}/"
        await asyncio.to_thread(house.call, "DELETE", path, anna, status=204)
        assert (await socket.until("conversation.changed"))["conversation"]
        await asyncio.to_thread(house.until, lambda: house.running() == 0, "the engine to be idle")
        assert house.call("GET", path, anna, status=404)["code"] == "not_found"
        assert house.call("GET", f"/api/turns/{accepted['turn']}/events/", anna, status=404)
        await socket.send("ping", t=1)
        await socket.until("pong")


async def test_events_that_are_pruned_are_gone_over_both_doors(house: House, anna: Person):
    async with house.ws(anna) as socket:
        accepted = await start(socket, "pruned")
        text = await socket.text(accepted["turn"])
        house.python(
            "from datetime import timedelta; from django.utils import timezone\n"
            "from conversations.models import Turn; from conversations.runner import _prune\n"
            "before = timezone.now() - timedelta(hours=25)\n"
            f"Turn.objects.filter(pk='{accepted['turn']}').update(ended_at=before)\n"
            "_prune()"
        )
        gone = house.call("GET", f"/api/turns/{accepted['turn']}/events/?after=3", anna, status=410)
        assert gone["code"] == "events_gone"
        await socket.raw.send(json.dumps({"type": "turn.watch", "turn": accepted["turn"], "after_seq": 3}))
        assert (await refusal(socket))["code"] == "events_gone"
        assert house.message(anna, accepted)["parts"][0]["text"] == text


@pytest.mark.parametrize("last_event_id", ["x", "-1", "1.5", "²", "9" * 30])
def test_a_wrong_place_is_refused(house: House, anna: Person, last_event_id: str):
    conversation = house.call("POST", "/api/conversations/", anna, status=201, json={})["id"]
    path = f"/api/conversations/{conversation}/messages/"
    accepted = house.call("POST", path, anna, status=202, json={"content": "hi"})
    path = f"/api/turns/{accepted['turn']}/events/"
    told = house.call("GET", path, anna, status=400, params={"after": last_event_id})
    assert told["code"] == "invalid" and "after" in told["extra"]["fields"]


LENGTHEN = """
from conversations.models import Event
last = Event.objects.filter(turn="{turn}").order_by("-seq").first()
data = '{{"kind":"text","text":"' + "slow " * 40 + '"}}'
new = [Event(turn_id=last.turn_id, seq=last.seq + n, kind="text", data=data, at=0) for n in range(40_000)]
Event.objects.filter(pk=last.pk).update(seq=last.seq + 40_000)
Event.objects.bulk_create(new, batch_size=5000)
"""


async def test_a_slow_reader_does_not_grow_the_server(house: House, anna: Person):
    """Sockets that ask for a long log (10 MB each) and never read it; others are served all the while."""
    async with house.sse(anna, "POST", "/api/chat/teststream/", json={"tokens": 1}) as stream:
        turn = (await anext(stream)).data["turn"]
        _events = [event async for event in stream]
    house.python(LENGTHEN.format(turn=turn))
    web = psutil.Process(house.pid("web"))
    before = web.memory_info().rss
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(30):
            socket = await stack.enter_async_context(house.ws(anna, max_queue=1))
            stack.callback(socket.cut)
            await socket.send("turn.watch", turn=turn, after_seq=0)
        async with house.ws(anna) as other:
            await other.send("turn.watch", turn=turn, after_seq=0)
            read = 0
            async for _frame in other.events(turn):
                read += 1
        assert read > 40_000
        grown = web.memory_info().rss - before
    assert grown < 60 * 2**20, f"{grown / 2**20:.0f} MiB"
