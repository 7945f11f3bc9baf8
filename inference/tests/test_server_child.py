"""Servers of others as children, with a scripted one in their place: what they do wrong has a name, and
nothing of them outlives an unload."""

from __future__ import annotations

import asyncio
import os
import signal
import struct
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from inference.engines.base import Mortal, create
from inference.engines.server_child import ServerEngine
from inference.errors import InferenceError
from inference.protocol import GenerateRequest, ModelSpec
from inference.server_flags import flags_of
from inference.service.manager import Manager
from inference.tests.conftest import HELLO, joined

FAKE = Path(__file__).with_name("fake_server.py")


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    """A head without tensors."""

    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value)) + value.encode()

    def words(key: str, values: list[str]) -> bytes:
        return text(key) + struct.pack("<IIQ", 9, 8, len(values)) + b"".join(map(text, values))

    entries = [
        text("general.architecture") + struct.pack("<I", 8) + text("llama"),
        text("llama.context_length") + struct.pack("<II", 4, 64),
        words("tokenizer.ggml.tokens", ["a", "<|end|>"]),
        text("tokenizer.ggml.token_type") + struct.pack("<IIQ2i", 9, 5, 2, 1, 3),
    ]
    path = tmp_path / "m.gguf"
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, len(entries)) + b"".join(entries))
    return path


@pytest.fixture(autouse=True)
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEARTH_LLAMA_SERVER", f"{sys.executable} {FAKE}")
    monkeypatch.setenv("HEARTH_VLLM", f"{sys.executable} {FAKE}")


def spec(gguf: Path, **settings: Any) -> ModelSpec:
    return ModelSpec("m", "m", "llama_cpp", {"kind": "gguf", "path": str(gguf)}, settings)


def ask(prefix: str = "", **params: Any) -> GenerateRequest:
    return GenerateRequest("1", HELLO, params, prefix=prefix)


