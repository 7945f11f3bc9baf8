"""Models packed in real children that are killed and stopped at random, while others go on answering."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import statistics
import time
from pathlib import Path

import pytest

from inference.protocol import ModelSpec
from inference.tests import tiny_models
from inference.tests.conftest import HELLO, Server, StartServer, collect, joined, last

FAULTS = 20
STALL_LIMIT = 1.0


@pytest.fixture
def specs(tmp_path: Path) -> tuple[ModelSpec, ModelSpec]:
    doomed = {"kind": "folder", "path": str(tiny_models.make_qwen3(tmp_path / "doomed"))}
    steady = {"kind": "folder", "path": str(tiny_models.make_llama(tmp_path / "steady"))}
    limits = {"stall_limit": STALL_LIMIT}
    return (
        ModelSpec("doomed", "doomed", "transformers", doomed, limits),
        ModelSpec("steady", "steady", "transformers", steady),
    )


@pytest.mark.slow
async def test_each_fault_ends_that_childs_answers_in_time_and_no_other(
    start_server: StartServer, specs: tuple[ModelSpec, ModelSpec]
) -> None:
    server, (doomed, steady), rng = await start_server(), specs, random.Random(3)
    for spec in specs:
        await server.client.switch(spec)
    right = await answer(server, steady, 40)
    took: dict[int, list[float]] = {signal.SIGKILL: [], signal.SIGSTOP: []}
    for _ in range(FAULTS):
        hit = rng.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGSTOP))
        streams = [asyncio.create_task(answer(server, doomed, 400)) for _ in range(4)]
        beside = [asyncio.create_task(answer(server, steady, 40)) for _ in range(2)]
        line = await server.model_when("doomed", lambda line: line["running"] == 4)
        os.kill(line["pid"], hit)
        began = time.monotonic()
        for ended in await asyncio.gather(*streams):
            assert ended == ("engine_died", True)
        took[hit].append(time.monotonic() - began)
        assert await asyncio.gather(*beside) == [right, right]
        # It comes back by itself, and answers.
        await server.model_when("doomed", lambda line, pid=line["pid"]: _is_back(line, pid))  # type: ignore[misc]
        assert isinstance(await answer(server, doomed, 4), str)
    # A stopped child is known by the pulses that do not come: the limit, and one look more. Medians: of so
    # many faults one may fall into a moment in which the machine is busy.
    assert statistics.median(took[signal.SIGKILL]) < 1
    assert statistics.median(took[signal.SIGSTOP]) < 3 * STALL_LIMIT + 1
    assert max(took[signal.SIGKILL] + took[signal.SIGSTOP]) < 30


def _is_back(line: dict[str, object], before: int) -> bool:
    return line["state"] == "ready" and line["pid"] != before


async def answer(server: Server, spec: ModelSpec, tokens: int) -> str | tuple[str, bool]:
    params = {"temperature": 0, "max_tokens": tokens, "ignore_eos": True}
    events = await collect(server.client.stream(HELLO, model=spec, params=params))
    end = last(events)
    return joined(events) if end["kind"] == "finished" else (end["code"], end["retryable"])
