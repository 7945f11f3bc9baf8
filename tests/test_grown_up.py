"""The same house on MariaDB and Redis: nothing in the code asks which, so the main job must hold here too."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator

import MySQLdb
import pytest

from tests.house import House, Person, text_of

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def grown() -> Iterator[House]:
    name = f"hearth_house_{uuid.uuid4().hex[:8]}"
    server = MySQLdb.connect(host="127.0.0.1", user="root")
    server.cursor().execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
    try:
        url = f"mysql://root@127.0.0.1:3306/{name}"
        with House(DATABASE_URL=url, REDIS_URL="redis://127.0.0.1:6379/13", worker=True) as house:
            yield house
    finally:
        server.cursor().execute(f"DROP DATABASE {name}")
        server.close()


@pytest.fixture(scope="module")
def anna(grown: House) -> Person:
    return grown.register("anna")


async def test_an_answer_streams_and_is_stored_and_another_tab_hears_of_it(
    grown: House, anna: Person
) -> None:
    model = grown.echo_model(anna, "Paced", tokens=30, delay_ms=20)
    async with grown.ws(anna) as tab, grown.ws(anna) as other:
        await tab.send("turn.start", client_id="c1", conversation=None, content="你好，世界", model=model)
        accepted = await tab.until("turn.accepted")
        started = await other.until("turn.started")
        assert started["turn"] == accepted["turn"]
        await other.send("turn.watch", turn=accepted["turn"], after_seq=0)
        seen, also = await asyncio.gather(tab.text(accepted["turn"]), other.text(accepted["turn"]))
    assert seen == also and len(seen.split()) == 30
    message = grown.message(anna, accepted)
    assert text_of([{"kind": "text", **part} for part in message["parts"]]) == seen
    found = grown.call("GET", "/api/conversations/?search=世界", anna)
    assert [item["id"] for item in found["results"]] == [accepted["conversation"]]


async def test_a_killed_web_process_goes_on_with_its_turn(grown: House, anna: Person) -> None:
    model = grown.echo_model(anna, "Longer", tokens=120, delay_ms=20)
    async with grown.ws(anna) as tab:
        await tab.send("turn.start", client_id="c2", conversation=None, content="go", model=model)
        accepted = await tab.until("turn.accepted")
        seen = ""
        async for frame in tab.events(accepted["turn"]):
            seen += frame["event"].get("text", "") if frame["event"]["kind"] == "text" else ""
            last = frame["seq"]
            if len(seen.split()) >= 20:
                break
        grown.kill("web")
    grown.start("web")
    async with grown.ws(anna) as tab:
        await tab.send("turn.watch", turn=accepted["turn"], after_seq=last)
        rest = await tab.text(accepted["turn"])
    message = grown.message(anna, accepted)
    assert message["status"] == "done"
    assert message["parts"][0]["text"] == seen + rest
    assert len((seen + rest).split()) == 120


def test_the_worker_loads_and_unloads_what_redis_brings(grown: House, anna: Person) -> None:
    model = grown.echo_model(anna, "Loaded", tokens=3)
    grown.call("POST", f"/api/models/{model}/load/", anna, status=202)
    grown.until(lambda: _state(grown, model) == "ready", "the model to be ready")
    grown.call("POST", f"/api/models/{model}/unload/", anna, status=202)
    grown.until(lambda: _state(grown, model) is None, "the model to be gone")


def _state(house: House, model: str) -> str | None:
    return next((str(line["state"]) for line in house.state() if line["model"] == model), None)