@pytest.fixture
async def engine(gguf: Path, request: pytest.FixtureRequest) -> AsyncIterator[ServerEngine]:
    kind, settings = getattr(request, "param", ("ready", {}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GGML_FAKE", kind)
        made = create(spec(gguf, **settings))
        assert isinstance(made, ServerEngine) and isinstance(made, Mortal)
        try:
            yield made
        finally:
            await made.unload()


async def text_of(engine: ServerEngine, request: GenerateRequest) -> tuple[str, list[dict[str, Any]]]:
    events = [event async for event in engine.generate(request)]
    return "".join(event["text"] for event in events if event["kind"] == "raw"), events


async def test_it_loads_answers_goes_on_and_ends(engine: ServerEngine) -> None:
    told: list[float] = []
    info = await engine.load(told.append)
    assert (info["context_length"], info["slots"]) == (64, 2) and told[-1] == 1.0 and told == sorted(told)
    whole, events = await text_of(engine, ask())
    assert whole == "The capital is Paris."
    assert events[-1] == {"kind": "finished", "reason": "stop"} and events[-2]["completion_tokens"] == 7
    rest, events = await text_of(engine, ask("The capital is"))
    assert rest == " Paris." and events[-2]["completion_tokens"] == len("The capital is") + 3
    short, events = await text_of(engine, ask(max_tokens=2))
    assert short == "The cap" and events[-1]["reason"] == "length"
    pid = info["pid"]
    assert psutil.Process(pid).nice() == psutil.Process().nice() + 5
    await engine.unload()
    assert engine.exited.is_set() and not psutil.pid_exists(pid)


async def test_content_cannot_become_a_control_token(engine: ServerEngine) -> None:
    await engine.load(lambda progress: None)
    shaped = engine.dialogue.shaped(GenerateRequest("1", [{"role": "user", "content": "a <|end|> b"}]))
    assert shaped.shield.is_used and "<|end|>" not in shaped.messages[0]["content"]


async def test_a_prompt_that_is_too_long_says_its_length(engine: ServerEngine) -> None:
    await engine.load(lambda progress: None)
    engine._limit = 3
    with pytest.raises(InferenceError) as refused:
        await text_of(engine, ask())
    assert refused.value.code == "context_too_long" and refused.value.extra["limit"] == 3


@pytest.mark.parametrize(
    ("engine", "code", "says"),
    [
        (("no-memory", {}), "out_of_memory", "memory was not enough"),
        (("bad-model", {}), "load_failed", "unknown model architecture"),
        (("never", {"start_limit": 1}), "load_failed", "not ready after 1 s"),
    ],
    indirect=["engine"],
)
async def test_a_load_that_fails_has_its_name_and_its_log(engine: ServerEngine, code: str, says: str) -> None:
    with pytest.raises(InferenceError) as failed:
        await engine.load(lambda progress: None)
    assert failed.value.code == code and says in failed.value.message
    assert "loading model" in engine.log()


async def test_a_missing_program_says_what_to_do(gguf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEARTH_LLAMA_SERVER", "/nowhere/llama-server")
    engine = create(spec(gguf))
    with pytest.raises(InferenceError, match="HEARTH_LLAMA_SERVER"):
        await engine.load(lambda progress: None)
    await engine.unload()


@pytest.mark.parametrize("engine", [("floods", {})], indirect=True)
async def test_a_flood_of_output_stops_nobody_and_is_not_kept(engine: ServerEngine) -> None:
    await engine.load(lambda progress: None)
    assert len(engine.log()) < 64 * 401 and engine.log().endswith("line")


@pytest.mark.parametrize("engine", [("rubbish", {})], indirect=True)
async def test_rubbish_in_a_stream_is_an_error_with_a_name(engine: ServerEngine) -> None:
    await engine.load(lambda progress: None)
    with pytest.raises(InferenceError) as failed:
        await text_of(engine, ask())
    assert failed.value.code == "malformed_output"


@pytest.mark.parametrize("engine", [("deaf", {"stall_limit": 1})], indirect=True)
async def test_one_that_hears_no_more_is_ended(engine: ServerEngine) -> None:
    await engine.load(lambda progress: None)
    with pytest.raises(InferenceError) as failed:
        async with asyncio.timeout(60):
            await text_of(engine, ask())
    assert (failed.value.code, failed.value.retryable) == ("engine_died", True)
    assert "for 1 s" in failed.value.message


@pytest.mark.parametrize("engine", [("grandchild", {})], indirect=True)
@pytest.mark.parametrize("how", ["unload", "killed"])
async def test_nothing_that_it_started_outlives_it(engine: ServerEngine, how: str) -> None:
    info = await engine.load(lambda progress: None)
    (line,) = [line for line in engine.log().splitlines() if line.startswith("grandchild ")]
    left = psutil.Process(int(line.split()[1]))
    if how == "killed":
        os.kill(info["pid"], signal.SIGKILL)
        async with asyncio.timeout(60):
            await engine.exited.wait()
        assert engine.why is not None and engine.why.code == "engine_died" and engine.why.retryable
    else:
        await engine.unload()
    assert not left.is_running() and not psutil.pid_exists(info["pid"])


@pytest.mark.skipif(sys.platform != "linux", reason="a death signal is Linux's")
async def test_it_does_not_outlive_the_manager(gguf: Path, tmp_path: Path) -> None:
    code = (
        "import asyncio, sys\n"
        "from inference.engines.base import create\n"
        "from inference.protocol import ModelSpec\n"
        "async def main():\n"
        "    engine = create(ModelSpec('m', 'm', 'llama_cpp', {'kind': 'gguf', 'path': sys.argv[1]}, {}))\n"
        "    print((await engine.load(lambda p: None))['pid'], flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    manager = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, str(gguf), stdout=asyncio.subprocess.PIPE, cwd=FAKE.parents[2]
    )
    assert manager.stdout is not None
    child = psutil.Process(int(await asyncio.wait_for(manager.stdout.readline(), 60)))
    manager.kill()
    await manager.wait()
    await asyncio.to_thread(psutil.wait_procs, [child], 20)
    assert not child.is_running()


async def test_killed_in_mid_answer_the_manager_restarts_it_and_the_answer_goes_on(
    gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GGML_FAKE", "dies")
    manager = Manager(backoff=(0.01, 0.1))
    try:
        events = [event async for event in manager.stream(spec(gguf), ask())]
        assert (events[-1]["code"], events[-1]["retryable"]) == ("engine_died", True)
        before = joined(events)
        assert before and "The capital is Paris.".startswith(before)
        events = [event async for event in manager.stream(spec(gguf), ask(before))]
        assert before + joined(events) == "The capital is Paris." and events[-1]["kind"] == "finished"
    finally:
        await manager.close()


def test_one_card_is_the_one_that_room_was_made_on(gguf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def visible(**settings: Any) -> str | None:
        engine = create(spec(gguf, **settings))
        assert isinstance(engine, ServerEngine)
        return engine.environment().get("CUDA_VISIBLE_DEVICES")

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    assert (visible(), visible(device="cpu"), visible(device="cuda:1")) == (None, None, "5")
    assert visible(device="cuda:1", tensor_parallel=2) is None


def test_flags_come_from_the_list_alone() -> None:
    assert flags_of("vllm", {"block-size": 16, "enforce-eager": True}) == [
        "--block-size",
        "16",
        "--enforce-eager",
    ]
    for flags in (
        {"trust-remote-code": True},
        {"block-size": "16 --trust-remote-code"},
        {"quantization": "/a"},
    ):
        with pytest.raises(ValueError, match="not allowed"):
            flags_of("vllm", flags)
