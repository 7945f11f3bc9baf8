"""A small OpenAI-style endpoint. The model's name says what it does: say-TEXT, think, die, status-CODE,
hang, redirect."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
from aiohttp import web


class FakeOpenAI:
    def __init__(self) -> None:
        self.url = ""
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.aborted = asyncio.Event()

    async def chat(self, request: web.Request) -> web.StreamResponse:
        body = orjson.loads(await request.read())
        self.bodies.append(body)
        self.headers.append(dict(request.headers))
        model = str(body["model"])
        if model.startswith("status-"):
            return web.json_response({"error": {"message": "refused"}}, status=int(model[7:]))
        if model == "redirect":
            raise web.HTTPTemporaryRedirect("/elsewhere")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        try:
            for delta in self._deltas(model, body):
                await response.write(b"data: " + orjson.dumps({"choices": [{"delta": delta}]}) + b"\n\n")
            if model == "die" and request.transport is not None:
                request.transport.abort()
                return response
            if model == "hang":
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.aborted.set()
            raise
        end = {
            "choices": [{"delta": {}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 4},
        }
        await response.write(b"data: " + orjson.dumps(end) + b"\n\ndata: [DONE]\n\n")
        return response

    def _deltas(self, model: str, body: dict[str, Any]) -> list[dict[str, str]]:
        if model == "think":
            return [{"reasoning_content": "wh"}, {"reasoning_content": "y"}, {"content": "because"}]
        text = model[4:] if model.startswith("say-") else "one two "
        final = body["messages"][-1]
        if final["role"] == "assistant" and final.get("prefix") and body.get("continue_final_message"):
            text = text.removeprefix(final["content"])
        return [{"content": character} for character in text]


@asynccontextmanager
async def fake_openai() -> AsyncIterator[FakeOpenAI]:
    fake = FakeOpenAI()
    app = web.Application()
    app.router.add_post("/v1/chat/completions", fake.chat)
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    try:
        yield fake
    finally:
        await runner.cleanup()
