"""Any OpenAI-style endpoint: vLLM, SGLang, DeepSeek, llama.cpp's server, a cloud."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import orjson

from inference.engines import address
from inference.engines import openai_wire as wire
from inference.engines.base import Report
from inference.errors import InferenceError
from inference.protocol import Event, GenerateRequest, ModelSpec

_GONE = (aiohttp.ClientError, ConnectionError, TimeoutError, OSError)
# What a proxy says whose server is gone.
_AWAY = (502, 503, 504)
# Remote models may be silent for minutes; a connection that is silent for longer than this is dead (s).
_SILENCE = 600.0
# How long an endpoint may take to say that it is there, and how old that may be when stats tell it (s).
_CHECK_LIMIT, _CHECK_EVERY = 10.0, 30.0


class OpenAIEngine:
    """settings: context_length, silence_limit. A prefix is gone on from where source.continues says so."""

    def __init__(self, spec: ModelSpec) -> None:
        self._source, self._settings = spec.source, spec.settings
        self._base = ""
        self._address: address.Pinned | None = None
        self._session: aiohttp.ClientSession | None = None
        self._running = 0
        self._there = False
        self._checked = 0.0
        self._checking: asyncio.Task[None] | None = None

    async def load(self, report: Report) -> dict[str, Any]:
        """Asks the endpoint whether it is there; raises `unavailable` when it is not, `unauthorized`."""
        if not self._source.get("base_url") or not self._source.get("model"):
            raise InferenceError("load_failed", "A remote model needs base_url and model.")
        self._address = address.Pinned(str(self._source["base_url"]))
        self._base = self._address.address.url
        await self._address.pin()
        headers = {"Content-Type": "application/json"}
        if key := self._source.get("api_key"):
            headers["Authorization"] = f"Bearer {key}"
        silence = float(self._settings.get("silence_limit") or _SILENCE)
        self._session = self._address.session(
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=silence),
            read_bufsize=1 << 18,
        )
        told = await self._check()
        report(1.0)
        return {
            "device": "remote",
            "dtype": None,
            "context_length": int(self._settings.get("context_length") or told or 32768),
            "memory_bytes": 0,
            "capabilities": {
                "continues": bool(self._source.get("continues")),
                "reasoning": True,
                "tools": True,
            },
        }

    async def generate(self, request: GenerateRequest) -> AsyncIterator[Event]:
        if self._session is None:
            raise InferenceError("engine_died", "The engine was unloaded.", True)
        yield {"kind": "prompt", "reasoning_open": False, "tool_format": "hermes"}
        if request.tools and wire.CALLS_OPEN in request.prefix:
            if not request.prefix.endswith(wire.CALLS_CLOSE):
                raise InferenceError("cannot_continue", "The endpoint cannot go on inside a tool call.")
            # The calls are an answer's end, and they are all there.
            yield {"kind": "finished", "reason": "stop"}
            return
        began, self._running = time.perf_counter(), self._running + 1
        reader = wire.Reader(request.prefix)
        body = orjson.dumps(wire.body(str(self._source["model"]), request))
        try:
            yield {"kind": "status", "phase": "prefill"}
            # A redirect would carry the key and the conversation to an address nobody named.
            async with self._session.post(
                self._base + "/chat/completions", data=body, allow_redirects=False
            ) as response:
                self._seen(response.status not in _AWAY)
                if response.status != 200:
                    raise wire.refused(response.status, await response.content.read(65536), response.headers)
                rest = b""
                while not reader.done and (chunk := await response.content.readany()):
                    *lines, rest = (rest + chunk).split(b"\n")
                    for event in reader.read(lines):
                        yield event
            if not reader.done and reader.reason is None:
                raise InferenceError("unavailable", "The endpoint ended before the answer did.", True)
        except _GONE as error:
            raise self._lost(error) from error
        finally:
            self._running -= 1
        if text := reader.close():
            yield {"kind": "raw", "text": text}
        yield reader.usage_event(began)
        yield {"kind": "finished", "reason": "length" if reader.reason == "length" else "stop"}

    async def abort(self, request_id: str) -> None:
        """Closing the iterator closes the connection."""

    def stats(self) -> dict[str, Any]:
        """`reachable`: whether the endpoint answered last. When that is old, it is asked again, for the next
        who asks: this call does not wait."""
        if self._session and not self._checking and time.monotonic() - self._checked > _CHECK_EVERY:
            self._checking = asyncio.ensure_future(self._check_aside())
        return {"running": self._running, "reachable": self._there}

    async def unload(self) -> None:
        if self._checking is not None:
            self._checking.cancel()
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    # Health

    async def _check(self) -> int | None:
        """The context length if the endpoint tells it. One that has no list of models is there too."""
        assert self._session is not None
        limit = aiohttp.ClientTimeout(total=_CHECK_LIMIT)
        try:
            async with self._session.get(
                self._base + "/models", timeout=limit, allow_redirects=False
            ) as response:
                status, data = response.status, await response.content.read(1 << 22)
        except _GONE as error:
            raise self._lost(error) from error
        self._seen(status not in _AWAY)
        if status in (401, 403) or not self._there:
            raise wire.refused(status, data, {})
        return wire.context_length(data, str(self._source["model"])) if status == 200 else None

    async def _check_aside(self) -> None:
        try:
            await self._check()
        except InferenceError:
            pass  # _there says it
        finally:
            self._checking = None

    def _lost(self, error: BaseException) -> InferenceError:
        self._seen(False)
        if self._address is not None and isinstance(error, aiohttp.ClientConnectorError):
            self._address.forget()  # nobody listens there: a name may have moved
        return InferenceError("unavailable", f"The endpoint: {error or type(error).__name__}", True)

    def _seen(self, there: bool) -> None:
        self._there, self._checked = there, time.monotonic()
