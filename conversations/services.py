"""Writing conversations and beginning turns. Everything here is one short transaction.

Also what is one statement: on SQLite only a transaction gets its place in the line of writers.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from config.errors import AppError
from conversations.event_log import first_event
from conversations.leases import LEASE
from conversations.models import Conversation, Message, Turn
from conversations.params import params_check
from conversations.parts import Part, content_parts, text_of
from conversations.process import OWNER
from conversations.selectors import conversation_get, message_get, tree_get
from models_registry.models import Model
from models_registry.selectors import model_resolve, model_usable

TITLE_LENGTH = 60
LONGEST_CLIENT_ID = 64


@dataclass(frozen=True)
class Begun:
    """What `turn.accepted` says. `created` is False for a repeated client_id."""

    turn: str
    conversation: str
    user_message: str | None
    assistant_message: str
    created: bool
    # The new turn with its relations, so that what follows need not read them again.
    row: Turn | None = None

    def accepted(self) -> dict[str, Any]:
        return {
            "turn": self.turn,
            "conversation": self.conversation,
            "user_message": self.user_message,
            "assistant_message": self.assistant_message,
        }


@dataclass(frozen=True)
class Ask:
    """What comes with every way to begin a turn."""

    user_id: str
    client_id: str | None = None
    model: str | None = None
    task: str | None = None
    params: dict[str, Any] | None = None
    echo: dict[str, Any] | None = None

    def check(self) -> dict[str, Any]:
        """The turn's options. Raises AppError."""
        if self.task not in (None, "chat"):
            raise AppError(
                "unsupported_task",
                _("This task is not served yet: %(task)s.") % {"task": str(self.task)[:40]},
            )
        # Kept with the turn: whoever makes it, now or after a restart, tells of a failure in this language.
        options: dict[str, Any] = {"params": params_check(self.params), "language": get_language()}
        if self.echo is not None:
            options["echo"] = self.echo
        return options


@transaction.atomic
def conversation_create(user_id: str, values: dict[str, Any]) -> Conversation:
    return Conversation.objects.create(user_id=user_id, **_resolved(user_id, values))


@transaction.atomic
def conversation_update(conversation: Conversation, values: dict[str, Any]) -> Conversation:
    found = _resolved(conversation.user_id, values)
    for name, value in found.items():
        setattr(conversation, name, value)
    conversation.save(update_fields=list(found))
    return conversation


def _resolved(user_id: str, values: dict[str, Any]) -> dict[str, Any]:
    found = dict(values)
    if found.get("model") is not None:
        found["model"] = model_resolve(found["model"], user_id)
    if "model" in found:
        found["lost_model"] = ""
    if "params" in found:
        found["params"] = params_check(found["params"])
    return found


@transaction.atomic
def conversation_delete(conversation: Conversation) -> None:
    conversation.delete()


@transaction.atomic
def active_set(conversation: Conversation, message_id: str) -> None:
    """Show the branch through this message. Raises NotFound."""
    message = message_get(conversation.user_id, message_id)
    if message.conversation_id != conversation.pk:
        raise AppError("not_found", _("There is no such message."), status=404)
    conversation.active_leaf = tree_get(conversation.pk).newest_leaf(message_id)
    conversation.save(update_fields=["active_leaf"])


def turn_start(ask: Ask, *, conversation_id: str | None, content: Any, is_test: bool = False) -> Begun:
    """A new user message and the answer to it. Raises AppError."""
    parts = content_parts(content)
    options = ask.check()

    def begin() -> Begun:
        if conversation_id is None:
            conversation = Conversation(user_id=ask.user_id, is_test=is_test)
        else:
            conversation = _locked(ask.user_id, conversation_id)
        if not conversation.title:
            conversation.title = _title(parts)
        question = _question(conversation, conversation.active_leaf or None, parts)
        return _answer(ask, options, conversation, question, is_new=True)

    return _once(ask, begin)


def turn_edit(ask: Ask, *, message_id: str, content: Any) -> Begun:
    """A new sibling of a user message, then an answer. Raises AppError."""
    parts = content_parts(content)
    options = ask.check()

    def begin() -> Begun:
        message = _message_of(ask, message_id, Message.Role.USER)
        conversation = _locked(ask.user_id, message.conversation_id)
        question = _question(conversation, message.parent_id, parts)
        return _answer(ask, options, conversation, question, is_new=True)

    return _once(ask, begin)


def turn_retry(ask: Ask, *, message_id: str) -> Begun:
    """A new sibling of an assistant message. Raises AppError."""
    options = ask.check()

    def begin() -> Begun:
        message = _message_of(ask, message_id, Message.Role.ASSISTANT)
        conversation = _locked(ask.user_id, message.conversation_id)
        question = message.parent
        if question is None:
            raise AppError("not_found", _("There is no such message."), status=404)
        return _answer(ask, options, conversation, question, is_new=False)

    return _once(ask, begin)


