"""The real server process, over its real socket, with the scripted model."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import stat
import sys
import time
from contextlib import aclosing
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from inference.client import InferenceClient
from inference.engines.echo import script_tokens
from inference.errors import InferenceError
from inference.protocol import Event, GenerateRequest
from inference.tests.conftest import (
    CHINESE,
    HELLO,
    ROOT,
    Server,
    StartServer,
    collect,
    echo,
    joined,
    last,
    raw,
)
from system.address import door
from tests.patience import timed, within


def script_text(tokens: int, seed: int = 0) -> str:
    return "".join(script_tokens({"tokens": tokens, "seed": seed}, GenerateRequest("", HELLO)))


@timed
async def test_an_answer_streams_token_by_token(server: Server) -> None:
    arrivals = []
    async for event in server.client.stream(HELLO, model=echo(tokens=10, delay_ms=40)):
        if event["kind"] == "text":
            arrivals.append(time.monotonic())
    assert len(arrivals) == 10
    gaps = sorted(b - a for a, b in pairwise(arrivals))
    assert gaps[len(gaps) // 2] > 0.02
    within(0.08, gaps[len(gaps) // 2])


async def test_the_events_of_an_answer_in_their_order(server: Server) -> None:
    events = await collect(server.client.stream(HELLO, model=echo(text="a b", reasoning="why", delay_ms=5)))
    phases = [event["phase"] for event in events if event["kind"] == "status"]
    assert phases[0] == "loading" and phases[-2:] == ["prefill", "generating"]
    assert joined(events, kind="reasoning") == "why"
    assert joined(events) == "a b"
    assert raw(events) == "<think>why</think>a b"
    assert [event["kind"] for event in events[-2:]] == ["usage", "finished"]
    assert events[-1] == {"kind": "finished", "reason": "stop"}


async def test_the_chinese_example(server: Server) -> None:
    await server.client.switch(echo())
    assert await server.client.chat(CHINESE) == "You said: 你好！"


@timed
async def test_closing_the_stream_frees_the_model_within_300_ms(server: Server) -> None:
    events = server.client.stream(HELLO, model=echo(tokens=10_000, delay_ms=20))
    async with aclosing(events):
        async for event in events:
            if event["kind"] == "text":
                break
        assert (await server.model("echo"))["running"] == 1
    began = time.monotonic()
    await server.model_when("echo", lambda line: line["running"] == 0)
    within(0.3, time.monotonic() - began)


@pytest.mark.windows
@timed
async def test_a_killed_child_is_noticed_and_the_answer_goes_on_where_it_was(server: Server) -> None:
    spec, whole = echo(tokens=60, delay_ms=20, seed=7), script_text(60, 7)
    before: list[Event] = []
    pid, killed = 0, 0.0
    async for event in server.client.stream(HELLO, model=spec):
        before.append(event)
        if event["kind"] == "text" and len(joined(before).split()) == 10:
            pid = (await server.model("echo"))["pid"]
            os.kill(pid, signal.SIGKILL)
            killed = time.monotonic()
    within(0.5, time.monotonic() - killed)
    assert last(before)["code"] == "engine_died" and last(before)["retryable"] is True
    assert whole.startswith(raw(before)) and raw(before) != whole

    after = await collect(server.client.stream(HELLO, model=spec, prefix=raw(before)))
    assert last(after) == {"kind": "finished", "reason": "stop"}
    assert raw(before) + raw(after) == whole
    assert (await server.model("echo"))["pid"] not in (pid, None)


async def test_a_child_that_is_killed_while_idle_is_noticed_at_once_and_comes_back(server: Server) -> None:
    await server.client.switch(echo())
    pid = (await server.model("echo"))["pid"]
    os.kill(pid, signal.SIGKILL)
    line = await server.model_when("echo", lambda line: line["state"] == "queued")
    assert line["error"]["code"] == "engine_died" and line["pid"] is None
    line = await server.model_when("echo", lambda line: line["state"] == "ready")
    assert line["pid"] not in (pid, None) and line["error"] is None
    assert await server.client.chat(HELLO) == "You said: Hello"


@pytest.mark.parametrize(
    ("fault", "code"),
    [("die", "engine_died"), ("error", "engine_error"), ("malformed", "malformed_output")],
)
@pytest.mark.parametrize("inline", [False, True])
async def test_each_fault_ends_in_one_failed_event(
    server: Server, fault: str, code: str, inline: bool
) -> None:
    spec = echo(tokens=6, delay_ms=1, fault=fault, fault_at=3, settings={"inline": inline})
    events = await collect(server.client.stream(HELLO, model=spec))
    assert last(events)["code"] == code
    # The token before the fault may die with the process; nothing else is missing.
    assert len(joined(events).split()) in (2, 3)
    # The next request finds a working model.
    after = await collect(server.client.stream(HELLO, model=spec, prefix=raw(events)))
    assert raw(events) + raw(after) == script_text(6)


async def test_a_model_that_hangs_can_be_stopped(server: Server) -> None:
    events = server.client.stream(HELLO, model=echo(tokens=5, delay_ms=1, fault="hang", fault_at=2))
    async with aclosing(events):
        async for event in events:
            if event["kind"] == "text":
                break
    await server.model_when("echo", lambda line: line["running"] == 0)


async def test_silence_is_filled_with_heartbeats(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nine heartbeat intervals of silence, as 90 s are with the real interval of 10 s."""
    monkeypatch.setattr(
        "inference.client._TIMEOUT", aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=0.7)
    )
    server = await start_server("--cold", "--heartbeat", "0.2")
    events = await collect(
        server.client.stream(HELLO, model=echo(text="at last", delay_ms=1, first_delay_ms=1800))
    )
    assert joined(events) == "at last" and last(events)["kind"] == "finished"


