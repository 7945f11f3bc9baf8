"""A small OpenAI-style endpoint. The model's name says what it does: say-TEXT, think, die, status-CODE,
hang, redirect, logprobs, busy, no-money, too-long…, too-much, late-error, calls and calls-… (see CALLS)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
from aiohttp import web


def _call(
    index: int | None, arguments: str, name: str | None = None, id: str | None = None
) -> dict[str, Any]:
    piece: dict[str, Any] = {"function": {"arguments": arguments}}
    if index is not None:
        piece["index"] = index
    if id:
        piece |= {"id": id, "type": "function"}
    if name:
        piece["function"]["name"] = name
    return piece


#: The deltas' tool_calls, one after the other.
CALLS: dict[str, list[list[dict[str, Any]]]] = {
    "calls": [
        [_call(0, "", "weather", "a")],
        [_call(0, '{"city": "</tool')],
        [_call(0, "_call>北"), _call(1, '{"x"', "now", "b")],
        [_call(0, '京"}'), _call(1, ": 1}")],
    ],
    "calls-without-index": [
        [_call(None, '{"city": "</tool_call>北京"}', "weather", "a"), _call(None, '{"x": 1}', "now", "b")]
    ],
    "calls-same-index": [
        [_call(0, '{"city": "</tool_call>北京"}', "weather", "a")],
        [_call(0, '{"x": 1}', "now", "b")],
    ],
    "calls-nothing": [[_call(0, "", "now", "a")]],
    "calls-broken": [[_call(0, "{}", "now", "a")], [_call(1, '{"city": ', "weather", "b")]],
    "calls-cut": [[_call(0, "", "now", "a")]],
}
_ERRORS: dict[str, tuple[int, dict[str, Any], dict[str, str]]] = {
    "busy": (429, {"message": "slow down"}, {"Retry-After": "7"}),
    "no-money": (429, {"message": "pay", "code": "insufficient_quota"}, {}),
    "too-long": (
        400,
        {"message": "This model's maximum context length is 4096 tokens, but you requested 5,000 tokens."},
        {},
    ),
    "too-much": (
        400,
        {"message": "max_tokens is too large: 5000. The context length is 4096, your request has 10 tokens."},
        {},
    ),
    "too-long-llama": (
        400,
        {
            "code": 400,
            "type": "exceed_context_size_error",
            "message": "request exceeds the available context size",
            "n_prompt_tokens": 5000,
            "n_ctx": 4096,
        },
        {},
    ),
}


class FakeOpenAI:
    def __init__(self) -> None:
        self.url = ""
        self.redirect_to = "/elsewhere"
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.aborted = asyncio.Event()
        self.checks: asyncio.Queue[int] = asyncio.Queue()
        self.models_status = 200

    async def models(self, request: web.Request) -> web.Response:
        self.checks.put_nowait(self.models_status)
        lines = [{"id": "told", "max_model_len": 1234}]
        return web.json_response({"data": lines}, status=self.models_status)

    async def chat(self, request: web.Request) -> web.StreamResponse:
        body = orjson.loads(await request.read())
        self.bodies.append(body)
        self.headers.append(dict(request.headers))
        model = str(body["model"])
        if model.startswith("status-"):
            return web.json_response({"error": {"message": "refused"}}, status=int(model[7:]))
        if model in _ERRORS:
            status, error, headers = _ERRORS[model]
            return web.json_response({"error": error}, status=status, headers=headers)
        if model == "redirect":
            raise web.HTTPTemporaryRedirect(self.redirect_to)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        try:
            for choice in self._choices(model, body):
                await response.write(b"data: " + orjson.dumps({"choices": [choice]}) + b"\n\n")
            if model == "late-error":
                await response.write(
                    b"data: " + orjson.dumps({"error": _ERRORS["too-long-llama"][1]}) + b"\n\n"
                )
            if model == "die" and request.transport is not None:
                request.transport.abort()
                return response
            if model == "hang":
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.aborted.set()
            raise
        reason = "length" if model == "calls-cut" else "tool_calls" if model in CALLS else "stop"
        usage = {"prompt_tokens": 3, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 2}}
        end = {"choices": [{"delta": {}, "finish_reason": reason}], "usage": usage}
        await response.write(b"data: " + orjson.dumps(end) + b"\n\ndata: [DONE]\n\n")
        return response

    def _choices(self, model: str, body: dict[str, Any]) -> list[dict[str, Any]]:
        if model == "think":
            deltas: list[Any] = [
                {"reasoning_content": "wh"},
                {"reasoning_content": "y"},
                {"content": "because"},
            ]
            return [{"delta": delta} for delta in deltas]
        if model in CALLS:
            thought = [{"reasoning_content": "which"}] if model == "calls" else [{"content": "I look."}]
            return [{"delta": delta} for delta in [*thought, *({"tool_calls": c} for c in CALLS[model])]]
        if model == "logprobs":
            top = [
                {"token": "a", "logprob": -0.5, "bytes": [97]},
                {"token": "b", "logprob": -1.5, "bytes": [98]},
            ]
            token = {**top[0], "top_logprobs": top[: body["top_logprobs"]]}
            return [{"delta": {"content": "a"}, "logprobs": {"content": [token]}}]
        text = model[4:] if model.startswith("say-") else "one two "
        final = body["messages"][-1]
        if final["role"] == "assistant" and final.get("prefix") and body.get("continue_final_message"):
            text = text.removeprefix(final["content"])
        return [{"delta": {"content": character}} for character in text]


@asynccontextmanager
async def fake_openai() -> AsyncIterator[FakeOpenAI]:
    fake = FakeOpenAI()
    app = web.Application()
    app.router.add_post("/v1/chat/completions", fake.chat)
    app.router.add_get("/v1/models", fake.models)
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    try:
        yield fake
    finally:
        await runner.cleanup()