def turn_continue(ask: Ask, *, message_id: str) -> Begun:
    """A new turn that goes on in the same assistant message, with the model that began it."""
    options = ask.check() | {"goes_on": True}

    def begin() -> Begun:
        message = _message_of(ask, message_id, Message.Role.ASSISTANT)
        conversation = _locked(ask.user_id, message.conversation_id)
        Message.objects.filter(pk=message.pk).update(status=Message.Status.STREAMING, error=None)
        model = model_usable(message.model, ask.user_id) if message.model else _model(ask, conversation)
        return _turn(ask, options, conversation, message.parent, message, model)

    return _once(ask, begin)


def _once(ask: Ask, begin: Any) -> Begun:
    """The same client_id never makes two turns, also when both come at once."""
    if ask.client_id is not None and not 0 < len(ask.client_id) <= LONGEST_CLIENT_ID:
        raise AppError(
            "invalid",
            _("Some fields are not right."),
            {
                "fields": {
                    "client_id": [_("This is a text of 1 to %(n)s characters.") % {"n": LONGEST_CLIENT_ID}]
                }
            },
        )
    try:
        with transaction.atomic():
            begun: Begun = begin()
            return begun
    except (IntegrityError, AppError):
        known = _known(ask)
        if known is None:
            raise
        return known


def _known(ask: Ask) -> Begun | None:
    if ask.client_id is None:
        return None
    turn = Turn.objects.filter(user_id=ask.user_id, client_id=ask.client_id).first()
    if turn is None:
        return None
    return Begun(turn.pk, turn.conversation_id, turn.user_message_id, turn.message_id, created=False)


def _locked(user_id: str, conversation_id: str) -> Conversation:
    """The conversation, held for this transaction. Raises NotFound, or "conversation_busy" (409)."""
    found = Conversation.objects.select_for_update().filter(user_id=user_id, pk=conversation_id).first()
    conversation = found or conversation_get(user_id, conversation_id)
    turn = Turn.objects.filter(conversation=conversation, state=Turn.State.RUNNING).first()
    if turn is not None:
        raise AppError(
            "conversation_busy",
            _("An answer is still being written in this conversation."),
            {"turn": turn.pk},
            status=409,
        )
    return conversation


def _message_of(ask: Ask, message_id: str, role: str) -> Message:
    message = message_get(ask.user_id, message_id)
    if message.role != role:
        raise AppError("wrong_role", _("This cannot be done with that message."), {"role": message.role})
    return message


def _model(ask: Ask, conversation: Conversation) -> Model | None:
    if ask.echo is not None:
        return None
    if ask.model is None and conversation.model is not None:
        return model_usable(conversation.model, ask.user_id)
    return model_resolve(ask.model, ask.user_id)


def _title(parts: list[Part]) -> str:
    first = text_of(parts).strip().splitlines()[0].strip()
    return first if len(first) <= TITLE_LENGTH else first[: TITLE_LENGTH - 1].rstrip() + "…"


def _question(conversation: Conversation, parent_id: str | None, parts: list[Part]) -> Message:
    """Not stored yet."""
    return Message(
        conversation=conversation,
        parent_id=parent_id,
        role=Message.Role.USER,
        parts=parts,
        text=text_of(parts),
    )


def _answer(
    ask: Ask, options: dict[str, Any], conversation: Conversation, question: Message, *, is_new: bool
) -> Begun:
    """`is_new`: the question is not stored yet."""
    model = _model(ask, conversation)
    message = Message(
        conversation=conversation,
        parent=question,
        role=Message.Role.ASSISTANT,
        status=Message.Status.STREAMING,
        model=model,
    )
    return _turn(
        ask, options, conversation, question, message, model, [question, message] if is_new else [message]
    )


def _turn(
    ask: Ask,
    options: dict[str, Any],
    conversation: Conversation,
    question: Message | None,
    message: Message,
    model: Model | None,
    new: Sequence[Message] = (),
) -> Begun:
    """Store all that is new, few statements: turns begin in bursts."""
    conversation.active_leaf = message.pk
    conversation.updated = timezone.now()
    # Only a model that was named stays with the conversation; others follow the default.
    if ask.model is not None:
        conversation.model, conversation.lost_model = model, ""
    elif conversation.lost_model and model is not None:
        options = options | {"lost_model": conversation.lost_model}
    if conversation._state.adding:
        conversation.save(force_insert=True)
    else:
        conversation.save(update_fields=["active_leaf", "updated", "title", "model", "lost_model"])
    if new:
        Message.objects.bulk_create(new)
    turn = Turn.objects.create(
        conversation=conversation,
        user_id=ask.user_id,
        user_message=question,
        message=message,
        client_id=ask.client_id,
        model=model,
        options=options,
        owner=OWNER,
        lease_until=time.time() + LEASE,
    )
    first_event(turn)
    user_message = question.pk if question is not None else None
    return Begun(turn.pk, conversation.pk, user_message, message.pk, created=True, row=turn)
