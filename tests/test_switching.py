"""Switching models in the middle of answers, in a real house: nothing that runs ends, no text is lost, the
wait is told and bounded, and a model that cannot be loaded leaves the old one as it was."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from inference.engines.echo import word
from system.address import door
from tests.house import House, Person, Socket, text_of

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

MB = 1 << 20
#: Room for one of the models below at a time.
LIMIT = "300MB"
#: How long one answer of the models below takes, and a load (seconds).
ANSWER, LOAD = 1.5, 0.4
TOKENS = 60


def expected(seed: int, tokens: int = TOKENS) -> str:
    return "".join(word(seed, position) for position in range(tokens))


@pytest.fixture(scope="module")
def everybody() -> Iterator[tuple[House, Person]]:
    with House(HEARTH_MEMORY_LIMIT=LIMIT) as made:
        yield made, made.register("boss")


@pytest.fixture
def house(everybody: tuple[House, Person]) -> Iterator[House]:
    """Each test finds the memory empty and the names free."""
    house, boss = everybody
    yield house
    for made in house.call("GET", "/api/models/", boss)["results"]:
        unload(house, made["id"])
        house.call("DELETE", f"/api/models/{made['id']}/", boss, status=204)


@pytest.fixture
def boss(everybody: tuple[House, Person]) -> Person:
    return everybody[1]


def model(house: House, boss: Person, name: str, seed: int, *, size: int = 200 * MB, **settings: Any) -> str:
    settings = {"memory_bytes": size, "load_ms": int(LOAD * 1000), **settings}
    delay = ANSWER * 1000 / TOKENS
    return house.echo_model(boss, name, tokens=TOKENS, seed=seed, delay_ms=delay, settings=settings)


def unload(house: House, model: str) -> None:
    """As the worker asks for it; returns when it is done."""
    way = door(house.inference)
    transport = httpx.HTTPTransport(uds=way.path)
    with httpx.Client(transport=transport, headers=way.headers, timeout=60) as client:
        assert client.post(way.base + "/unload", json={"model": model}).status_code == 200


async def start(socket: Socket, model: str, name: str, conversation: str | None = None) -> dict[str, Any]:
    client_id, content = uuid.uuid4().hex, f"Question {name}"
    await socket.send(
        "turn.start", client_id=client_id, conversation=conversation, content=content, model=model
    )
    return await socket.until("turn.accepted", 30, client_id=client_id)


async def log(house: House, person: Person, turn: str) -> list[dict[str, Any]]:
    """All events of a turn, from its first to its last."""
    async with house.watch(person, turn) as events:
        return [{"kind": sent.kind, **sent.data} async for sent in events if sent.kind != ":"]


def is_whole(events: list[dict[str, Any]], seed: int) -> bool:
    return (
        events[-1]["kind"] == "finished"
        and events[-1]["reason"] == "stop"
        and text_of(events) == expected(seed)
    )


async def until_text(socket: Socket, turn: str) -> None:
    await socket.until("turn.event", 30, turn=turn)
    async for frame in socket.events(turn, 30):
        if frame["event"]["kind"] == "text":
            return
    raise AssertionError("no text came")


def phases(events: list[dict[str, Any]]) -> list[str]:
    return [event["phase"] for event in events if event["kind"] == "status"]


async def test_eight_running_answers_outlive_a_switch_and_the_wait_is_told(
    house: House, boss: Person
) -> None:
    old, new = model(house, boss, "Old", 1), model(house, boss, "New", 2)
    async with house.ws(boss) as socket:
        accepted = [await start(socket, old, f"old-{n}") for n in range(8)]
        await until_text(socket, accepted[0]["turn"])
        house.until(lambda: house.running() == 8, "eight answers to run")
        # In the conversation of the first, as soon as that has ended; and in a new one, at once.
        switched = await start(socket, new, "new")
    olds = [await log(house, boss, one["turn"]) for one in accepted]
    news = await log(house, boss, switched["turn"])
    assert [is_whole(events, 1) for events in olds] == [True] * 8
    assert is_whole(news, 2)
    told = phases(news)
    assert told.index("evicting") < told.index("loading") < told.index("prefill")
    evicting = next(event for event in news if event.get("phase") == "evicting")
    assert evicting["models"] == ["Old"]
    assert any(0 < event["progress"] < 1 for event in news if event.get("phase") == "loading")
    for one in (*accepted, switched):
        message = house.message(boss, one)
        seed = 2 if one is switched else 1
        assert (message["status"], message["parts"][-1]["text"]) == ("done", expected(seed))
    async with house.ws(boss) as socket:
        again = await start(socket, new, "same-conversation", accepted[0]["conversation"])
        events = await log(house, boss, again["turn"])
        assert is_whole(events, 2) and "loading" not in phases(events)
    assert house.message(boss, again)["model"] in (new, "New")


@pytest.mark.parametrize("fault", ["error", "memory", "too large"])
async def test_a_failed_load_says_why_and_the_old_model_serves_on(
    house: House, boss: Person, fault: str
) -> None:
    """It does not go for one that can never fit; for one that fails in loading it comes back."""
    old = model(house, boss, "Old", 1)
    size = 400 * MB if fault == "too large" else 200 * MB
    settings = {} if fault == "too large" else {"load_fault": "memory" if fault == "memory" else True}
    bad = model(house, boss, "Bad", 2, size=size, **settings)
    async with house.ws(boss) as socket:
        running = [await start(socket, old, f"old-{n}") for n in range(4)]
        await until_text(socket, running[0]["turn"])
        failed = await start(socket, bad, "bad")
    last = (await log(house, boss, failed["turn"]))[-1]
    assert last["kind"] == "failed" and last["message"]
    assert last["code"] == ("load_failed" if fault == "error" else "out_of_memory")
    if fault == "too large":
        assert "0.4 GB" in last["message"] and "0.3 GB" in last["message"]
        # Nobody was asked to leave for it.
        assert [line["state"] for line in house.state() if line["name"] == "Old"] == ["ready"]
    for one in running:
        assert is_whole(await log(house, boss, one["turn"]), 1)
    message = house.message(boss, failed)
    assert message["status"] == "failed"
    began = time.monotonic()
    async with house.ws(boss) as socket:
        back = await start(socket, old, "back", failed["conversation"])
        events = await log(house, boss, back["turn"])
    assert is_whole(events, 1)
    assert time.monotonic() - began < ANSWER + LOAD + 10
    assert ("loading" in phases(events)) == (fault != "too large")


async def test_where_both_fit_a_failed_load_takes_nothing_from_the_old(house: House, boss: Person) -> None:
    old = model(house, boss, "Old", 1, size=100 * MB)
    bad = model(house, boss, "Bad", 2, size=100 * MB, load_fault=True)
    async with house.ws(boss) as socket:
        running = await start(socket, old, "old")
        await until_text(socket, running["turn"])
        failed = await start(socket, bad, "bad")
        assert (await log(house, boss, failed["turn"]))[-1]["code"] == "load_failed"
        back = await start(socket, old, "back", failed["conversation"])
        events = await log(house, boss, back["turn"])
    assert is_whole(await log(house, boss, running["turn"]), 1)
    assert is_whole(events, 1) and not {"loading", "evicting"} & set(phases(events))


async def test_two_who_switch_against_each_other_both_get_every_answer(house: House, boss: Person) -> None:
    """20 rounds each; a round waits at most for the other's running answer, two unloads and a load."""
    ids = {1: model(house, boss, "One", 1), 2: model(house, boss, "Two", 2)}
    bob = house.register("bob")
    waits: list[float] = []

    async def rounds(person: Person, first: int) -> list[tuple[int, str]]:
        seen, conversation = [], None
        for number in range(20):
            seed = 1 + (first + number) % 2
            async with house.ws(person) as socket:
                began = time.monotonic()
                made = await start(socket, ids[seed], f"{person.id}-{number}", conversation)
                events = [frame["event"] async for frame in socket.events(made["turn"], 60)]
                waits.append(time.monotonic() - began - ANSWER)
            conversation = made["conversation"]
            assert events[-1]["kind"] == "finished", events[-1]
            seen.append((seed, text_of(events)))
        return seen

    # Opposite models in each round: whoever is served puts the other's out.
    results = await asyncio.gather(rounds(boss, 0), rounds(bob, 1))
    for seed, text in [*results[0], *results[1]]:
        assert text == expected(seed)
    print(f"waits: median {sorted(waits)[len(waits) // 2]:.2f} s, longest {max(waits):.2f} s")
    assert len(waits) == 40 and max(waits) < 60  # on a machine with much else to do


