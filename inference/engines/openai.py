"""Any OpenAI-style endpoint: vLLM, SGLang, DeepSeek, llama.cpp's server, a cloud."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import orjson

from inference.engines.base import Report
from inference.engines.messages import developer_as_system
from inference.errors import InferenceError
from inference.protocol import Event, GenerateRequest, ModelSpec

_PARAMS = (
    "temperature", "top_p", "top_k", "min_p", "max_tokens", "stop", "seed", "repetition_penalty",
    "presence_penalty", "logit_bias", "response_format",
)  # fmt: skip
_GONE = (aiohttp.ClientError, ConnectionError, TimeoutError, OSError)
# Remote models may be silent for minutes; a connection that is silent for longer than this is dead (s).
_SILENCE = 600.0


class OpenAIEngine:
    """settings: context_length, silence_limit. A prefix is gone on from where source.continues says so."""

    def __init__(self, spec: ModelSpec) -> None:
        self._source, self._settings = spec.source, spec.settings
        self._session: aiohttp.ClientSession | None = None
        self._running = 0

    async def load(self, report: Report) -> dict[str, Any]:
        if not self._source.get("base_url") or not self._source.get("model"):
            raise InferenceError("load_failed", "A remote model needs base_url and model.")
        headers = {"Content-Type": "application/json"}
        if key := self._source.get("api_key"):
            headers["Authorization"] = f"Bearer {key}"
        silence = float(self._settings.get("silence_limit") or _SILENCE)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=silence),
            read_bufsize=1 << 18,
        )
        report(1.0)
        return {
            "device": "remote",
            "dtype": None,
            "context_length": int(self._settings.get("context_length") or 32768),
            "memory_bytes": 0,
            "capabilities": {
                "continues": bool(self._source.get("continues")),
                "reasoning": True,
                "tools": False,
            },
        }

    async def generate(self, request: GenerateRequest) -> AsyncIterator[Event]:
        if self._session is None:
            raise InferenceError("engine_died", "The engine was unloaded.", True)
        url = str(self._source["base_url"]).rstrip("/") + "/chat/completions"
        began, self._running = time.perf_counter(), self._running + 1
        reader = _Reader(request.prefix)
        first = 0.0
        try:
            yield {"kind": "prompt", "reasoning_open": False}
            yield {"kind": "status", "phase": "prefill"}
            # A redirect would carry the key and the conversation to an address nobody named.
            async with self._session.post(
                url, data=orjson.dumps(self._body(request)), allow_redirects=False
            ) as response:
                if response.status != 200:
                    raise _refused(response.status, await response.content.read(65536))
                rest = b""
                while not reader.done and (chunk := await response.content.readany()):
                    *lines, rest = (rest + chunk).split(b"\n")
                    if text := reader.read(lines):
                        first = first or time.perf_counter()
                        yield {"kind": "raw", "text": text}
            if not reader.done and reader.reason is None:
                raise InferenceError("unavailable", "The endpoint ended before the answer did.", True)
        except orjson.JSONDecodeError as error:
            raise InferenceError(
                "malformed_output", "The endpoint sent something that is no JSON."
            ) from error
        except _GONE as error:
            raise InferenceError(
                "unavailable", f"The endpoint: {error or type(error).__name__}", True
            ) from error
        finally:
            self._running -= 1
        if reader.reasoning:
            yield {"kind": "raw", "text": "</think>"}
        yield reader.usage_event(began, first or time.perf_counter())
        yield {"kind": "finished", "reason": "length" if reader.reason == "length" else "stop"}

    async def abort(self, request_id: str) -> None:
        """Closing the iterator closes the connection."""

    def stats(self) -> dict[str, Any]:
        return {"running": self._running}

    async def unload(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _body(self, request: GenerateRequest) -> dict[str, Any]:
        messages: list[dict[str, Any]] = [dict(m) for m in developer_as_system(request.messages)]
        body: dict[str, Any] = {"model": self._source["model"], "messages": messages, "stream": True}
        body["stream_options"] = {"include_usage": True}
        body |= {name: request.params[name] for name in _PARAMS if request.params.get(name) is not None}
        if request.prefix:
            messages.append({"role": "assistant", "content": request.prefix, "prefix": True})
            body |= {"continue_final_message": True, "add_generation_prompt": False}
        return body


class _Reader:
    """From SSE lines to raw text; reasoning that comes in a field of its own gets its markers back."""

    def __init__(self, prefix: str) -> None:
        self.reasoning = "<think>" in prefix and "</think>" not in prefix
        self.reason: str | None = None
        self.usage: dict[str, Any] = {}
        self.done = False
        self._count = 0

    def read(self, lines: list[bytes]) -> str:
        """All text of the lines that came together: one event for many tokens when they come fast."""
        texts: list[str] = []
        for line in lines:
            if not line.startswith(b"data:"):
                continue
            data = line[5:].strip()
            if data == b"[DONE]":
                self.done = True
                break
            chunk = _parsed(data)
            if chunk.get("error"):
                raise InferenceError("engine_error", _message(chunk) or "The endpoint failed.", True)
            if chunk.get("usage"):
                self.usage = chunk["usage"]
            for choice in chunk.get("choices") or ():
                self._delta(choice.get("delta") or {}, texts)
                self.reason = choice.get("finish_reason") or self.reason
        return "".join(texts)

    def _delta(self, delta: dict[str, Any], texts: list[str]) -> None:
        if thought := delta.get("reasoning_content") or delta.get("reasoning"):
            if not self.reasoning:
                self.reasoning = True
                texts.append("<think>")
            texts.append(thought)
            self._count += 1
        if content := delta.get("content"):
            if self.reasoning and (delta.get("reasoning_content") is None or thought):
                self.reasoning = False
                texts.append("</think>")
            texts.append(content)
            self._count += 1

    def usage_event(self, began: float, first: float) -> Event:
        spent = time.perf_counter() - began
        return {
            "kind": "usage",
            "prompt_tokens": int(self.usage.get("prompt_tokens") or 0),
            "reused_tokens": int((self.usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0),
            "completion_tokens": int(self.usage.get("completion_tokens") or self._count),
            "ttft_ms": round((first - began) * 1000, 1),
            "tokens_per_second": round(self._count / spent, 1) if spent else 0.0,
        }


def _parsed(data: bytes) -> dict[str, Any]:
    try:
        chunk = orjson.loads(data)
    except orjson.JSONDecodeError:
        chunk = None
    if not isinstance(chunk, dict):
        raise InferenceError("malformed_output", "The endpoint sent no chat completion.")
    return chunk


def _refused(status: int, body: bytes) -> InferenceError:
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError:
        data = {}
    text = _message(data) or f"The endpoint answered {status}."
    if status in (401, 403):
        return InferenceError("unauthorized", text)
    if status == 404:
        return InferenceError("model_not_found", text)
    if 300 <= status < 400:
        return InferenceError("unavailable", "The endpoint redirects elsewhere; that is not followed.")
    if status == 429 or status >= 500:
        return InferenceError("unavailable", text, True)
    return InferenceError("context_too_long" if "context" in text.lower() else "invalid_request", text)


def _message(data: Any) -> str:
    error = data.get("error") if isinstance(data, dict) else None
    return str(error.get("message") or "") if isinstance(error, dict) else str(error or "")
