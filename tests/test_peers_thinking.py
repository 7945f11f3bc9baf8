"""A real model that thinks, through our own engine and the servers of others: its thought is told from its
answer word by word, also when it is stopped or its server is killed within the thought.

As children the servers give raw text, and our own state machine splits it; as endpoints they split it
themselves (`--reasoning-format deepseek`, `--reasoning-parser qwen3`), or leave the markers in the text.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest

from tests import peers
from tests.house import Socket
from tests.peers import ANSWER, MARKS, Served
from tests.thinking_model import ANSWER as SAID
from tests.thinking_model import QUESTION, THOUGHT

pytestmark = MARKS
# What has to come out, and how many tokens that is with the one that ends it.
TOKENS = 181
WAYS = ("transformers", "llama_cpp", "llama-deepseek", "llama-none", "vllm", "vllm-qwen3")


@pytest.fixture(scope="module", params=WAYS)
def served(request: pytest.FixtureRequest) -> Iterator[Served]:
    way, files = request.param, peers.thinker()
    with peers.house_of_peers() as house:
        if way.startswith("llama-"):
            command = peers.llama_command(files, "--reasoning-format", way.removeprefix("llama-"))
            made = peers.joined(house, way, command)
        elif way.startswith("vllm-"):
            command = peers.vllm_command(files, "--reasoning-parser", way.removeprefix("vllm-"))
            made = peers.joined(house, way, command, **peers.VLLM_ENV)
        else:
            made = peers.child(house, way, files)
        with made as served:
            yield served


@asynccontextmanager
async def asked(served: Served) -> AsyncIterator[tuple[Socket, dict[str, Any]]]:
    async with served.house.ws(served.admin) as socket:
        await socket.send(
            "turn.start", client_id=uuid4().hex, conversation=None, content=QUESTION, model="Peer",
            params={"temperature": 0, "max_tokens": 400},
        )  # fmt: skip
        yield socket, await socket.until("turn.accepted", 30)


async def within_the_thought(socket: Socket, turn: str) -> None:
    async for frame in socket.events(turn, ANSWER):
        assert frame["event"]["kind"] in ("status", "reasoning"), frame
        if frame["event"]["kind"] == "reasoning":
            return


async def last_of(socket: Socket, turn: str) -> dict[str, Any]:
    events: list[dict[str, Any]] = [frame["event"] async for frame in socket.events(turn, ANSWER)]
    return events[-1]


def parts(message: dict[str, Any]) -> list[tuple[str, str]]:
    return [(part["type"], part["text"].strip()) for part in message["parts"]]


async def test_a_thought_is_told_from_the_answer(served: Served) -> None:
    async with asked(served) as (socket, accepted):
        events = [frame["event"] async for frame in socket.events(accepted["turn"], ANSWER)]
    texts = {kind: "".join(e["text"] for e in events if e["kind"] == kind) for kind in ("reasoning", "text")}
    assert (texts["reasoning"].strip(), texts["text"].strip()) == (THOUGHT, SAID)
    assert events[-1] == {"kind": "finished", "reason": "stop"}
    message = served.house.message(served.admin, accepted)
    assert message["status"] == "done" and parts(message) == [("reasoning", THOUGHT), ("text", SAID)]
    assert message["parts"][0]["seconds"] > 0
    # The thought's tokens count: they were made, and they took their time.
    assert message["usage"]["completion_tokens"] in (TOKENS - 1, TOKENS), message["usage"]
    print(f"{served.engine}: {message['usage']}, thought {message['parts'][0]['seconds']} s")


async def test_stopped_within_the_thought_there_is_a_thought_and_no_answer(served: Served) -> None:
    async with asked(served) as (socket, accepted):
        await within_the_thought(socket, accepted["turn"])
        await socket.send("turn.stop", turn=accepted["turn"])
        assert (await last_of(socket, accepted["turn"]))["reason"] == "stopped"
        message = served.house.message(served.admin, accepted)
        ((kind, text),) = parts(message)
        assert (message["status"], kind) == ("stopped", "reasoning")
        assert THOUGHT.startswith(text) and text != THOUGHT
        served.house.until(lambda: served.line()["running"] == 0, "the slot to be free", 60)

        await socket.send("turn.continue", client_id=uuid4().hex, message=message["id"])
        again = await socket.until("turn.accepted", 30)
        assert (await last_of(socket, again["turn"]))["reason"] == "stop"
    message = served.house.message(served.admin, accepted)
    assert message["status"] == "done" and parts(message) == [("reasoning", THOUGHT), ("text", SAID)]
    # An endpoint counts the thought that it goes on from to the prompt; as a child it is told otherwise.
    made = message["usage"]["completion_tokens"]
    assert 50 < made < TOKENS if served.endpoint else TOKENS - 3 < made < TOKENS + 3, message["usage"]


async def test_killed_within_the_thought_the_turn_goes_on_in_it(served: Served) -> None:
    async with asked(served) as (socket, accepted):
        await within_the_thought(socket, accepted["turn"])
        served.kill()
        if served.endpoint is not None and served.engine.startswith("llama"):
            served.endpoint.start()
        last = await last_of(socket, accepted["turn"])
    message = served.house.message(served.admin, accepted)
    if served.engine.startswith("vllm-"):
        # Nobody starts it again, and a turn waits for half a minute.
        assert (last["kind"], last["code"]) == ("failed", "unavailable") and "endpoint" in last["message"]
        ((kind, text),) = parts(message)
        assert (message["status"], kind) == ("failed", "reasoning") and THOUGHT.startswith(text)
        return
    assert (last["kind"], last["reason"]) == ("finished", "stop")
    assert message["status"] == "done" and parts(message) == [("reasoning", THOUGHT), ("text", SAID)]