async def test_an_unload_in_the_middle_ends_in_words_keeps_the_text_and_can_be_gone_on_from(
    house: House, boss: Person
) -> None:
    seed, tokens = 3, 4_000
    settings = {"memory_bytes": 200 * MB}
    slow = house.echo_model(boss, "Slow", tokens=tokens, seed=seed, delay_ms=20, settings=settings)
    async with house.ws(boss) as socket:
        made = await start(socket, slow, "slow")
        await until_text(socket, made["turn"])
        unload(house, slow)
        events = await log(house, boss, made["turn"])
    assert events[-1]["kind"] == "finished" and events[-1]["reason"] == "interrupted"
    assert events[-1]["code"] == "unloaded" and events[-1]["message"]
    message = house.message(boss, made)
    kept = message["parts"][-1]["text"]
    assert message["status"] == "interrupted" and kept == text_of(events)
    assert kept and expected(seed, tokens).startswith(kept)
    async with house.ws(boss) as socket:
        await socket.send("turn.continue", client_id="on", message=made["assistant_message"])
        more = await socket.until("turn.accepted", 30, client_id="on")
        await until_text(socket, more["turn"])
        await socket.send("turn.stop", turn=more["turn"])
        await log(house, boss, more["turn"])
    whole = house.message(boss, made)["parts"][-1]["text"]
    assert len(whole) > len(kept) and expected(seed, tokens).startswith(whole)
