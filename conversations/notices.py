"""Hints to all sockets of a user. They may be lost: whoever misses one reads the truth from the API."""

from __future__ import annotations

from typing import Any

from channels.layers import get_channel_layer


def group_of(user_id: str) -> str:
    return f"user.{user_id}"


async def notify(user_id: str, frame: dict[str, Any]) -> None:
    layer = get_channel_layer()
    if layer is not None:
        await layer.group_send(group_of(user_id), {"type": "user.notice", "frame": frame})
