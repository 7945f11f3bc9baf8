"""Roles as a model's template knows them, and content that cannot become a control token."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from itertools import chain
from typing import Any

from inference.errors import InferenceError
from inference.protocol import Messages, Tools

_PRIVATE = (range(0xE000, 0xF900), range(0xF0000, 0xFFFFE))


def developer_as_system(messages: Messages) -> Messages:
    """The developer role is a newer name for system; most templates and endpoints know only that."""
    return [{**m, "role": "system"} if m["role"] == "developer" else m for m in messages]


def system_first(messages: Messages) -> Messages:
    """For templates that take one system message at the begin only."""
    system = "\n\n".join(m["content"] for m in messages if m["role"] == "system")
    rest = [m for m in messages if m["role"] != "system"]
    return [{"role": "system", "content": system}, *rest] if system else rest


def system_into_user(messages: Messages) -> Messages:
    """For templates without a system role: its text stands before the first user message."""
    system = "\n\n".join(m["content"] for m in messages if m["role"] == "system")
    rest = [dict(m) for m in messages if m["role"] != "system"]
    if not system:
        return rest
    for message in rest:
        if message["role"] == "user":
            message["content"] = f"{system}\n\n{message['content']}"
            return rest
    return [{"role": "user", "content": system}, *rest]


def neighbours_joined(messages: Messages) -> Messages:
    """For templates that want user and assistant in turn."""
    joined: Messages = []
    for message in messages:
        plain = message.keys() == {"role", "content"}
        if joined and plain and joined[-1].keys() == message.keys() and joined[-1]["role"] == message["role"]:
            both = f"{joined[-1]['content']}\n\n{message['content']}"
            joined[-1] = {"role": message["role"], "content": both}
        else:
            joined.append(message)
    return joined


def calls_as_templates_expect(messages: Messages, strings: bool, short_ids: bool) -> Messages:
    """Calls in the shape of OpenAI's; `strings`: arguments as JSON text; `short_ids`: nine letters."""

    def id_of(full: str) -> str:
        return hashlib.blake2b(full.encode("utf-8", "replace")).hexdigest()[:9] if short_ids else full

    def call(one: dict[str, Any]) -> dict[str, Any]:
        arguments = json.dumps(one["arguments"], ensure_ascii=False) if strings else one["arguments"]
        function = {"name": one["name"], "arguments": arguments}
        return {"id": id_of(str(one.get("id", ""))), "type": "function", "function": function}

    shaped: Messages = []
    for message in messages:
        message = dict(message)
        if message.get("tool_calls"):
            message["tool_calls"] = [call(one) for one in message["tool_calls"]]
        if message.get("tool_call_id"):
            message["tool_call_id"] = id_of(message["tool_call_id"])
        shaped.append(message)
    return shaped


def tools_as_text(messages: Messages, tools: Tools) -> Messages:
    """For templates that know no tools: schemas, calls and results as text, in the hermes format."""
    told: Messages = []
    if tools:
        schemas = "\n".join(json.dumps(tool, ensure_ascii=False) for tool in tools)
        text = (
            f"You can call these functions:\n<tools>\n{schemas}\n</tools>\n"
            "To call one, write its name and its arguments as JSON:\n"
            '<tool_call>\n{"name": "...", "arguments": {...}}\n</tool_call>'
        )
        told.append({"role": "system", "content": text})
    for message in messages:
        content = message["content"]
        for call in message.get("tool_calls") or ():
            written = {"name": call["name"], "arguments": call["arguments"]}
            content += f"\n<tool_call>\n{json.dumps(written, ensure_ascii=False)}\n</tool_call>"
        role = message["role"]
        if role == "tool":
            role, content = "user", f"<tool_response>\n{content}\n</tool_response>"
        told.append({"role": role, "content": content.strip("\n") if message.get("tool_calls") else content})
    return system_first(told) if tools else told


class Shield:
    """Breaks the names of control tokens inside content with a mark that occurs nowhere else. The rendered
    prompt is cut at the marks and encoded piece by piece, so none of them is seen as a token; templates see
    content that is otherwise what it was. Content is all that is no role: texts, tools, names, arguments.
    Reasoning markers in an assistant's own text stay: templates read them. Not covered: a name that arises
    only across the border of content and template. `is_used`: a name was broken. Raises
    invalid_request: no mark is left."""

    def __init__(self, tokens: Iterable[str], *contents: Any) -> None:
        names = sorted((t for t in tokens if len(t) > 1 and t.strip()), key=len, reverse=True)
        # Names may overlap, so each place where one begins is looked at.
        self._names = re.compile(f"(?=({'|'.join(map(re.escape, names))}))") if names else None
        used = set(json.dumps(contents, ensure_ascii=False))
        mark = next((chr(code) for code in chain(*_PRIVATE) if chr(code) not in used), None)
        if mark is None:
            raise InferenceError("invalid_request", "The text uses every private character of Unicode.")
        self._mark = mark
        self.is_used = False

    def messages(self, messages: Messages) -> Messages:
        return [{**self.content(m, m["role"] == "assistant"), "role": m["role"]} for m in messages]

    def content(self, value: Any, own: bool = False) -> Any:
        """`value`, any JSON, with names broken; `own`: an assistant's, whose reasoning markers stay."""
        if isinstance(value, str):
            return self._break(value, own)
        if isinstance(value, dict):
            items = value.items()
            return {self._break(str(k), False): self.content(v, own and k == "content") for k, v in items}
        return [self.content(one) for one in value] if isinstance(value, list) else value

    def pieces(self, rendered: str) -> list[str]:
        return [piece for piece in rendered.split(self._mark) if piece]

    def _break(self, text: str, own: bool) -> str:
        if self._names is None:
            return text
        cuts = [
            match.start() + 1
            for match in self._names.finditer(text)
            if not (own and match[1] in ("<think>", "</think>"))
        ]
        self.is_used = self.is_used or bool(cuts)
        parts = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        return self._mark.join(parts)
