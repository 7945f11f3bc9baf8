"""Reading conversations. What belongs to somebody else is answered like what does not exist."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson
from django.db import connection
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Collate
from django.utils.translation import gettext as _

from config.errors import NotFound
from conversations.models import Conversation, Event, Message, Turn
from conversations.parts import Folder


def conversation_list(
    user_id: str, *, search: str = "", archived: bool | None = None, folder: str | None = None
) -> QuerySet[Conversation]:
    running = Turn.objects.filter(conversation=OuterRef("pk"), state=Turn.State.RUNNING)
    found = Conversation.objects.filter(user_id=user_id, is_test=False).annotate(running=Exists(running))
    if search:
        hit = Message.objects.filter(conversation=OuterRef("pk")).alias(said=_any_case("text"))
        found = found.alias(called=_any_case("title")).filter(
            Q(called__icontains=search) | Exists(hit.filter(said__icontains=search))
        )
    if archived is not None:
        found = found.filter(archived=archived)
    if folder is not None:
        found = found.filter(folder=folder)
    return found


def _any_case(field: str) -> Collate | F:
    """MariaDB's binary collation, which keys need, keeps "A" and "a" apart; SQLite's LIKE does not."""
    return Collate(field, "utf8mb4_unicode_520_ci") if connection.vendor == "mysql" else F(field)


def conversation_get(user_id: str, conversation_id: str) -> Conversation:
    found = Conversation.objects.filter(user_id=user_id, pk=conversation_id).first()
    if found is None:
        raise NotFound(_("There is no such conversation."))
    return found


def message_get(user_id: str, message_id: str) -> Message:
    found = Message.objects.select_related("conversation").filter(
        conversation__user_id=user_id, pk=message_id
    )
    message = found.first()
    if message is None:
        raise NotFound(_("There is no such message."))
    return message


def turn_get(user_id: str, turn_id: str) -> Turn:
    found = Turn.objects.filter(user_id=user_id, pk=turn_id).first()
    if found is None:
        raise NotFound(_("There is no such turn."))
    return found


def turns_running(conversation: Conversation) -> list[str]:
    running = Turn.objects.filter(conversation=conversation, state=Turn.State.RUNNING)
    return list(running.values_list("pk", flat=True))


@dataclass(frozen=True)
class Tree:
    """The shape of one conversation: ids only."""

    parents: dict[str, str | None]
    children: dict[str | None, list[str]]

    def branch(self, leaf: str) -> list[str]:
        """From the first message to `leaf`."""
        path: list[str] = []
        at: str | None = leaf if leaf in self.parents else None
        while at is not None:
            path.append(at)
            at = self.parents[at]
        return path[::-1]

    def siblings(self, message_id: str) -> list[str]:
        """Oldest first, itself included."""
        return self.children[self.parents[message_id]]

    def newest_leaf(self, message_id: str) -> str:
        while self.children.get(message_id):
            message_id = self.children[message_id][-1]
        return message_id


def tree_get(conversation_id: str) -> Tree:
    rows = Message.objects.filter(conversation_id=conversation_id).order_by("created", "id")
    parents: dict[str, str | None] = {}
    children: dict[str | None, list[str]] = {}
    for message_id, parent_id in rows.values_list("id", "parent_id"):
        parents[message_id] = parent_id
        children.setdefault(parent_id, []).append(message_id)
    return Tree(parents, children)


def message_page(
    conversation: Conversation, *, before: str = "", limit: int = 50
) -> tuple[list[dict[str, Any]], str]:
    """The active branch from its end, oldest first, and what to name as `before` for the page above."""
    tree = tree_get(conversation.pk)
    branch = tree.branch(conversation.active_leaf)
    if before in branch:
        branch = branch[: branch.index(before)]
    ids = branch[-limit:]
    by_id = Message.objects.in_bulk(ids)
    running = {
        turn.message_id: turn
        for turn in Turn.objects.filter(conversation=conversation, state=Turn.State.RUNNING)
    }
    page = [message_dict(by_id[i], tree.siblings(i), running.get(i)) for i in ids if i in by_id]
    return page, ids[0] if len(branch) > limit else ""


def message_dict(message: Message, siblings: list[str], turn: Turn | None) -> dict[str, Any]:
    """A message as clients get it; of a running one the parts up to the `seq` that stands beside them."""
    parts, live = message.parts, None
    status = message.status
    if turn is not None:
        folder, seq, _raw = turn_fold(turn, message)
        parts, live = folder.parts, {"id": turn.pk, "seq": seq}
    elif status in (Message.Status.QUEUED, Message.Status.STREAMING):
        # It ended between the two reads.
        message.refresh_from_db()
        parts, status = message.parts, message.status
    return {
        "id": message.pk,
        "parent": message.parent_id,
        "siblings": siblings,
        "role": message.role,
        "status": status,
        "parts": parts,
        "model": message.model_id,
        "usage": message.usage,
        "error": message.error,
        "created": message.created.isoformat(),
        "turn": live,
    }


def turn_fold(turn: Turn, message: Message) -> tuple[Folder, int, str]:
    """What the log of a running turn makes of its message: the folder, the last seq, the model's raw text."""
    goes_on = bool(turn.options.get("goes_on"))
    folder = Folder(message.parts if goes_on else None)
    raw = [message.raw] if goes_on else []
    last = 0
    for seq, data, piece, at in (
        Event.objects.filter(turn=turn).order_by("seq").values_list("seq", "data", "raw", "at").iterator(2000)
    ):
        folder.fold(orjson.loads(data), at)
        raw.append(piece)
        last = seq
    return folder, last, "".join(raw)


def conversation_dict(conversation: Conversation) -> dict[str, Any]:
    return {
        "id": conversation.pk,
        "title": conversation.title,
        "model": conversation.model_id,
        "lost_model": conversation.lost_model,
        "system": conversation.system,
        "params": conversation.params,
        "pinned": conversation.pinned,
        "archived": conversation.archived,
        "folder": conversation.folder,
        "running": bool(getattr(conversation, "running", False)),
        "created": conversation.created.isoformat(),
        "updated": conversation.updated.isoformat(),
    }
