"""The client of the model service: the only module of the service that the web side imports."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import aiohttp
import orjson

from inference.errors import InferenceError
from inference.protocol import LAST_EVENTS, SILENCE_LIMIT, Event, Messages, ModelSpec, Tools
from system.address import Door, door

# A model may think for minutes, so there is no total timeout; heartbeats bound the silence instead.
_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=None, sock_connect=10, sock_read=SILENCE_LIMIT)
_GONE = (aiohttp.ClientError, ConnectionError, asyncio.TimeoutError, OSError)


class InferenceClient:
    """Speaks to one server at an address of `system.address`; safe to share by tasks and loops."""

    def __init__(self, address: str, secret: str | None = None) -> None:
        self.address = address
        self._secret = secret
        self._sessions: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, aiohttp.ClientSession] = (
            weakref.WeakKeyDictionary()
        )
        self._default: ModelSpec | None = None

    async def switch(self, model: ModelSpec) -> None:
        """Make `model` ready and the one that later calls without a model go to."""
        async with aclosing(self.load(model)) as events:
            async for event in events:
                if event["kind"] == "failed":
                    raise InferenceError.from_event(event)
        self._default = model

    async def chat(
        self,
        messages: Messages,
        *,
        model: ModelSpec | None = None,
        params: dict[str, Any] | None = None,
    ) -> str:
        """The whole answer, without the reasoning. Raises InferenceError when it failed."""
        parts = [text async for text in self.stream_text(messages, model=model, params=params)]
        return "".join(parts)

    async def stream_text(
        self,
        messages: Messages,
        *,
        model: ModelSpec | None = None,
        params: dict[str, Any] | None = None,
    ) -> AsyncGenerator[str, None]:
        """The answer piece by piece, without the reasoning. Raises InferenceError when it failed."""
        async with aclosing(self.stream(messages, model=model, params=params)) as events:
            async for event in events:
                if event["kind"] == "text" and event["text"]:
                    yield event["text"]
                elif event["kind"] == "failed":
                    raise InferenceError.from_event(event)

    async def stream(
        self,
        messages: Messages,
        *,
        model: ModelSpec | None = None,
        params: dict[str, Any] | None = None,
        prefix: str = "",
        user: str = "",
        request_id: str = "",
        tools: Tools | None = None,
    ) -> AsyncGenerator[Event, None]:
        """The typed events of one generation; the last is `finished` or `failed`.

        Closing the iterator closes the connection, and that aborts the generation.
        Raises InferenceError("unavailable") when there is no server or it went before the last event.
        """
        spec = model or self._default
        if spec is None:
            raise InferenceError("model_not_found", "No model was named and none was switched to.")
        body = {
            "model": spec.to_dict(),
            "messages": messages,
            "params": params or {},
            "prefix": prefix,
            "user": user,
            "request_id": request_id,
            "tools": tools or [],
        }
        async with aclosing(self._lines("POST", "/stream", body)) as batches:
            async for batch in batches:
                for event in _merge(batch):
                    yield event
                    if event["kind"] in LAST_EVENTS:
                        return
        raise _unavailable("The connection ended before the answer did.")

    async def load(self, model: ModelSpec) -> AsyncGenerator[Event, None]:
        """Status events while the model loads; the last is ``{"kind": "ready"}`` or `failed`."""
        async with aclosing(self._lines("POST", "/load", {"model": model.to_dict()})) as batches:
            async for batch in batches:
                for event in batch:
                    yield event
                    if event["kind"] in ("ready", "failed"):
                        return
        raise _unavailable("The connection ended before the model was loaded.")

    async def unload(self, model_id: str) -> None:
        """Returns when the model's process has ended; a model that is not loaded is no error."""
        async with aclosing(self._lines("POST", "/unload", {"model": model_id})) as batches:
            async for _ in batches:
                pass

    async def pin(self, model: ModelSpec, pinned: bool) -> None:
        """A pinned model leaves the memory only when it is unloaded by name. Does not load it; the server
        forgets pins when it ends, `state` says which it knows."""
        await self._json("POST", "/pin", {"model": model.id, "pinned": pinned})

    async def fit(
        self,
        model: ModelSpec,
        *,
        context: int | None = None,
        concurrency: int | None = None,
        facts: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Whether the model would fit, per device, against the memory that is free now; loads nothing.

        `context` tokens for each of `concurrency` answers; without them, what a load would take. `facts`
        (``{"config", "tensors": [{"name", "dtype", "shape"}], "files"}``) stand for files that are not here.
        Returns `devices` (docs/memory.md has their fields), `best` (a device or None) and `known` (false: the
        files say too little). Raises InferenceError, "model_not_found" among them.
        """
        body = {"model": model.to_dict(), "context": context, "concurrency": concurrency, "facts": facts}
        return await self._json("POST", "/fit", body)

    async def state(self) -> dict[str, Any]:
        """`models` as `watch` gives them, `pins` (ids), `memory` (bytes per device: budget, held), `pid`."""
        return await self._json("GET", "/state")

    async def watch(self) -> AsyncGenerator[Event, None]:
        """Changes of the models' states, from now on; first the states as they are."""
        async with aclosing(self._lines("GET", "/watch")) as batches:
            async for batch in batches:
                for event in batch:
                    yield event
        raise _unavailable("The server ended the watch.")

    async def close(self) -> None:
        session = self._sessions.pop(asyncio.get_running_loop(), None)
        if session is not None:
            await session.close()

    def _session(self, way: Door) -> aiohttp.ClientSession:
        loop = asyncio.get_running_loop()
        session = self._sessions.get(loop)
        if session is None or session.closed:
            connector: aiohttp.BaseConnector = (
                aiohttp.UnixConnector(way.path, limit=0) if way.path else aiohttp.TCPConnector(limit=0)
            )
            session = aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT, read_bufsize=1 << 18)
            self._sessions[loop] = session
        return session

    def _request(self, method: str, path: str, data: bytes | None) -> Any:
        """Where the server is may change with each of its starts, so it is looked up each time."""
        way = door(self.address, self._secret)
        headers = way.headers | {"Content-Type": "application/json"}
        return self._session(way).request(method, way.base + path, data=data, headers=headers)

    async def _json(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        data = orjson.dumps(body) if body is not None else None
        try:
            async with self._request(method, path, data) as response:
                await _raise_for_status(response)
                return dict(orjson.loads(await response.read()))
        except _GONE as error:
            raise _unavailable(str(error)) from error

    async def _lines(
        self, method: str, path: str, body: dict[str, Any] | None = None
    ) -> AsyncGenerator[list[Event], None]:
        """The events of each received chunk; whole chunks, because a call per line is what costs."""
        data = orjson.dumps(body) if body is not None else None
        try:
            async with self._request(method, path, data) as response:
                await _raise_for_status(response)
                rest = b""
                while chunk := await response.content.readany():
                    *lines, rest = (rest + chunk).split(b"\n")
                    events = [orjson.loads(line) for line in lines if line]
                    events = [event for event in events if event["kind"] != "heartbeat"]
                    if events:
                        yield events
        except _GONE as error:
            raise _unavailable(str(error) or type(error).__name__) from error
        except orjson.JSONDecodeError as error:
            raise InferenceError("malformed_output", "The server sent no JSON.") from error


def _merge(events: list[Event]) -> list[Event]:
    """Join neighbouring text (or reasoning) events that arrived together."""
    if len(events) == 1:
        return events
    merged: list[Event] = []
    run: list[Event] = []
    for event in events:
        if run and run[-1]["kind"] != event["kind"]:
            merged.append(_join(run))
            run = []
        if event["kind"] in ("text", "reasoning"):
            run.append(event)
        else:
            merged.append(event)
    if run:
        merged.append(_join(run))
    return merged


def _join(run: list[Event]) -> Event:
    if len(run) == 1:
        return run[0]
    text = "".join([event["text"] for event in run])
    return {"kind": run[0]["kind"], "text": text, "raw": "".join([event["raw"] for event in run])}


async def _raise_for_status(response: aiohttp.ClientResponse) -> None:
    if response.status < 400:
        return
    body = await response.read()
    try:
        raise InferenceError.from_event(orjson.loads(body)["error"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise InferenceError(
            "unavailable", f"The model service answered {response.status}.", response.status >= 500
        ) from None


def _unavailable(message: str) -> InferenceError:
    return InferenceError("unavailable", f"The model service cannot be reached: {message}", True)
