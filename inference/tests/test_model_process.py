"""The process of a transformers model in a real server, with a tiny model: its rank, its memory, its end."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest

from inference.engines import process
from inference.engines.process import ProcessEngine
from inference.errors import InferenceError
from inference.protocol import GenerateRequest, ModelSpec
from inference.tests import tiny_models
from inference.tests.conftest import HELLO, StartServer, echo
from system import ways


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.make_llama(tmp_path_factory.mktemp("tiny") / "llama")


def tiny(folder: Path, name: str = "tiny", **settings: Any) -> ModelSpec:
    return ModelSpec(name, name, "transformers", {"kind": "folder", "path": str(folder)}, settings)


async def test_a_model_in_a_process(start_server: StartServer, folder: Path) -> None:
    """One server for all of it: its warm parent takes seconds to start."""
    server = await start_server()
    spec, params = tiny(folder), {"max_tokens": 4, "temperature": 0}
    async with asyncio.timeout(120):
        await server.client.switch(spec)
    whole = await server.client.chat(HELLO, params=params)
    line = await server.model("tiny")
    child = psutil.Process(line["pid"])

    # It leaves the processor to the web process, and what it holds is known.
    assert child.nice() == psutil.Process(server.process.pid).nice() + 5
    used = await asyncio.to_thread(lambda: child.memory_full_info().pss)
    assert line["memory_bytes"] >= used // 2 > 0

    # Killed, it comes back by itself and answers as before.
    os.kill(child.pid, signal.SIGKILL)
    again = await server.model_when("tiny", lambda new: new["state"] == "ready" and new["pid"] != child.pid)
    assert await server.client.chat(HELLO, params=params) == whole

    # So it does when the warm parent goes, which takes its children along. One that was spawned has none.
    parent = psutil.Process(again["pid"]).ppid()
    assert (parent == server.process.pid) == ways.WINDOWS
    os.kill(again["pid"] if ways.WINDOWS else parent, signal.SIGKILL)
    again = await server.model_when(
        "tiny", lambda new: new["state"] == "ready" and new["pid"] not in (child.pid, again["pid"])
    )
    assert await server.client.chat(HELLO, params=params) == whole

    # An unload ends the process, and nothing below the server is left of it.
    await server.client.unload("tiny")
    assert not psutil.pid_exists(again["pid"])

    # A process that may take too little says so, is no danger to others, and may take more next time.
    with pytest.raises(InferenceError, match="out_of_memory"):
        await server.client.switch(tiny(folder, memory_limit_bytes=1 << 20))
    await server.client.switch(tiny(folder, memory_limit_bytes=4 << 30))
    assert await server.client.chat(HELLO, params=params) == whole


@pytest.mark.parametrize(("more", "code"), [(1, "out_of_memory"), (0, "engine_died")])
async def test_a_process_that_the_kernel_ended_for_memory_is_told_from_another(
    monkeypatch: pytest.MonkeyPatch, more: int, code: str
) -> None:
    """The kernel's own count says it: it went up between the last pulse and the end."""
    kills = 3
    monkeypatch.setattr(process, "oom_kills", lambda: kills)
    engine = ProcessEngine(echo(tokens=1000, delay_ms=10, settings={"stall_limit": 1000}))
    info = await engine.load(lambda progress: None)
    with pytest.raises(InferenceError) as end:
        async for event in engine.generate(GenerateRequest("r", HELLO)):
            if event["kind"] == "raw" and kills == 3:
                os.kill(info["pid"], signal.SIGSTOP)  # no pulse any more
                kills += more
                os.kill(info["pid"], signal.SIGKILL)
    assert (end.value.code, end.value.retryable) == (code, True)
    await engine.unload()
