"""Roles as a model's template knows them, and content that cannot become a control token."""

from __future__ import annotations

import re
from collections.abc import Iterable

from inference.protocol import Messages


def developer_as_system(messages: Messages) -> Messages:
    """The developer role is a newer name for system; most templates and endpoints know only that."""
    return [{**m, "role": "system"} if m["role"] == "developer" else m for m in messages]


def system_into_user(messages: Messages) -> Messages:
    """For templates without a system role: its text stands before the first user message."""
    system = "\n\n".join(m["content"] for m in messages if m["role"] == "system")
    rest = [dict(m) for m in messages if m["role"] != "system"]
    if system:
        for message in rest:
            if message["role"] == "user":
                message["content"] = f"{system}\n\n{message['content']}"
                break
    return rest


class Shield:
    """Breaks the names of control tokens inside content with a mark that occurs nowhere else. The rendered
    prompt is cut at the marks and encoded piece by piece, so none of them is seen as a token; templates see
    content that is otherwise what it was. Reasoning markers in an assistant's own text stay: templates read
    them. Not covered: a name that arises only across the border of content and template."""

    def __init__(self, tokens: Iterable[str], messages: Messages) -> None:
        names = sorted((t for t in tokens if len(t) > 1 and t.strip()), key=len, reverse=True)
        self._names = re.compile("|".join(map(re.escape, names))) if names else None
        text = "".join(m["content"] for m in messages)
        self._mark = next(chr(code) for code in range(0xE000, 0xF8FF) if chr(code) not in text)

    def messages(self, messages: Messages) -> Messages:
        return [{**m, "content": self._break(m["content"], m["role"])} for m in messages]

    def pieces(self, rendered: str) -> list[str]:
        return [piece for piece in rendered.split(self._mark) if piece]

    def _break(self, text: str, role: str) -> str:
        def broken(match: re.Match[str]) -> str:
            name = match[0]
            if role == "assistant" and name in ("<think>", "</think>"):
                return name
            return name[0] + self._mark + name[1:]

        return self._names.sub(broken, text) if self._names else text
