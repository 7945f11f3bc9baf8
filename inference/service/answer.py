"""One answer: from what an engine yields to the protocol's typed events, with exactly one last event."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, cast

from inference.engines.base import Engine
from inference.errors import InferenceError
from inference.protocol import LAST_EVENTS, Event, GenerateRequest
from inference.service.normalise import Normaliser
from inference.service.tool_parsers import reader_of

log = logging.getLogger(__name__)


async def answer(
    engine: Engine, info: dict[str, Any], request: GenerateRequest
) -> AsyncGenerator[Event, None]:
    """Every failure of the engine becomes the last event; only cancellation passes through."""
    try:
        if request.prefix and not (info.get("capabilities") or {}).get("continues"):
            raise InferenceError("cannot_continue", "This model cannot go on from a text.")
        async for event in _typed(engine, request):
            yield event
            if event["kind"] in LAST_EVENTS:
                return
        raise InferenceError("malformed_output", "The model stopped without saying so.")
    except InferenceError as error:
        yield error.to_event()
    except Exception as error:
        log.exception("an answer failed")
        yield InferenceError("engine_error", f"{type(error).__name__}: {error}").to_event()


async def _typed(engine: Engine, request: GenerateRequest) -> AsyncGenerator[Event, None]:
    machine = Normaliser(prefix=request.prefix)
    told, flushed = False, False
    events = cast(Any, engine.generate(request))
    async with aclosing(events):
        async for event in events:
            kind = event["kind"]
            if not told and kind in ("raw", "logprobs"):
                told = True
                yield {"kind": "status", "phase": "generating"}
            if kind == "raw":
                for part in machine.feed(event["text"]):
                    yield part
            elif kind == "prompt":
                calls = reader_of(event.get("tool_format"), request)
                machine = Normaliser(bool(event["reasoning_open"]), request.prefix, calls)
            elif kind in ("status", "logprobs"):
                yield event
            elif kind in ("usage", "finished"):
                if not flushed:
                    flushed = True
                    for part in machine.finish():
                        yield part
                yield event
            elif kind == "failed":
                raise InferenceError.from_event(event)
            else:
                raise InferenceError("malformed_output", f"The model sent no event: {kind!r}.")
