"""What an OpenAI-style endpoint gets, and what its stream and its refusals say in the words of our protocol.

Engines yield raw text. So what comes in fields of its own gets its markers back: reasoning ``<think>``, calls
those of the format "hermes". An endpoint that leaves either in the text is understood as well.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

import orjson

from inference.engines.messages import developer_as_system
from inference.errors import InferenceError
from inference.protocol import Event, GenerateRequest

_PARAMS = (
    "temperature", "top_p", "top_k", "min_p", "max_tokens", "stop", "seed", "repetition_penalty",
    "presence_penalty", "logit_bias", "response_format",
)  # fmt: skip
# All calls of an answer are one list at its end, so a text to go on from tells whether they are all there.
CALLS_OPEN, CALLS_CLOSE = "<tool_call>[", "]</tool_call>"
_TOO_LONG = re.compile(
    r"context[ _](?:length|size|window)|prompt is too long|input token count|too many (?:input )?tokens", re.I
)
_LIMIT = re.compile(r"(?:context (?:length|size|window)|maximum|limit)\D{0,60}?(\d[\d,]*)", re.I)
_TOKENS = re.compile(r"(?:requested|resulted in|has|input|count|too long)\D{0,12}?(\d[\d,]*)", re.I)


def body(model: str, request: GenerateRequest) -> dict[str, Any]:
    messages = [chat_message(message) for message in developer_as_system(request.messages)]
    body: dict[str, Any] = {"model": model, "messages": messages, "stream": True}
    body["stream_options"] = {"include_usage": True}
    body |= {name: request.params[name] for name in _PARAMS if request.params.get(name) is not None}
    if (most_likely := request.params.get("logprobs")) is not None:
        body |= {"logprobs": True, "top_logprobs": most_likely}
    if request.tools:
        body["tools"] = request.tools
    if request.prefix:
        messages.append({"role": "assistant", "content": request.prefix, "prefix": True})
        body |= {"continue_final_message": True, "add_generation_prompt": False}
    return body


def chat_message(message: Mapping[str, Any]) -> dict[str, Any]:
    wire = {key: message[key] for key in ("role", "content", "name", "tool_call_id") if key in message}
    if calls := message.get("tool_calls"):
        wire["tool_calls"] = [
            {
                "id": call["id"],
                "type": "function",
                "function": {"name": call["name"], "arguments": orjson.dumps(call["arguments"]).decode()},
            }
            for call in calls
        ]
    return wire


def read_chunks(lines: list[bytes]) -> tuple[list[dict[str, Any]], bool]:
    """The objects that these lines of a stream carry, and whether it is over. Raises what a chunk tells as an
    error, malformed_output for what is no JSON."""
    chunks: list[dict[str, Any]] = []
    for line in lines:
        if not line.startswith(b"data:"):
            continue
        data = line[5:].strip()
        if data == b"[DONE]":
            return chunks, True
        chunk = _parsed(data)
        if chunk.get("error"):
            raise stream_failure(chunk)
        chunks.append(chunk)
    return chunks, False


class Reader:
    """From the lines of one stream to our events; reasoning and calls get their markers back. `first`: when
    the first of the answer came (perf_counter), 0 before. `splits`: the endpoint is known to tell the rest of
    a thought in `prefix` in the field of thoughts; without it one that was broken off after the last word of
    its thought may have its answer taken for more of it."""

    def __init__(self, prefix: str, splits: bool = False) -> None:
        self.reason: str | None = None
        self.done = False
        self.first = 0.0
        self._reasoning = "<think>" in prefix and "</think>" not in prefix
        # Going on inside a thought, many servers leave its rest in the text, marker and all.
        self._splits = splits or not self._reasoning
        self._usage: dict[str, Any] = {}
        self._calls: list[dict[str, str]] = []
        self._at: dict[Any, dict[str, str]] = {}
        self._count = 0

    def read(self, lines: list[bytes]) -> list[Event]:
        """All text of the lines that came together is one event, which is cheap when tokens come fast."""
        texts: list[str] = []
        tokens: list[dict[str, Any]] = []
        chunks, self.done = read_chunks(lines)
        for chunk in chunks:
            self._usage = chunk.get("usage") or self._usage
            for choice in chunk.get("choices") or ():
                self._delta(choice.get("delta") or {}, texts)
                if logprobs := choice.get("logprobs"):
                    tokens += [_likelihood(token) for token in logprobs.get("content") or ()]
                self.reason = choice.get("finish_reason") or self.reason
        events: list[Event] = [{"kind": "logprobs", "tokens": tokens}] if tokens else []
        if texts:
            events.append({"kind": "raw", "text": "".join(texts)})
        return events

    def close(self) -> str:
        """The raw text that is still owed at the end of the stream."""
        text = "</think>" if self._reasoning else ""
        if not self._calls:
            return text
        # Without arguments means an empty object, unless the answer was cut off before they came.
        empty = "" if self.reason == "length" else "{}"
        written = [_written(call["name"], call["arguments"] or empty) for call in self._calls]
        # A call that was cut off, or whose arguments are no JSON, leaves the list open: it will be text.
        whole = all(arguments for _, arguments in written)
        return text + CALLS_OPEN + ", ".join(call for call, _ in written) + (CALLS_CLOSE if whole else "")

    def usage_event(self, began: float) -> Event:
        now = time.perf_counter()
        spent = now - began
        usage = self._usage
        details = usage.get("prompt_tokens_details") or {}
        return {
            "kind": "usage",
            "prompt_tokens": int(usage.get("prompt_tokens") or 0),
            "reused_tokens": int(details.get("cached_tokens") or usage.get("prompt_cache_hit_tokens") or 0),
            "completion_tokens": int(usage.get("completion_tokens") or self._count),
            "ttft_ms": round(((self.first or now) - began) * 1000, 1),
            "tokens_per_second": round(self._count / spent, 1) if spent else 0.0,
        }

    def _delta(self, delta: dict[str, Any], texts: list[str]) -> None:
        if thought := delta.get("reasoning_content") or delta.get("reasoning"):
            if not self._reasoning:
                self._reasoning = True
                texts.append("<think>")
            self._splits = True
            texts.append(thought)
            self._came()
        if content := delta.get("content"):
            if self._reasoning and (delta.get("reasoning_content") is None or thought):
                self._reasoning = False
                texts += ["</think>"] if self._splits else []
            texts.append(content)
            self._came()
        for piece in delta.get("tool_calls") or ():
            self._piece(piece)
            self._came()

    def _came(self) -> None:
        self._count += 1
        if not self.first:
            self.first = time.perf_counter()

    def _piece(self, piece: dict[str, Any]) -> None:
        """A call comes in pieces that name its index; some endpoints send whole calls and no index, or
        always the same."""
        function = piece.get("function") or {}
        index, name = piece.get("index", -1), piece.get("id")
        call = self._at.get(index)
        if call is None or (name and call["id"] and name != call["id"]):
            call = self._at[index] = {"id": "", "name": "", "arguments": ""}
            self._calls.append(call)
        call["id"] = call["id"] or name or ""
        call["name"] += function.get("name") or ""
        arguments = function.get("arguments") or ""
        call["arguments"] += arguments if isinstance(arguments, str) else orjson.dumps(arguments).decode()


def _written(name: str, arguments: str) -> tuple[str, bool]:
    """The call in the markers' format, and whether its arguments are a JSON object. A marker inside a string
    is escaped, so that it closes nothing."""
    try:
        whole = isinstance(orjson.loads(arguments), dict)
    except orjson.JSONDecodeError:
        whole = False
    text = f'{{"name": {orjson.dumps(name).decode()}, "arguments": {arguments}'
    return (text + "}").replace("<", "\\u003c") if whole else text, whole


def _likelihood(token: dict[str, Any]) -> dict[str, Any]:
    top = [{"token": t["token"], "logprob": t["logprob"]} for t in token.get("top_logprobs") or ()]
    return {"token": token["token"], "logprob": token["logprob"], "top": top}


def context_length(data: bytes, model: str) -> int | None:
    """What a list of models says of `model`; only some servers (vLLM, SGLang) tell."""
    try:
        lines = orjson.loads(data)["data"]
        found = [line.get("max_model_len") for line in lines if line["id"] == model]
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    return found[0] if found and isinstance(found[0], int) else None


def _parsed(data: bytes) -> dict[str, Any]:
    try:
        chunk = orjson.loads(data)
    except orjson.JSONDecodeError:
        chunk = None
    if not isinstance(chunk, dict):
        raise InferenceError("malformed_output", "The endpoint sent no chat completion.")
    return chunk


# Failures


def refused(status: int, body: bytes, headers: Mapping[str, str]) -> InferenceError:
    """What an answer that is not 200 means."""
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError:
        data = {}
    text = _said(data) or f"The endpoint answered {status}."
    wait = headers.get("Retry-After", "")
    extra = {"retry_after": int(wait)} if wait.isdigit() else {}
    if status in (401, 403):
        return InferenceError("unauthorized", text)
    if status == 404:
        return InferenceError("model_not_found", text)
    if 300 <= status < 400:
        return InferenceError("unavailable", "The endpoint redirects elsewhere; that is not followed.")
    if status == 429:
        # Money that has run out does not come back by waiting.
        return InferenceError("busy", text, "insufficient_quota" not in str(data), extra)
    if status >= 500:
        return InferenceError("busy" if extra else "unavailable", text, True, extra)
    if _TOO_LONG.search(str(data)):
        return InferenceError("context_too_long", text, extra=_lengths(data))
    return InferenceError("invalid_request", text)


def stream_failure(chunk: dict[str, Any]) -> InferenceError:
    """An error inside a stream that began well."""
    error = chunk["error"]
    code = error.get("code") if isinstance(error, dict) else None
    if isinstance(code, int) and 400 <= code < 600:
        return refused(code, orjson.dumps(chunk), {})
    return InferenceError("engine_error", _said(chunk) or "The endpoint failed.", True)


def _lengths(data: dict[str, Any]) -> dict[str, Any]:
    """`tokens` and `limit`, as far as the endpoint tells: llama.cpp in fields, the others in a sentence."""
    error = data.get("error")
    fields: dict[str, Any] = error if isinstance(error, dict) else {}
    text = _said(data)
    found = {
        "tokens": int(fields.get("n_prompt_tokens") or _number(_TOKENS, text)),
        "limit": int(fields.get("n_ctx") or _number(_LIMIT, text)),
    }
    if found["tokens"] <= found["limit"]:
        found["tokens"] = 0  # then another number was meant: what was asked for on top
    return {name: value for name, value in found.items() if value}


def _number(pattern: re.Pattern[str], text: str) -> int:
    found = pattern.search(text)
    return int(found[1].replace(",", "")) if found else 0


def _said(data: Any) -> str:
    error = data.get("error") if isinstance(data, dict) else None
    if isinstance(data, dict) and error is None:
        return str(data.get("message") or "")  # vLLM before 0.10
    return str(error.get("message") or "") if isinstance(error, dict) else str(error or "")
