"""The frames of `/ws/chat/`: what clients may send, checked, and what they get."""

from __future__ import annotations

from typing import Any

import orjson
from django.utils.translation import gettext as _

from config.bodies import json_read
from config.errors import AppError
from conversations.log_tail import Logged

#: Characters of one frame. Past it the frame is refused, the socket stays.
LONGEST_FRAME = 1_000_000

_TEXT, _TEXT_OR_NULL, _ANY, _OBJECT, _NUMBER, _YES_NO = (
    "text",
    "text or null",
    "any",
    "object",
    "number",
    "bool",
)
_BEGINS = {"client_id": _TEXT}
_ASKS = {"model?": _TEXT_OR_NULL, "task?": _TEXT_OR_NULL, "datasource?": _TEXT_OR_NULL, "params?": _OBJECT}

#: type → its fields; a name with "?" may be left out.
CLIENT_FRAMES: dict[str, dict[str, str]] = {
    "turn.start": _BEGINS | {"conversation": _TEXT_OR_NULL, "content": _ANY} | _ASKS,
    "turn.stop": {"turn": _TEXT},
    "turn.watch": {"turn": _TEXT, "after_seq": _NUMBER},
    "turn.retry": _BEGINS | {"message": _TEXT, "model?": _TEXT_OR_NULL, "params?": _OBJECT},
    "turn.edit": _BEGINS | {"message": _TEXT, "content": _ANY},
    "turn.continue": _BEGINS | {"message": _TEXT},
    "turn.confirm": {"turn": _TEXT, "call": _TEXT, "allow": _YES_NO},
    "ping": {"t?": _ANY},
}

SERVER_FRAMES = (
    "turn.accepted",
    "turn.started",
    "turn.event",
    "conversation.changed",
    "model.changed",
    "error",
    "pong",
    "heartbeat",
)

_KINDS: dict[str, tuple[type, ...]] = {
    _TEXT: (str,),
    _TEXT_OR_NULL: (str, type(None)),
    _OBJECT: (dict, type(None)),
    _NUMBER: (int,),
    _YES_NO: (bool,),
}

Frame = dict[str, Any]


def parse(text: str | None) -> Frame:
    """A checked frame. Raises AppError; its `extra` carries client_id and turn where they could be read."""
    if text is None:
        raise AppError("invalid_frame", _("Frames are text, not binary."))
    if len(text) > LONGEST_FRAME:
        raise AppError(
            "frame_too_large",
            _("The frame is longer than %(limit)s characters.") % {"limit": f"{LONGEST_FRAME:,}"},
            {"limit": LONGEST_FRAME, "length": len(text)},
        )
    try:
        frame = json_read(text)
    except ValueError as error:
        raise AppError("invalid_frame", str(error)) from None
    if not isinstance(frame, dict) or not isinstance(frame.get("type"), str):
        raise AppError("invalid_frame", _("A frame is a JSON object with a type."))
    fields = CLIENT_FRAMES.get(frame["type"])
    if fields is None:
        raise AppError("unknown_type", _("There is no such frame type."), {"type": frame["type"][:64]})
    wrong = _complaints(frame, fields)
    if wrong:
        raise AppError("invalid", _("Some fields are not right."), {"fields": wrong})
    return frame


def _complaints(frame: Frame, fields: dict[str, str]) -> dict[str, list[str]]:
    known = {name.rstrip("?") for name in fields} | {"type"}
    wrong = {str(name)[:64]: [_("There is no such field.")] for name in frame if name not in known}
    for name, kind in fields.items():
        key = name.rstrip("?")
        if key not in frame:
            if not name.endswith("?"):
                wrong[key] = [_("This field is required.")]
        elif kind != _ANY:
            value = frame[key]
            good = isinstance(value, _KINDS[kind]) and not (kind == _NUMBER and isinstance(value, bool))
            if not good or (kind == _NUMBER and value < 0):
                wrong[key] = [_("This value has the wrong type.")]
    return wrong


def identity(text: str | None) -> dict[str, str]:
    """client_id and turn of a frame that was refused, so that its sender knows which one."""
    try:
        frame = orjson.loads(text or "")
    except orjson.JSONDecodeError:
        return {}
    if not isinstance(frame, dict):
        return {}
    return {k: frame[k][:128] for k in ("client_id", "turn") if isinstance(frame.get(k), str)}


def dump(frame: Frame) -> str:
    return orjson.dumps(frame).decode()


def event_frame(turn_id: str, conversation_id: str, event: Logged) -> str:
    """Put together from the stored JSON: parsing and writing it again for each watcher is what would cost."""
    return (
        f'{{"type":"turn.event","turn":"{turn_id}","conversation":"{conversation_id}",'
        f'"seq":{event.seq},"event":{event.data}}}'
    )


def error_frame(error: AppError, about: dict[str, str]) -> Frame:
    return {"type": "error", **about, **error.as_dict()}
