"""What a message is made of, and how a turn's events fold into it."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _

from config.errors import AppError

Part = dict[str, Any]

#: Characters of one message. Longer input belongs into a file.
LONGEST_CONTENT = 400_000


class Folder:
    """Folds events, in their order, into typed parts. `parts` may be read at any time."""

    def __init__(self, parts: list[Part] | None = None) -> None:
        self.parts: list[Part] = [dict(part) for part in parts or []]
        self.usage: dict[str, Any] | None = None
        self._reasoning_since: float | None = None

    def fold(self, event: dict[str, Any], at: float) -> None:
        """`at`: when the event was logged, in seconds since 1970."""
        kind = event["kind"]
        if kind in ("text", "reasoning"):
            if not event["text"]:
                return
            if kind == "text":
                self._close_reasoning(at)
            elif self._reasoning_since is None:
                self._reasoning_since = at
            last = self.parts[-1] if self.parts else None
            if last is not None and last["type"] == kind:
                last["text"] += event["text"]
            else:
                part: Part = {"type": kind, "text": event["text"]}
                if kind == "reasoning":
                    part["seconds"] = None
                self.parts.append(part)
        elif kind in ("tool_call", "tool_result"):
            self._close_reasoning(at)
            self.parts.append({"type": kind, **{k: v for k, v in event.items() if k not in ("kind", "raw")}})
        elif kind == "usage":
            self.usage = {k: v for k, v in event.items() if k not in ("kind", "raw")}
        elif kind in ("finished", "failed"):
            self._close_reasoning(at)

    def _close_reasoning(self, at: float) -> None:
        if self._reasoning_since is None:
            return
        for part in reversed(self.parts):
            if part["type"] == "reasoning":
                part["seconds"] = round(at - self._reasoning_since, 1)
                break
        self._reasoning_since = None


def text_of(parts: list[Part]) -> str:
    return "".join(part["text"] for part in parts if part.get("type") == "text")


def content_parts(content: Any) -> list[Part]:
    """The parts of what a user sent: a string, or a list of text parts. Raises AppError("invalid")."""
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise _wrong(_("This is a text or a list of parts."))
    for part in parts:
        if (
            part.get("type") != "text"
            or not isinstance(part.get("text"), str)
            or set(part) != {"type", "text"}
        ):
            raise _wrong(_("Only parts of type text can be sent yet: {type, text}."))
    # MySQL and SQLite agree on what they store only without it, and no model knows it.
    parts = [{"type": "text", "text": part["text"].replace("\x00", "")} for part in parts]
    text = text_of(parts)
    if not text.strip():
        raise _wrong(_("The message is empty."))
    if len(text) > LONGEST_CONTENT:
        raise AppError(
            "content_too_long",
            _("The message is longer than %(limit)s characters.") % {"limit": f"{LONGEST_CONTENT:,}"},
            {"limit": LONGEST_CONTENT, "length": len(text)},
        )
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _wrong(_("The text holds half a character (a lone surrogate).")) from None
    return parts


def _wrong(message: str) -> AppError:
    return AppError("invalid", _("Some fields are not right."), {"fields": {"content": [message]}})
