"""A remote endpoint through the real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

from inference.protocol import ModelSpec
from inference.tests.conftest import CHINESE, HELLO, Server, collect, joined, last, raw
from inference.tests.fake_openai import FakeOpenAI, fake_openai


@pytest.fixture
async def fake() -> AsyncIterator[FakeOpenAI]:
    async with fake_openai() as endpoint:
        yield endpoint


def remote(fake: FakeOpenAI, model: str, **source: Any) -> ModelSpec:
    address = {"kind": "remote", "base_url": fake.url, "model": model, "api_key": "key", **source}
    return ModelSpec(f"remote-{model}", model, "openai", address)


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
        ("status-429", "unavailable", True),
        ("status-500", "unavailable", True),
        ("redirect", "unavailable", False),
        ("die", "unavailable", True),
    ],
)
async def test_each_failure_has_its_code(
    server: Server, fake: FakeOpenAI, model: str, code: str, retryable: bool
) -> None:
    event = last(await collect(server.client.stream(HELLO, model=remote(fake, model))))
    assert (event["code"], event["retryable"]) == (code, retryable)


async def test_closing_the_stream_closes_the_endpoints(server: Server, fake: FakeOpenAI) -> None:
    async with aclosing(server.client.stream(HELLO, model=remote(fake, "hang"))) as events:
        async for event in events:
            if event["kind"] == "text":
                break
    await asyncio.wait_for(fake.aborted.wait(), 0.3)
