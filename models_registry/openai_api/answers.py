"""One answer of the model service, as a body or as server-sent events. Leaving either ends the generation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

import orjson

from accounts.ids import new_id
from inference.errors import InferenceError
from inference.protocol import Event, ModelSpec
from models_registry import live
from models_registry.openai_api.completion import Completion
from models_registry.openai_api.errors import ApiError, of_inference
from models_registry.openai_api.params import ChatRequest

#: A stream says something at least this often (seconds), or clients and proxies give it up.
PING_EVERY = 10.0
#: How long a stream waits for the model's first word: a failure until then has its own status.
FIRST_WORD = 5.0
#: Nothing has come for a while.
SILENCE: Event = {"kind": "silence"}

Events = AsyncGenerator[Event, None]


def events_of(asked: ChatRequest, spec: ModelSpec, user_id: str, every: float = PING_EVERY) -> Events:
    """The events of the generation, fair by user as all answers of the house; SILENCE between them.

    Raises ApiError for a failed one. Closing it aborts the generation.
    """
    stream = live.client().stream(
        asked.messages,
        model=spec,
        params=asked.params,
        user=user_id,
        request_id=new_id(),
        tools=asked.use.tools,
    )
    return _watched(stream, every)


async def _watched(stream: Events, every: float) -> Events:
    pending: asyncio.Task[Event] | None = None
    try:
        while True:
            pending = pending or asyncio.ensure_future(_next(stream))
            await asyncio.wait({pending}, timeout=every)
            if not pending.done():
                yield SILENCE
                continue
            event, pending = pending.result(), None
            if event["kind"] == "failed":
                raise of_inference(InferenceError.from_event(event))
            yield event
            if event["kind"] == "finished":
                return
    except InferenceError as error:
        raise of_inference(error) from error
    finally:
        if pending is not None:
            pending.cancel()
            await asyncio.wait({pending})
        await stream.aclose()


async def _next(stream: Events) -> Event:
    return await anext(stream)


async def completion_whole(events: Events, completion: Completion) -> bytes:
    """The body of an answer that is not streamed. Raises ApiError."""
    async with aclosing(events):
        async for event in events:
            for _ in completion.deltas(event):
                pass
    return orjson.dumps(completion.whole())


async def first_events(events: Events, within: float = FIRST_WORD) -> list[Event]:
    """All up to the first that is more than a status, or what came in this time. Raises ApiError."""
    loop = asyncio.get_running_loop()
    end = loop.time() + within
    found: list[Event] = []
    try:
        async for event in events:
            found.append(event)
            if event["kind"] != "status" or loop.time() > end:
                break
    except BaseException:
        await events.aclose()
        raise
    return found


async def completion_lines(
    first: list[Event], events: Events, completion: Completion, include_usage: bool
) -> AsyncIterator[bytes]:
    """OpenAI's stream: chunks, the usage where it is asked for, ``[DONE]``; waits are told in comments."""
    async with aclosing(events):
        yield _line(completion.chunk({"role": "assistant", "content": ""}))
        try:
            for event in first:
                yield _lines(event, completion)
            async for event in events:
                yield _lines(event, completion)
        except ApiError as error:  # the status is sent already: the body has to say it
            yield _line(error.body())
            return
        yield _line(completion.chunk({}, completion.finish_reason))
        if include_usage:
            yield _line(completion.usage_chunk())
        yield b"data: [DONE]\n\n"


def _lines(event: Event, completion: Completion) -> bytes:
    if event["kind"] == "status":
        progress = event.get("progress")
        note = f" {progress:.0%}" if isinstance(progress, int | float) else ""
        return f": {event['phase']}{note}\n\n".encode()
    if event is SILENCE:
        return b": waiting\n\n"
    return b"".join([_line(completion.chunk(delta)) for delta in completion.deltas(event)])


def _line(body: object) -> bytes:
    return b"data: " + orjson.dumps(body) + b"\n\n"
