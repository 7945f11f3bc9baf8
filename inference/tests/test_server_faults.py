"""The real server and real processes that stop, spin, are killed or run out of memory."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from typing import Any

import psutil
import pytest

from inference.errors import InferenceError
from inference.protocol import Event, ModelSpec
from inference.tests.conftest import (
    HELLO,
    Server,
    StartServer,
    collect,
    echo,
    joined,
    last,
)
from tests.patience import timed, within


def slow(model: str, settings: dict[str, Any] | None = None) -> ModelSpec:
    return echo(model, tokens=100_000, delay_ms=20, settings=settings)


async def begun(server: Server, spec: ModelSpec, answers: int = 1) -> list[asyncio.Task[list[Event]]]:
    tasks = [asyncio.create_task(collect(server.client.stream(HELLO, model=spec))) for _ in range(answers)]
    await server.model_when(spec.id, lambda line: line["running"] == answers)
    return tasks


@timed
async def test_all_answers_of_a_killed_process_end_at_once_and_others_notice_nothing(server: Server) -> None:
    doomed = await begun(server, slow("a"), 5)
    (other,) = await begun(server, echo("b", tokens=40, delay_ms=20))
    pid = (await server.model("a"))["pid"]
    os.kill(pid, signal.SIGKILL)
    began = time.monotonic()
    for events in await asyncio.gather(*doomed):
        assert (last(events)["code"], last(events)["retryable"]) == ("engine_died", True)
    within(1, time.monotonic() - began)
    line = await server.model_when("a", lambda line: line["state"] == "ready" and line["pid"] != pid)
    assert line["running"] == 0
    assert last(await other)["kind"] == "finished"


@timed
async def test_a_process_that_is_stopped_is_replaced_after_the_stall_limit(server: Server) -> None:
    doomed = await begun(server, slow("a", {"stall_limit": 2}), 3)
    (other,) = await begun(server, echo("b", tokens=100, delay_ms=20))
    pid = (await server.model("a"))["pid"]
    os.kill(pid, signal.SIGSTOP)
    began = time.monotonic()
    for events in await asyncio.gather(*doomed):
        assert (last(events)["code"], last(events)["retryable"]) == ("engine_died", True)
        assert "silent" in last(events)["message"]
    within(5, time.monotonic() - began)
    await server.model_when("a", lambda line: line["state"] == "ready" and line["pid"] != pid)
    assert not psutil.pid_exists(pid)
    assert last(await other)["kind"] == "finished"


async def test_a_process_that_is_stopped_while_it_rests_is_replaced_too(server: Server) -> None:
    await server.client.switch(echo("a", settings={"stall_limit": 0.5}))
    pid = (await server.model("a"))["pid"]
    os.kill(pid, signal.SIGSTOP)
    await server.model_when("a", lambda line: line["state"] == "ready" and line["pid"] != pid)


async def test_an_engine_that_makes_no_step_is_replaced_after_the_spin_limit(server: Server) -> None:
    spec = echo(
        "a", tokens=5, delay_ms=1, fault="hang", fault_at=2, settings={"spin_limit": 1, "stall_limit": 1}
    )
    (hung,) = await begun(server, spec)
    ended = last(await asyncio.wait_for(hung, 30))
    assert (ended["code"], ended["retryable"]) == ("engine_died", True) and "no step" in ended["message"]


async def test_an_answer_that_finds_no_memory_ends_and_the_process_stays(server: Server) -> None:
    spec = echo("a", tokens=5, delay_ms=1, settings={"memory_limit_bytes": 256 << 20})
    await server.client.switch(spec)
    pid = (await server.model("a"))["pid"]
    greedy = {"echo": {"fault": "memory", "fault_at": 2}}
    ended = last(await collect(server.client.stream(HELLO, model=spec, params=greedy)))
    assert (ended["code"], ended["retryable"]) == ("out_of_memory", True)
    assert last(await collect(server.client.stream(HELLO, model=spec)))["kind"] == "finished"
    assert (await server.model("a"))["pid"] == pid


async def test_a_load_that_finds_no_memory_says_so(server: Server) -> None:
    with pytest.raises(InferenceError, match="out_of_memory"):
        await server.client.switch(echo("a", settings={"load_fault": "memory"}))


async def test_ten_requests_for_three_models_that_do_not_fit_together(start_server: StartServer) -> None:
    """Line by line of what the board says: each model is loaded once, all requests are answered."""
    server = await start_server("--cold", "--memory-limit", "2GB")
    settings = {"memory_bytes": 1_500_000_000, "load_ms": 50}
    loads: list[str] = []

    async def watch() -> None:
        pids: dict[str, int] = {}
        async for line in server.client.watch():
            if line["state"] == "loading" and line["pid"] and pids.get(line["model"]) != line["pid"]:
                pids[line["model"]] = line["pid"]
                loads.append(line["model"])

    watcher = asyncio.create_task(watch())
    specs = [echo(name, text=name, delay_ms=5, settings=settings) for name in "abcaabcbac"]
    answers = await asyncio.gather(
        *(collect(server.client.stream(HELLO, model=spec, user=f"user {n}")) for n, spec in enumerate(specs))
    )
    watcher.cancel()
    assert [joined(events) for events in answers] == [spec.name for spec in specs]
    assert sorted(loads) == ["a", "b", "c"]
    state = await server.client.state()
    assert [model["state"] for model in state["models"]].count("ready") == 1
    assert state["memory"]["cpu"]["budget"] <= 2_000_000_000
    assert state["memory"]["cpu"]["held"] == 1_500_000_000


async def test_a_pin_holds_a_model_and_the_state_tells_it(start_server: StartServer) -> None:
    server = await start_server("--cold", "--memory-limit", "2GB")
    kept, other = (echo(name, settings={"memory_bytes": 1_500_000_000}) for name in "ab")
    await server.client.switch(kept)
    await server.client.pin(kept, True)
    assert (await server.client.state())["pins"] == ["a"]
    with pytest.raises(InferenceError, match="out_of_memory"):
        await server.client.switch(other)
    await server.client.pin(kept, False)
    await server.client.switch(other)
    assert (await server.client.state())["pins"] == []


async def test_a_model_that_can_never_fit_is_told_with_figures(start_server: StartServer) -> None:
    server = await start_server("--cold", "--memory-limit", "100MB")
    with pytest.raises(InferenceError, match="out_of_memory") as refusal:
        await server.client.switch(echo("a", settings={"memory_bytes": 10**9}))
    assert refusal.value.extra["needed"] == 10**9 and refusal.value.extra["budget"] <= 10**8
