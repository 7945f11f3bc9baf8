"""The real model, in a real child of a real server."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import aclosing
from itertools import pairwise
from typing import Any

import pytest

from inference.protocol import ModelSpec
from inference.tests.conftest import CHINESE, Server, StartServer, collect, joined, last, raw
from tests.patience import timed, within

pytestmark = [
    pytest.mark.real_model,
    pytest.mark.skipif(not os.environ.get("HEARTH_TEST_MODEL"), reason="HEARTH_TEST_MODEL is not set"),
]
QUESTION = [{"role": "user", "content": "Tell me about the sea in three sentences."}]


@pytest.fixture
async def real(start_server: StartServer) -> tuple[Server, ModelSpec]:
    path = os.environ["HEARTH_TEST_MODEL"]
    return await start_server(), ModelSpec("real", "real", "transformers", {"kind": "folder", "path": path})


@timed
async def test_it_streams_answers_stops_and_continues(real: tuple[Server, ModelSpec]) -> None:
    server, spec = real
    async with asyncio.timeout(120):
        await server.client.switch(spec)
    assert await server.client.chat(CHINESE, params={"max_tokens": 16})

    for params in ({"temperature": 0}, {"temperature": 0.8, "seed": 5, "top_p": 0.95}):
        options: dict[str, Any] = {"model": spec, "params": {**params, "max_tokens": 40}}
        whole = await collect(server.client.stream(QUESTION, **options))
        text = raw(whole)
        assert last(whole)["kind"] == "finished" and joined(whole) == text
        for cut in (1, len(text) // 3, len(text) // 2, len(text) - 5):
            rest = await collect(server.client.stream(QUESTION, prefix=text[:cut], **options))
            assert text[:cut] + raw(rest) == text

    arrivals = []
    events = server.client.stream(QUESTION, model=spec, params={"max_tokens": 200})
    async with aclosing(events):
        async for event in events:
            if event["kind"] == "text":
                arrivals.append(time.monotonic())
                if len(arrivals) == 12:
                    break
    assert min(b - a for a, b in pairwise(arrivals)) > 0
    assert arrivals[-1] - arrivals[0] > 0.05
    began = time.monotonic()
    await server.model_when("real", lambda line: line["running"] == 0)
    within(0.3, time.monotonic() - began)
