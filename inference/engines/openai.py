"""Any endpoint that speaks OpenAI's chat completions (vLLM, SGLang, llama-server, DeepSeek, ...).

source: base_url, model, api_key?, continues? (whether it goes on from a final assistant message: vLLM and
SGLang by `continue_final_message`, DeepSeek by `prefix`; both are sent). Redirects are not followed.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import orjson

from inference.engines.base import Report
from inference.errors import InferenceError
from inference.protocol import Event, GenerateRequest, ModelSpec
from inference.service.normalise import CLOSE, OPEN

# A remote model may be silent for minutes before its first token, so only connecting is bounded.
_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=None)
_PARAMS = (
    "temperature",
    "top_p",
    "max_tokens",
    "stop",
    "seed",
    "presence_penalty",
    "logit_bias",
    "response_format",
)
# Not OpenAI's, but vLLM's, SGLang's and llama-server's.
_MORE_PARAMS = ("top_k", "min_p", "repetition_penalty")
_DATA, _DONE = b"data:", b"[DONE]"


class OpenAIEngine:
    def __init__(self, spec: ModelSpec) -> None:
        source = spec.source
        self._url = str(source["base_url"]).rstrip("/") + "/chat/completions"
        self._model = str(source.get("model") or spec.name)
        self._continues = bool(source.get("continues"))
        self._context = spec.settings.get("context_length")
        key = source.get("api_key")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._session: aiohttp.ClientSession | None = None
        self._running = 0

    async def load(self, report: Report) -> dict[str, Any]:
        """Nothing is fetched: an endpoint that is away says so when it is asked."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=_TIMEOUT,
            headers=self._headers,
            read_bufsize=1 << 18,
            trust_env=False,
        )
        report(1.0)
        return {
            "device": "remote",
            "dtype": None,
            "context_length": self._context,
            "memory_bytes": 0,
            "capabilities": {"continues": self._continues, "reasoning": True, "tools": False},
        }

    async def generate(self, request: GenerateRequest) -> AsyncIterator[Event]:
        if self._session is None:
            raise InferenceError("unavailable", "The endpoint is not loaded.", True)
        self._running += 1
        try:
            yield {"kind": "prompt", "reasoning_open": False}
            yield {"kind": "status", "phase": "prefill"}
            async with self._session.post(
                self._url, data=orjson.dumps(self._body(request)), headers=_JSON, allow_redirects=False
            ) as response:
                await _raise_for_status(response)
                async for event in _Reading(request.prefix).events(response):
                    yield event
        except (aiohttp.ClientError, ConnectionError, TimeoutError) as error:
            raise InferenceError(
                "unavailable", f"The endpoint cannot be reached: {type(error).__name__}", True
            ) from error
        finally:
            self._running -= 1

    def _body(self, request: GenerateRequest) -> dict[str, Any]:
        messages: list[dict[str, Any]] = [
            # Few endpoints know the role; system means the same to those that do not.
            {**message, "role": "system"} if message["role"] == "developer" else dict(message)
            for message in request.messages
        ]
        body: dict[str, Any] = {
            "model": self._model,
            "messages": messages,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        for name in (*_PARAMS, *_MORE_PARAMS):
            if request.params.get(name) is not None:
                body[name] = request.params[name]
        if request.prefix:
            messages.append({"role": "assistant", "content": request.prefix, "prefix": True})
            body |= {"continue_final_message": True, "add_generation_prompt": False}
        return body

    async def abort(self, request_id: str) -> None:
        """Closing the iterator closes the connection, and that is what endpoints take as an abort."""

    def stats(self) -> dict[str, Any]:
        return {"running": self._running}

    async def unload(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()


_JSON = {"Content-Type": "application/json", "Accept": "text/event-stream"}


class _Reading:
    """The state of one stream: whether reasoning is open, and the counts for `usage`."""

    def __init__(self, prefix: str) -> None:
        self._reasoning = OPEN in prefix and CLOSE not in prefix
        self._began = time.perf_counter()
        self._first: float | None = None
        self._tokens = 0
        self._usage: dict[str, Any] = {}
        self._reason = ""

    async def events(self, response: aiohttp.ClientResponse) -> AsyncIterator[Event]:
        """One `raw` per received chunk: what came together is told together."""
        rest, done = b"", False
        while not done and (chunk := await response.content.readany()):
            *lines, rest = (rest + chunk).split(b"\n")
            text: list[str] = []
            for line in lines:
                if not line.startswith(_DATA):
                    continue
                data = line[5:].strip()
                if data == _DONE:
                    done = True
                    break
                text.append(self._take(data))
            joined = "".join(text)
            if joined:
                self._first = self._first or time.perf_counter()
                yield {"kind": "raw", "text": joined}
        if not done and not self._reason:
            raise InferenceError("unavailable", "The endpoint ended the stream in the middle.", True)
        if self._reasoning:
            yield {"kind": "raw", "text": CLOSE}
        yield self._last_usage()
        yield {"kind": "finished", "reason": "length" if self._reason == "length" else "stop"}

    def _take(self, data: bytes) -> str:
        """The raw text of one event, with markers where reasoning begins and ends."""
        try:
            event = orjson.loads(data)
            if event.get("usage"):
                self._usage = event["usage"]
            if event.get("error"):
                raise InferenceError("engine_error", str(event["error"])[:500])
            choices = event["choices"]
            if not choices:
                return ""
            choice = choices[0]
            delta = choice.get("delta") or {}
            self._reason = choice.get("finish_reason") or self._reason
            text, thought = delta.get("content") or "", delta.get("reasoning_content") or ""
        except (orjson.JSONDecodeError, AttributeError, KeyError, IndexError, TypeError) as error:
            raise InferenceError("malformed_output", "The endpoint sent no chat completion.") from error
        if not text and not thought:
            return ""
        self._tokens += 1
        if thought and not self._reasoning:
            self._reasoning = True
            thought = OPEN + thought
        if text and self._reasoning:
            self._reasoning = False
            text = CLOSE + text
        return str(thought + text)

    def _last_usage(self) -> Event:
        now = time.perf_counter()
        first = self._first or now
        completion = int(self._usage.get("completion_tokens") or self._tokens)
        details = self._usage.get("prompt_tokens_details") or {}
        return {
            "kind": "usage",
            "prompt_tokens": int(self._usage.get("prompt_tokens") or 0),
            "reused_tokens": int(details.get("cached_tokens") or 0),
            "completion_tokens": completion,
            "ttft_ms": round((first - self._began) * 1000, 1),
            "tokens_per_second": round(self._tokens / (now - first), 1) if now > first else 0.0,
        }


async def _raise_for_status(response: aiohttp.ClientResponse) -> None:
    status = response.status
    if status < 300:
        return
    said = (await response.content.read(2000)).decode(errors="replace")
    if status in (401, 403):
        raise InferenceError("unauthorized", "The endpoint refuses the key.")
    if status == 404:
        raise InferenceError("model_not_found", "The endpoint does not know this model or address.")
    if status in (301, 302, 303, 307, 308):
        raise InferenceError("invalid_request", "The endpoint redirects; name its final address.")
    if status in (400, 422):
        code = "context_too_long" if "context" in said and "length" in said else "invalid_request"
        raise InferenceError(code, f"The endpoint refuses the request: {said[:300]}")
    raise InferenceError(
        "unavailable", f"The endpoint answers {status}: {said[:300]}", status == 429 or status >= 500
    )
