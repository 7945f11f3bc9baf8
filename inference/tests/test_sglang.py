"""SGLang as a child, with a scripted server in its place: the real one needs a GPU and was not run."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from inference.engines.base import create
from inference.engines.server_child import ServerEngine
from inference.errors import InferenceError
from inference.protocol import Event, GenerateRequest, ModelSpec
from inference.service.manager import Manager
from inference.tests.conftest import HELLO, collect
from inference.tests.fake_sglang import ANSWER, CACHED, CLOSE, OPEN, PROMPT, THOUGHT

FAKE = Path(__file__).with_name("fake_sglang.py")
SPLIT = {"flags": {"reasoning-parser": "qwen3"}}
WHOLE = "".join(THOUGHT).strip(), "".join(ANSWER).strip()


@pytest.fixture(autouse=True)
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEARTH_SGLANG", f"{sys.executable} {FAKE} serve")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    config = {"model_type": "llama", "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    (tmp_path / "config.json").write_text(json.dumps(config))
    head = json.dumps({"w": {"dtype": "F16", "shape": [2], "data_offsets": [0, 4]}}).encode()
    (tmp_path / "model.safetensors").write_bytes(len(head).to_bytes(8, "little") + head + bytes(4))
    (tmp_path / "chat_template.jinja").write_text("{{ messages }}<think>")
    return tmp_path


def spec(folder: Path, **settings: Any) -> ModelSpec:
    return ModelSpec("m", "m", "sglang", {"kind": "folder", "path": str(folder)}, settings)


@pytest.fixture
async def manager() -> AsyncIterator[Manager]:
    manager = Manager(backoff=(0.01, 0.1))
    yield manager
    await manager.close()


def texts(events: list[Event]) -> tuple[str, str]:
    thought, said = (
        "".join(e["text"] for e in events if e["kind"] == kind) for kind in ("reasoning", "text")
    )
    return thought.strip(), said.strip()


async def test_the_settings_become_its_flags(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SGL_FAKE", "late")
    settings = {
        "context_length": 2048, "slots": 8, "dtype": "bfloat16", "kv_dtype": "fp8_e5m2", "tensor_parallel": 2,
        "gpu_memory_utilization": 0.8, "flags": {"reasoning-parser": "qwen3", "disable-radix-cache": True},
    }  # fmt: skip
    engine = create(spec(folder, **settings))
    assert isinstance(engine, ServerEngine)
    told: list[float] = []
    try:
        info = await engine.load(told.append)
        lines = [line[5:] for line in engine.log().splitlines() if line.startswith("flag ")]
        flags = dict(json.loads(line) for line in lines)
        assert info["context_length"] == 2048 and told == sorted(told) and {0.5, 0.8, 1.0} <= set(told)
        pid = info["pid"]
        listening = [c.laddr.ip for c in psutil.Process(pid).net_connections() if c.status == "LISTEN"]
        assert listening == ["127.0.0.1"]
    finally:
        await engine.unload()
    assert len(flags.pop("api_key")) > 30 and flags.pop("port")
    assert {name: value for name, value in flags.items() if value} == {
        "model_path": str(folder), "served_model_name": "model", "host": "127.0.0.1", "dtype": "bfloat16",
        "context_length": 2048, "max_running_requests": 8, "kv_cache_dtype": "fp8_e5m2", "tp_size": 2,
        "mem_fraction_static": 0.8, "enable_cache_report": True, "reasoning_parser": "qwen3",
        "disable_radix_cache": True,
    }  # fmt: skip
    assert not psutil.pid_exists(pid)


async def test_a_setting_that_it_does_not_know_says_so(folder: Path) -> None:
    engine = create(spec(folder, flags={"ep-size": 2}))  # the script knows none of that name
    try:
        with pytest.raises(InferenceError, match="unrecognized arguments: --ep-size") as failed:
            await engine.load(lambda progress: None)
        assert failed.value.code == "load_failed"
    finally:
        await engine.unload()


@pytest.mark.parametrize("settings", [SPLIT, {}], ids=["it splits", "it does not"])
async def test_thought_and_answer_are_told_apart(
    folder: Path, manager: Manager, settings: dict[str, Any]
) -> None:
    events = await collect(manager.stream(spec(folder, **settings), GenerateRequest("1", HELLO)))
    assert texts(events) == WHOLE and events[-1] == {"kind": "finished", "reason": "stop"}
    (usage,) = [event for event in events if event["kind"] == "usage"]
    made = len(THOUGHT) + len(ANSWER) + (0 if settings else 2)
    assert (usage["prompt_tokens"], usage["reused_tokens"], usage["completion_tokens"]) == (
        PROMPT,
        CACHED,
        made,
    )


@pytest.mark.parametrize("settings", [SPLIT, {}], ids=["it splits", "it does not"])
async def test_killed_within_the_thought_the_answer_goes_on_in_it(
    folder: Path, manager: Manager, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SGL_FAKE", "dies")
    model = spec(folder, **settings)
    first = await collect(manager.stream(model, GenerateRequest("1", HELLO)))
    assert (first[-1]["code"], first[-1]["retryable"]) == ("engine_died", True)
    thought, said = texts(first)
    assert thought and not said and WHOLE[0].startswith(thought)
    raw = "".join(event.get("raw", "") for event in first)
    assert (OPEN + "".join(THOUGHT) + CLOSE).startswith(raw)
    rest = await collect(manager.stream(model, GenerateRequest("1", HELLO, prefix=raw)))
    assert texts(first + rest) == WHOLE and rest[-1]["kind"] == "finished"
