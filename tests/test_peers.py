"""llama-server and vLLM for real, each serving a chat through a whole house. Needs the folder HEARTH_PEERS
(see tests/peers.py).

Figures are printed: ``HEARTH_PEERS=… pytest tests/test_peers.py -m peers -s``.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests import peers
from tests.house import LAST, House, Socket
from tests.peers import ANSWER, MARKS, PEERS, START, Served

pytestmark = MARKS
ASK = "Write a very long story about a river, a bridge and a town."


@pytest.fixture(scope="module", params=["llama_cpp", "vllm"])
def served(request: pytest.FixtureRequest) -> Iterator[Served]:
    with peers.house_of_peers() as house, peers.child(house, request.param, peers.smollm2()) as served:
        yield served


async def _start(socket: Socket, content: str, **params: Any) -> dict[str, Any]:
    params = {"temperature": 0, **params}
    await socket.send(
        "turn.start", client_id=uuid4().hex, conversation=None, content=content, model="Peer", params=params
    )
    return await socket.until("turn.accepted", 30)


async def test_a_chat_with_its_status_line_and_usage(served: Served) -> None:
    async with served.house.ws(served.admin) as socket:
        accepted = await _start(socket, "What is the capital of France?", max_tokens=24)
        events = [frame["event"] async for frame in socket.events(accepted["turn"], ANSWER)]
    phases = [event["phase"] for event in events if event["kind"] == "status"]
    assert "prefill" in phases and phases[-1] == "generating"
    text = "".join(event["text"] for event in events if event["kind"] == "text")
    assert len(text) > 5 and "<|" not in text
    (usage,) = [event for event in events if event["kind"] == "usage"]
    assert usage["prompt_tokens"] > 20 and 0 < usage["completion_tokens"] <= 24
    assert events[-1]["kind"] == "finished"
    print(f"{served.engine}: {usage}")


async def test_thoughts_are_told_from_the_answer(served: Served) -> None:
    """A small model does not think; it goes on from a thought that it is given."""
    from inference.client import InferenceClient
    from inference.protocol import ModelSpec

    client = InferenceClient(served.house.inference)
    spec = ModelSpec.from_dict(_spec(served))
    messages = [{"role": "user", "content": "What is the capital of France?"}]
    prefix = "<think>\nThe user asks about France.\n</think>\n\nThe capital of France is"
    params = {"max_tokens": 40, "temperature": 0}
    stream = client.stream(messages, model=spec, params=params, prefix=prefix)
    events = [event async for event in stream]
    await client.close()
    assert {e["kind"] for e in events} >= {"text", "usage", "finished"}, events
    assert "Paris" in "".join(event["text"] for event in events if event["kind"] == "text")
    assert not any("think>" in event["text"] for event in events if event["kind"] == "text")


async def test_stop_ends_the_answer_in_the_server_too(served: Served) -> None:
    async with served.house.ws(served.admin) as socket:
        accepted = await _start(socket, ASK, max_tokens=800)
        async for frame in socket.events(accepted["turn"], ANSWER):
            if frame["event"]["kind"] == "text":
                break
        await socket.send("turn.stop", turn=accepted["turn"])
        last = [f["event"] async for f in socket.events(accepted["turn"], ANSWER)][-1]
    assert (last["kind"], last["reason"]) == ("finished", "stopped")
    served.house.until(lambda: served.line()["running"] == 0, "the slot to be free", 60)


async def test_killed_in_mid_answer_the_turn_goes_on(served: Served) -> None:
    async with served.house.ws(served.admin) as socket:
        accepted = await _start(socket, ASK, max_tokens=400)
        before, killed, resumed = "", 0.0, 0.0
        phases: list[str] = []
        async for frame in socket.events(accepted["turn"], ANSWER):
            event = frame["event"]
            phases += [event["phase"]] if event["kind"] == "status" else []
            if event["kind"] == "text":
                before += event["text"]
                if not killed:
                    served.kill()
                    killed, at = time.monotonic(), len(before)
                elif not resumed and phases.count("generating") == 2:
                    resumed = time.monotonic()
            last = event
    assert last["kind"] in LAST and last["kind"] == "finished", last
    told = (phases, at, len(before), last)
    assert phases.count("generating") == 2 and len(before) > at, told
    print(
        f"{served.engine}: went on {resumed - killed:.1f} s after the kill; {at} and {len(before)} characters"
    )
    message = served.house.message(served.admin, accepted)
    assert message["parts"][0]["text"].strip() == before.strip()


def test_without_a_llama_server_the_file_is_dequantised(tmp_path: Path) -> None:
    """The web process and the model service know no program, so that the packed engine runs it."""
    env = {"HEARTH_LLAMA_SERVER": "/nowhere", "HEARTH_CACHE": str(tmp_path)}
    with House(worker=True, **env) as house:
        admin = house.register("admin")
        source = {"kind": "gguf", "path": str(PEERS / "llama" / "model-Q8_0.gguf")}
        body = {"name": "Peer", "source": source, "settings": {"context_length": 1024}}
        made = house.call("POST", "/api/models/", admin, status=201, json=body)
        assert (made["engine"], made["family"], made["context_length"]) == ("transformers", "llama", 1024)
        began = time.monotonic()
        house.call("POST", f"/api/models/{made['id']}/load/", admin, status=202)
        served = Served(house, admin, made["id"], "transformers")

        def settled() -> dict[str, Any] | None:
            found = [line for line in house.state() if line["id"] == made["id"]]
            return found[0] if found and found[0]["state"] in ("ready", "failed") else None

        line = house.until(settled, "the model to be ready", START)
        assert line["state"] == "ready" and line["packed"], line
        print(f"\ndequantised and ready after {time.monotonic() - began:.1f} s")
        assert served.line()["context_length"] == 1024
        (folder,) = (tmp_path / "gguf").iterdir()
        assert (folder / "model.safetensors").stat().st_size > 200 << 20


def _spec(served: Served) -> dict[str, Any]:
    code = (
        "import json; from models_registry.models import Model; "
        "from models_registry.services import model_spec; "
        f"print(json.dumps(model_spec(Model.objects.get(pk={served.model!r})).to_dict()))"
    )
    return dict(json.loads(served.house.python(code).splitlines()[-1]))
