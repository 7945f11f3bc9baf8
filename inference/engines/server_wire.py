"""What a server of completions is asked, and what its stream says in the words of our protocol.

The prompt is token ids, so that a text to go on from stands where it was broken off: chat endpoints render it
through the template, which strips the reasoning from it or refuses it. What comes is the model's raw text.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from inference.engines.openai_wire import read_chunks
from inference.errors import InferenceError
from inference.protocol import Event, GenerateRequest

_PARAMS = (
    "temperature", "top_p", "top_k", "min_p", "stop", "seed", "presence_penalty", "logit_bias",
    "response_format",
)  # fmt: skip


def room(request: GenerateRequest, prompt: int, kept: int, limit: int) -> int:
    """How many new tokens there may be: the prompt has `prompt` and the text to go on from `kept` of `limit`.
    Raises context_too_long."""
    if prompt >= limit:
        message = f"The prompt has {prompt} tokens, the model takes {limit}."
        raise InferenceError("context_too_long", message, extra={"tokens": prompt, "limit": limit})
    left = limit - prompt - kept
    asked = request.params.get("max_tokens")
    return max(0, left if asked is None else min(left, int(asked) - kept))


def body(model: str, request: GenerateRequest, ids: list[int], most: int) -> dict[str, Any]:
    """`most`: new tokens."""
    body: dict[str, Any] = {"model": model, "prompt": ids, "stream": True, "max_tokens": most}
    body["stream_options"] = {"include_usage": True}
    body |= {name: request.params[name] for name in _PARAMS if request.params.get(name) is not None}
    if (most_likely := request.params.get("logprobs")) is not None:
        body["logprobs"] = int(most_likely)
    return body


class Reader:
    """From the lines of one stream to our events. `kept`: tokens of the text that is gone on from, which the
    server counts to the prompt and we to the answer."""

    def __init__(self, kept: int) -> None:
        self.reason: str | None = None
        self.done = False
        self._kept = kept
        self._first = 0.0
        self._count = 0
        self._usage: Mapping[str, Any] = {}

    def read(self, lines: list[bytes]) -> list[Event]:
        """All text of the lines that came together is one event."""
        texts: list[str] = []
        tokens: list[dict[str, Any]] = []
        chunks, self.done = read_chunks(lines)
        for chunk in chunks:
            self._usage = chunk.get("usage") or self._usage
            for choice in chunk.get("choices") or ():
                if text := choice.get("text"):
                    texts.append(text)
                    self._count += 1
                    self._first = self._first or time.perf_counter()
                if logprobs := choice.get("logprobs"):
                    tokens += _likelihoods(logprobs)
                self.reason = choice.get("finish_reason") or self.reason
        events: list[Event] = [{"kind": "logprobs", "tokens": tokens}] if tokens else []
        if texts:
            events.append({"kind": "raw", "text": "".join(texts)})
        return events

    def usage_event(self, began: float) -> Event:
        now = time.perf_counter()
        details = self._usage.get("prompt_tokens_details") or {}
        made = int(self._usage.get("completion_tokens") or self._count)
        return {
            "kind": "usage",
            "prompt_tokens": max(0, int(self._usage.get("prompt_tokens") or 0) - self._kept),
            "reused_tokens": int(details.get("cached_tokens") or 0),
            "completion_tokens": self._kept + made,
            "ttft_ms": round(((self._first or now) - began) * 1000, 1),
            "tokens_per_second": round(made / (now - began), 1) if now > began else 0.0,
        }


def _likelihoods(logprobs: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Two shapes: the completions' own (vLLM) and the chat's (llama.cpp)."""
    if "content" in logprobs:
        return [
            {"token": one["token"], "logprob": one["logprob"], "top": _top(one.get("top_logprobs") or ())}
            for one in logprobs["content"] or ()
        ]
    columns = [logprobs.get(name) or () for name in ("tokens", "token_logprobs", "top_logprobs")]
    return [
        {
            "token": token,
            "logprob": logprob,
            "top": [{"token": other, "logprob": value} for other, value in (top or {}).items()],
        }
        for token, logprob, top in zip(*columns, strict=False)
    ]


def _top(tokens: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{"token": token["token"], "logprob": token["logprob"]} for token in tokens]
