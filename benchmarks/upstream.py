#!/usr/bin/env python3
"""A fake OpenAI-compatible endpoint that streams at a set pace: `python benchmarks/upstream.py --port 9100`.

The model's name sets the behaviour, so one process serves every mode:
  fake-<N>x<MS>      N tokens, MS milliseconds apart (0: no delay)
  silent-<S>         silent for S seconds, then 20 tokens 20 ms apart
  die-<K>            K tokens 20 ms apart, then the connection is aborted
  err-<CODE>         HTTP error CODE
  batch-<N>x<B>      N tokens, no delay, B events in each write
Every token is the text ``<monotonic ns>:<index> ``: a client on the same host can tell each token's age.
A final assistant message with `continue_final_message` in the body, or `prefix` on it, is gone on from.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import time
from typing import Any

from aiohttp import web

MODELS = ["fake-128x20", "fake-2000x0", "silent-70", "die-30", "err-500"]


def chunk(call: str, model: str, delta: dict[str, str], **more: Any) -> bytes:
    usage = {"usage": more["usage"]} if "usage" in more else {}
    body = {
        "id": call,
        "object": "chat.completion.chunk",
        "created": int(time.time()),
        "model": model,
        "choices": [{"index": 0, "delta": delta, "finish_reason": more.get("finish")}],
        **usage,
    }
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def first_index(body: dict[str, Any]) -> int:
    """Where to go on: after the last index of the prefix that the request names."""
    last = (body.get("messages") or [{}])[-1]
    if last.get("role") != "assistant" or not (body.get("continue_final_message") or last.get("prefix")):
        return 0
    seen = re.findall(r"\d{8,}:(\d+) ", last.get("content") or "")
    return int(seen[-1]) + 1 if seen else 0


async def models(request: web.Request) -> web.Response:
    listed = [{"id": name, "object": "model", "created": 1, "owned_by": "fake"} for name in MODELS]
    return web.json_response({"object": "list", "data": listed})


async def chat(request: web.Request) -> web.StreamResponse:
    body = await request.json()
    model, call = str(body["model"]), f"chatcmpl-{time.monotonic_ns()}"
    if model.startswith("err-"):
        error = {"message": "fake upstream error", "type": "server_error"}
        return web.json_response({"error": error}, status=int(model[4:]))
    match = re.match(r"(fake|batch)-(\d+)x(\d+)$", model)
    kind, count, number = (match[1], int(match[2]), int(match[3])) if match else ("fake", 20, 20)
    pause, batch = (0.0, number) if kind == "batch" else (number / 1000, 1)
    dies = int(model[4:]) if model.startswith("die-") else None

    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
    await response.prepare(request)
    if model.startswith("silent-"):
        await asyncio.sleep(float(model[7:]))
    await response.write(chunk(call, model, {"role": "assistant", "content": ""}))
    loop, waiting = asyncio.get_running_loop(), b""
    due = loop.time()
    for index in range(first_index(body), count if dies is None else dies):
        if pause:
            due += pause
            await asyncio.sleep(max(0.0, due - loop.time()))
        elif index % 32 == 31:
            await asyncio.sleep(0)
        waiting += chunk(call, model, {"content": f"{time.monotonic_ns()}:{index} "})
        if (index + 1) % batch == 0:
            await response.write(waiting)
            waiting = b""
    if waiting:
        await response.write(waiting)
    if dies is not None:
        if request.transport is not None:
            request.transport.close()
        return response
    usage = {"prompt_tokens": 10, "completion_tokens": count, "total_tokens": count + 10}
    await response.write(chunk(call, model, {}, finish="stop", usage=usage))
    await response.write(b"data: [DONE]\n\n")
    await response.write_eof()
    return response


def application() -> web.Application:
    app = web.Application(client_max_size=64 << 20)
    app.add_routes([web.get("/v1/models", models), web.post("/v1/chat/completions", chat)])
    return app


async def serve(port: int) -> None:
    runner = web.AppRunner(application(), handler_cancellation=True, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=9100)
    asyncio.run(serve(parser.parse_args().port))
