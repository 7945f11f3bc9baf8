"""An answer's events as OpenAI's deltas, and the deltas as one completion."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import orjson

from accounts.ids import new_id
from inference.protocol import Event
from models_registry.openai_api.tools import ToolUse, call_of

Delta = dict[str, Any]


class Completion:
    """Takes the events of one answer in order. `deltas` is what a stream sends; what they amount to stays
    here for an answer that is sent whole."""

    def __init__(self, model: str, use: ToolUse) -> None:
        self.id = f"chatcmpl-{new_id()}"
        self._head = {"created": int(time.time()), "model": model}
        self._use = use
        self._texts: dict[str, list[str]] = {"content": [], "reasoning_content": []}
        self._calls: list[dict[str, Any]] = []
        self._logprobs: list[dict[str, Any]] = []
        self._told_logprobs = 0
        self._held: list[str] = []  # the text of a call that must come, until it is whole
        self._usage: dict[str, Any] | None = None
        self.finish_reason: str | None = None

    def deltas(self, event: Event) -> Iterator[Delta]:
        kind = event["kind"]
        if kind == "reasoning" and event["text"]:
            yield self._text("reasoning_content", event["text"])
        elif kind == "text" and event["text"]:
            if self._use.forced is None:
                yield self._text("content", event["text"])
            else:
                self._held.append(event["text"])
        elif kind == "tool_call":
            yield from self._call(event["id"], event["name"], event["arguments"])
        elif kind == "logprobs":
            self._logprobs += [_logprob(token) for token in event["tokens"]]
        elif kind == "usage":
            self._usage = _usage(event)
        elif kind == "finished":
            yield from self._release()
            reason = "length" if event["reason"] == "length" else "stop"
            self.finish_reason = "tool_calls" if self._calls and reason == "stop" else reason

    def chunk(self, delta: Delta, finish_reason: str | None = None) -> dict[str, Any]:
        choice: dict[str, Any] = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        fresh = self._logprobs[self._told_logprobs :]
        if fresh:
            self._told_logprobs = len(self._logprobs)
        choice["logprobs"] = {"content": fresh, "refusal": None} if fresh else None
        return self._object("chat.completion.chunk", [choice])

    def usage_chunk(self) -> dict[str, Any]:
        return self._object("chat.completion.chunk", []) | {"usage": self._usage}

    def whole(self) -> dict[str, Any]:
        message: dict[str, Any] = {
            "role": "assistant",
            "content": "".join(self._texts["content"]) if self._texts["content"] or not self._calls else None,
            "refusal": None,
        }
        if self._texts["reasoning_content"]:
            message["reasoning_content"] = "".join(self._texts["reasoning_content"])
        if self._calls:
            message["tool_calls"] = self._calls
        choice = {
            "index": 0,
            "message": message,
            "finish_reason": self.finish_reason,
            "logprobs": {"content": self._logprobs, "refusal": None} if self._logprobs else None,
        }
        return self._object("chat.completion", [choice]) | {"usage": self._usage}

    def _object(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {"id": self.id, "object": kind, **self._head, "choices": choices}

    def _text(self, name: str, text: str) -> Delta:
        self._texts[name].append(text)
        return {name: text}

    def _call(self, call_id: str, name: str, arguments: dict[str, Any]) -> Iterator[Delta]:
        if self._calls and not self._use.parallel:
            return
        function = {"name": name, "arguments": orjson.dumps(arguments).decode()}
        call = {"id": call_id, "type": "function", "function": function}
        self._calls.append(call)
        yield {"tool_calls": [{"index": len(self._calls) - 1, **call}]}

    def _release(self) -> Iterator[Delta]:
        """What was held back as the call that it is; as text where it is none."""
        text, self._held = "".join(self._held), []
        call = call_of(text) if text else None
        if call is not None:
            yield from self._call(f"call_{new_id()}", *call)
        elif text.strip():
            yield self._text("content", text)


def _usage(event: Event) -> dict[str, Any]:
    prompt, made = int(event["prompt_tokens"]), int(event["completion_tokens"])
    return {
        "prompt_tokens": prompt,
        "completion_tokens": made,
        "total_tokens": prompt + made,
        "prompt_tokens_details": {"cached_tokens": int(event.get("reused_tokens") or 0)},
    }


def _logprob(token: dict[str, Any]) -> dict[str, Any]:
    return _of_token(token) | {"top_logprobs": [_of_token(other) for other in token.get("top") or ()]}


def _of_token(token: dict[str, Any]) -> dict[str, Any]:
    text = str(token["token"])
    return {"token": text, "logprob": token["logprob"], "bytes": list(text.encode(errors="replace"))}
