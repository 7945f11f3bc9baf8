"""Hints to all sockets of a user. They may be lost: whoever misses one reads the truth from the API."""

from __future__ import annotations

from typing import Any

from channels.layers import get_channel_layer

from conversations.selectors import conversation_dict
from conversations.services import Begun


def group_of(user_id: str) -> str:
    return f"user.{user_id}"


async def notify(user_id: str, frame: dict[str, Any]) -> None:
    layer = get_channel_layer()
    if layer is not None:
        await layer.group_send(group_of(user_id), {"type": "user.notice", "frame": frame})


async def announce(user_id: str, begun: Begun) -> None:
    """A new turn, so that another tab can watch it."""
    if begun.row is None or begun.row.conversation.is_test:
        return
    started = {
        "type": "turn.started",
        "turn": begun.turn,
        "conversation": begun.conversation,
        "assistant_message": begun.assistant_message,
    }
    await notify(user_id, started)
    changed = conversation_dict(begun.row.conversation) | {"running": True}
    await notify(user_id, {"type": "conversation.changed", "conversation": changed})
