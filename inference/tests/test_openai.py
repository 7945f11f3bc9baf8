"""A remote endpoint through the real server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest

from inference.engines import openai
from inference.errors import InferenceError
from inference.protocol import ModelSpec
from inference.tests.conftest import CHINESE, HELLO, Server, collect, joined, last, raw
from inference.tests.fake_openai import FakeOpenAI, fake_openai
from tests.patience import timed, within


@pytest.fixture
async def fake() -> AsyncIterator[FakeOpenAI]:
    async with fake_openai() as endpoint:
        yield endpoint


def remote(fake: FakeOpenAI, model: str, **source: Any) -> ModelSpec:
    address = {"kind": "remote", "base_url": fake.url, "model": model, "api_key": "key", **source}
    return ModelSpec(f"remote-{model}", model, "openai", address)


@asynccontextmanager
async def engine(fake: FakeOpenAI, model: str) -> AsyncIterator[openai.OpenAIEngine]:
    made = openai.OpenAIEngine(remote(fake, model))
    try:
        yield made
    finally:
        await made.unload()


TOOLS = [{"type": "function", "function": {"name": name, "parameters": {}}} for name in ("weather", "now")]


async def test_the_chinese_example_with_developer_as_system(server: Server, fake: FakeOpenAI) -> None:
    assert await server.client.chat(CHINESE, model=remote(fake, "say-你好！")) == "你好！"
    assert [message["role"] for message in fake.bodies[0]["messages"]] == ["system", "user"]
    assert fake.headers[0]["Authorization"] == "Bearer key"


async def test_reasoning_in_a_field_of_its_own(server: Server, fake: FakeOpenAI) -> None:
    events = await collect(server.client.stream(HELLO, model=remote(fake, "think")))
    assert (joined(events, kind="reasoning"), joined(events)) == ("why", "because")
    assert raw(events) == "<think>why</think>because"


async def test_it_goes_on_where_the_endpoint_can(server: Server, fake: FakeOpenAI) -> None:
    able, unable = remote(fake, "say-abcdef", continues=True), remote(fake, "say-xyz")
    assert joined(await collect(server.client.stream(HELLO, model=able, prefix="abc"))) == "def"
    assert (
        last(await collect(server.client.stream(HELLO, model=unable, prefix="x")))["code"]
        == "cannot_continue"
    )


@pytest.mark.parametrize(
    ("model", "code", "retryable"),
    [
        ("status-401", "unauthorized", False),
        ("status-404", "model_not_found", False),
        ("status-400", "invalid_request", False),
        ("status-429", "busy", True),
        ("no-money", "busy", False),
        ("status-500", "unavailable", True),
        ("redirect", "unavailable", False),
        ("die", "unavailable", True),
        ("late-error", "context_too_long", False),
    ],
)
async def test_each_failure_has_its_code(
    server: Server, fake: FakeOpenAI, model: str, code: str, retryable: bool
) -> None:
    event = last(await collect(server.client.stream(HELLO, model=remote(fake, model))))
    assert (event["code"], event["retryable"]) == (code, retryable)


@pytest.mark.parametrize(
    ("model", "extra"),
    [
        ("busy", {"retry_after": 7}),
        ("too-long", {"tokens": 5000, "limit": 4096}),
        ("too-long-llama", {"tokens": 5000, "limit": 4096}),
        ("too-much", {"limit": 4096}),
    ],
)
async def test_a_refusal_says_how_much_and_how_long(
    server: Server, fake: FakeOpenAI, model: str, extra: dict[str, int]
) -> None:
    event = last(await collect(server.client.stream(HELLO, model=remote(fake, model))))
    assert event["extra"] == extra


@pytest.mark.parametrize("model", ["calls", "calls-without-index", "calls-same-index"])
async def test_tool_calls_that_come_in_pieces(server: Server, fake: FakeOpenAI, model: str) -> None:
    events = await collect(server.client.stream(HELLO, model=remote(fake, model), tools=TOOLS))
    assert fake.bodies[0]["tools"] == TOOLS
    calls = [event for event in events if event["kind"] == "tool_call"]
    assert [(call["name"], call["arguments"]) for call in calls] == [
        ("weather", {"city": "</tool_call>北京"}),
        ("now", {"x": 1}),
    ]
    assert last(events)["reason"] == "stop"
    before = ("which", "") if model == "calls" else ("", "I look.")
    assert (joined(events, kind="reasoning"), joined(events)) == before


async def test_a_call_without_arguments_has_none(server: Server, fake: FakeOpenAI) -> None:
    events = await collect(server.client.stream(HELLO, model=remote(fake, "calls-nothing"), tools=TOOLS))
    assert [event["arguments"] for event in events if event["kind"] == "tool_call"] == [{}]


async def test_calls_that_are_broken_or_cut_off_are_text(server: Server, fake: FakeOpenAI) -> None:
    for model, good in (("calls-broken", 1), ("calls-cut", 0)):
        events = await collect(server.client.stream(HELLO, model=remote(fake, model), tools=TOOLS))
        assert sum(event["kind"] == "tool_call" for event in events) == good
        assert '"name": ' in joined(events)


async def test_an_answer_with_all_its_calls_is_not_asked_for_again(server: Server, fake: FakeOpenAI) -> None:
    model = remote(fake, "calls", continues=True)
    events = await collect(server.client.stream(HELLO, model=model, tools=TOOLS))
    whole, first = raw(events), next(event for event in events if event["kind"] == "tool_call")
    again = await collect(server.client.stream(HELLO, model=model, tools=TOOLS, prefix=whole))
    assert [event["kind"] for event in again] == ["finished"]
    within = whole[: whole.index(first["raw"]) + len(first["raw"])]
    cut = await collect(server.client.stream(HELLO, model=model, tools=TOOLS, prefix=within))
    assert last(cut)["code"] == "cannot_continue"
    assert len(fake.bodies) == 1


async def test_calls_and_their_results_go_back_as_the_endpoint_knows_them(
    server: Server, fake: FakeOpenAI
) -> None:
    messages: list[dict[str, Any]] = [
        *HELLO,
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": "c1", "name": "now", "arguments": {"x": "北"}}],
        },
        {"role": "tool", "content": "noon", "tool_call_id": "c1", "name": "now"},
    ]
    await collect(server.client.stream(messages, model=remote(fake, "say-a"), tools=TOOLS))
    call = fake.bodies[0]["messages"][1]["tool_calls"][0]
    assert call == {"id": "c1", "type": "function", "function": {"name": "now", "arguments": '{"x":"北"}'}}
    assert fake.bodies[0]["messages"][2] == messages[2]


async def test_logprobs_come_before_their_text(server: Server, fake: FakeOpenAI) -> None:
    events = await collect(
        server.client.stream(HELLO, model=remote(fake, "logprobs"), params={"logprobs": 2})
    )
    assert fake.bodies[0]["logprobs"] is True
    top = [{"token": "a", "logprob": -0.5}, {"token": "b", "logprob": -1.5}]
    place = next(n for n, event in enumerate(events) if event["kind"] == "logprobs")
    assert events[place]["tokens"] == [{**top[0], "top": top}]
    assert events[place + 1]["text"] == "a"


async def test_usage_tells_what_the_endpoint_had_cached(server: Server, fake: FakeOpenAI) -> None:
    events = await collect(server.client.stream(HELLO, model=remote(fake, "say-ab")))
    usage = next(event for event in events if event["kind"] == "usage")
    assert (usage["prompt_tokens"], usage["reused_tokens"], usage["completion_tokens"]) == (3, 2, 4)


async def test_a_dead_endpoint_is_told_at_load_and_may_come_back(server: Server) -> None:
    nobody = ModelSpec(
        "r", "r", "openai", {"kind": "remote", "base_url": "http://127.0.0.1:9/v1", "model": "m"}
    )
    failed = last(await collect(server.client.stream(HELLO, model=nobody)))
    assert (failed["code"], failed["retryable"]) == ("unavailable", True)


@pytest.mark.parametrize(
    ("status", "code", "retryable"), [(401, "unauthorized", False), (503, "unavailable", True)]
)
async def test_an_endpoint_that_refuses_the_check_does_not_load(
    fake: FakeOpenAI, status: int, code: str, retryable: bool
) -> None:
    fake.models_status = status
    async with engine(fake, "say-a") as remote_engine:
        with pytest.raises(InferenceError) as failure:
            await remote_engine.load(lambda progress: None)
    assert (failure.value.code, failure.value.retryable) == (code, retryable)


@pytest.mark.parametrize(
    ("status", "model", "limit"), [(200, "told", 1234), (200, "x", 32768), (404, "x", 32768)]
)
async def test_the_context_length_is_the_endpoints_where_it_tells(
    fake: FakeOpenAI, status: int, model: str, limit: int
) -> None:
    fake.models_status = status
    async with engine(fake, model) as remote_engine:
        assert (await remote_engine.load(lambda progress: None))["context_length"] == limit


async def test_stats_tell_whether_the_endpoint_is_there(
    fake: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openai, "_CHECK_EVERY", 0.0)
    async with engine(fake, "say-a") as remote_engine:
        await remote_engine.load(lambda progress: None)
        await fake.checks.get()
        fake.models_status = 503
        assert remote_engine.stats()["reachable"]
        assert await fake.checks.get() == 503
        assert remote_engine._checking is not None
        await remote_engine._checking
        assert remote_engine.stats() == {"running": 0, "reachable": False}


@timed
async def test_closing_the_stream_closes_the_endpoints(server: Server, fake: FakeOpenAI) -> None:
    async with aclosing(server.client.stream(HELLO, model=remote(fake, "hang"))) as events:
        async for event in events:
            if event["kind"] == "text":
                break
    began = time.monotonic()
    await asyncio.wait_for(fake.aborted.wait(), 30)
    within(0.3, time.monotonic() - began)