async def test_without_heartbeats_the_client_gives_up(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test above can fail: it is the heartbeats that keep the stream."""
    monkeypatch.setattr(
        "inference.client._TIMEOUT", aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=0.7)
    )
    server = await start_server("--cold", "--heartbeat", "60")
    with pytest.raises(InferenceError, match="unavailable"):
        await collect(server.client.stream(HELLO, model=echo(text="x", first_delay_ms=5000)))


async def test_many_callers_join_one_load(server: Server) -> None:
    spec = echo(settings={"load_ms": 300})
    runs = [collect(server.client.load(spec)) for _ in range(5)]
    for events in await asyncio.gather(*runs):
        assert events[-1] == {"kind": "ready"}
        progress = [event["progress"] for event in events if event.get("phase") == "loading"]
        assert progress == sorted(progress) and len(progress) > 1
    children = psutil.Process(server.process.pid).children()
    assert len([child for child in children if "resource_tracker" not in " ".join(child.cmdline())]) == 1


async def test_a_load_that_fails_says_so(server: Server) -> None:
    with pytest.raises(InferenceError, match="load_failed"):
        await server.client.switch(echo(settings={"load_fault": True}))
    assert (await server.model("echo"))["state"] == "failed"


async def test_unload_returns_when_the_process_has_ended(server: Server) -> None:
    await server.client.switch(echo())
    pid = (await server.model("echo"))["pid"]
    await server.client.unload("echo")
    assert not psutil.pid_exists(pid)
    assert (await server.client.state())["models"] == []
    await server.client.unload("echo")  # not loaded: no error


async def test_another_setting_reloads_after_the_running_answer(server: Server) -> None:
    first = asyncio.create_task(collect(server.client.stream(HELLO, model=echo(tokens=20, delay_ms=20))))
    await server.model_when("echo", lambda line: line["running"] == 1)
    second = await server.client.chat(HELLO, model=echo(text="new", delay_ms=1))
    assert second == "new"
    assert joined(await first) == script_text(20)


async def test_two_users_share_the_slots_fairly(server: Server) -> None:
    spec = echo(tokens=4, delay_ms=20, settings={"slots": 1})
    ended: list[str] = []

    async def ask(user: str) -> list[Event]:
        events = await collect(server.client.stream(HELLO, model=spec, user=user))
        ended.append(user)
        return events

    await server.client.switch(spec)
    greedy = [asyncio.create_task(ask("greedy")) for _ in range(5)]
    await server.model_when("echo", lambda line: line["waiting"] == 4)
    other = await ask("other")
    await asyncio.gather(*greedy)
    # One ran already and one more may have begun before the other came; never all five.
    assert ended.index("other") <= 2
    assert {"kind": "status", "phase": "queued", "position": 1} in other


async def test_each_client_error_has_the_one_shape(server: Server) -> None:
    way = door(server.client.address)
    bodies: list[Any] = [b"{", b"[]", b"{}", b'{"model": {"id": "a", "engine": "echo"}, "messages": "x"}']
    bodies.append(b'{"model": {"id": "a", "engine": "echo"}, "messages": [{"role": "boss", "content": "x"}]}')
    asked = (
        b'{"model": {"id": "a", "engine": "echo"}, "messages": [{"role": "assistant", "content": "x"%s}]%s}'
    )
    bodies += [asked % (b"", b', "tools": "all"'), asked % (b"", b', "tools": [{"type": "function"}]')]
    bodies.append(asked % (b', "tool_calls": [{"name": "f", "arguments": "{}"}]', b""))
    connector = aiohttp.UnixConnector(way.path) if way.path else aiohttp.TCPConnector()
    async with aiohttp.ClientSession(way.base, connector=connector, headers=way.headers) as session:
        for body in bodies:
            async with session.post("/stream", data=body) as response:
                assert response.status == 400
                assert (await response.json())["error"]["code"] == "invalid_request"
        for body in (b"{}", b'{"model": "a"}', b'{"model": "a", "pinned": "yes"}'):
            async with session.post("/pin", data=body) as response:
                assert response.status == 400
        async with session.get("/nothing") as response:
            assert response.status == 404 and "error" in await response.json()


async def test_tools_and_calls_reach_the_model(server: Server) -> None:
    call = {"id": "1", "name": "clock", "arguments": {"zone": "UTC"}}
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "What time is it?"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "noon", "tool_call_id": "1", "name": "clock"},
    ]
    tools = [{"type": "function", "function": {"name": "clock", "parameters": {}}}]
    events = await collect(server.client.stream(messages, model=echo(text="noon", delay_ms=1), tools=tools))
    assert joined(events) == "noon" and last(events)["kind"] == "finished"


@pytest.mark.parametrize("value", ["much", "-1"])
async def test_a_memory_limit_that_makes_no_sense_stops_the_start(value: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "inference.server", "--cold", "--address", f"unix:{tmp_path}/s"]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, stderr=asyncio.subprocess.PIPE, env={**os.environ, "HEARTH_MEMORY_LIMIT": value}
    )
    _, stderr = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 2 and b"no amount of memory" in stderr


async def test_an_unknown_engine_is_a_failed_event(server: Server) -> None:
    spec = echo()
    object.__setattr__(spec, "engine", "abacus")
    events = await collect(server.client.stream(HELLO, model=spec))
    assert last(events)["code"] == "model_not_found"


async def test_what_opens_the_server_is_its_owners_alone(server: Server) -> None:
    """The Unix socket, or the file with port and secret."""
    path = server.client.address.partition(":")[2]
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


async def test_over_tcp_only_the_secret_opens(start_server: StartServer, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    secret = tmp_path / "secret"
    secret.write_text("sesame\n")
    server = await start_server("--cold", "--secret-file", str(secret), address=address, secret="sesame")
    assert await server.client.chat(HELLO, model=echo()) == "You said: Hello"
    for wrong in (None, "Sesame", ""):
        stranger = InferenceClient(address, wrong)
        with pytest.raises(InferenceError, match="unauthorized"):
            await stranger.state()
        await stranger.close()


@pytest.mark.windows
@timed
async def test_sigterm_ends_fast_and_takes_the_children_along(server: Server) -> None:
    run = asyncio.create_task(collect(server.client.stream(HELLO, model=echo(tokens=10_000))))
    pid = (await server.model_when("echo", lambda line: line["running"] == 1))["pid"]
    began = time.monotonic()
    assert await server.stop() == 0
    within(2, time.monotonic() - began)
    assert not psutil.pid_exists(pid)
    with pytest.raises(InferenceError):
        if (await run)[-1]["kind"] == "failed":
            raise InferenceError.from_event((await run)[-1])


@pytest.mark.windows
async def test_the_children_of_a_killed_server_end(server: Server) -> None:
    await server.client.switch(echo())
    child = psutil.Process((await server.model("echo"))["pid"])
    server.process.kill()
    await asyncio.to_thread(child.wait, 5)


@timed
async def test_health_is_there_before_the_warm_parent_is(start_server: StartServer) -> None:
    began = time.monotonic()
    server = await start_server()
    within(3, time.monotonic() - began)
    # A model that needs no torch does not wait for the imports either.
    assert await server.client.chat(HELLO, model=echo()) == "You said: Hello"


async def test_the_manager_is_small_and_has_no_torch(server: Server) -> None:
    await server.client.chat(HELLO, model=echo())
    process = psutil.Process(server.process.pid)
    assert process.memory_info().rss < 80 << 20
    assert not [mapped.path for mapped in process.memory_maps() if "libtorch" in mapped.path]


async def test_a_left_over_socket_is_replaced_and_a_live_one_is_not(
    start_server: StartServer, server: Server
) -> None:
    path = server.client.address
    command = [sys.executable, "-m", "inference.server", "--cold", "--address", path]
    twin = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stderr=asyncio.subprocess.PIPE)
    _, stderr = await asyncio.wait_for(twin.communicate(), 60)
    assert twin.returncode == 1 and b"runs on" in stderr
    await server.client.state()  # and the first one still answers
    server.process.kill()
    await server.process.wait()
    again = await start_server("--cold", address=path)
    await again.client.state()
