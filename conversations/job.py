"""What making a turn needs from the database, read once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import override

from conversations.models import Turn
from conversations.parts import Folder
from conversations.prompts import build_messages
from conversations.selectors import Tree, tree_get, turn_fold
from conversations.services import Begun
from inference.errors import InferenceError
from inference.protocol import Messages, ModelSpec
from models_registry.services import model_spec

#: The built-in model of the test stream: it needs no row and no process of its own.
ECHO = ModelSpec(id="echo", name="echo", engine="echo", source={"kind": "echo"}, settings={"inline": True})


@dataclass
class Job:
    """All that a turn needs from the database, read once. `seq` and `raw` are what the log holds already."""

    turn: str
    conversation: str
    user: str
    message: str
    epoch: int
    spec: ModelSpec
    messages: Messages
    params: dict[str, Any]
    folder: Folder
    seq: int
    raw: str
    continues: bool
    resumed: bool = False
    stop_requested: bool = False
    # What the user has to know before the answer: {code, message, extra}.
    notice: dict[str, Any] | None = None
    # Of whoever started the turn: its failures are told in it.
    language: str = settings.LANGUAGE_CODE


def language_of(turn: Turn) -> str:
    return str(turn.options.get("language") or settings.LANGUAGE_CODE)


def begin(start: Callable[..., Begun], *args: Any, **kwargs: Any) -> tuple[Begun, Job | None]:
    """`start` (one of the services) and, for a new turn, its job: one hop to the database for both."""
    begun = start(*args, **kwargs)
    if begun.row is None or begun.row.options.get("goes_on"):
        return begun, None
    return begun, _job(begun.row, Folder(), 1, "")


def job_read(turn_id: str) -> Job | None:
    """None when the turn is not there to be made any more."""
    turn = (
        Turn.objects.select_related("conversation", "message", "user_message", "model")
        .filter(pk=turn_id, state=Turn.State.RUNNING)
        .first()
    )
    if turn is None:
        return None
    with override(language_of(turn)):
        return _job(turn, *turn_fold(turn, turn.message))


def _job(turn: Turn, folder: Folder, seq: int, raw: str) -> Job:
    params = dict(turn.conversation.params) | dict(turn.options.get("params") or {})
    params = {name: value for name, value in params.items() if value is not None}
    spec, context, continues = ECHO, None, True
    if "echo" in turn.options:
        params["echo"] = turn.options["echo"]
    elif turn.model is None:
        raise InferenceError("model_not_found", _("The model of this conversation is no longer there."))
    else:
        spec, context = model_spec(turn.model), turn.model.context_length
        continues = "continue" in (turn.model.capabilities or [])
    messages = build_messages(turn.conversation.system, _branch(turn), context, params.get("max_tokens"))
    return Job(
        turn=turn.pk,
        conversation=turn.conversation_id,
        user=turn.user_id,
        message=turn.message_id,
        epoch=turn.epoch,
        spec=spec,
        messages=messages,
        params=params,
        folder=folder,
        seq=seq,
        raw=raw,
        continues=continues,
        resumed=turn.epoch > 1,
        stop_requested=turn.stop_requested,
        notice=_notice(turn),
        language=language_of(turn),
    )


def _notice(turn: Turn) -> dict[str, Any] | None:
    gone = turn.options.get("lost_model")
    if not gone or turn.model is None:
        return None
    names = {"gone": gone, "name": turn.model.name}
    message = _("The model %(gone)s of this conversation was deleted; %(name)s answers.") % names
    return {"code": "model_gone", "message": message, "extra": {"gone": gone, "model": turn.model_id}}


def _branch(turn: Turn) -> Messages:
    """The messages above the answer, oldest first."""
    question = turn.user_message
    if question is not None and question.parent_id is None:
        return [{"role": question.role, "content": question.text}]
    tree: Tree = tree_get(turn.conversation_id)
    above = tree.branch(turn.message.parent_id or "")
    by_id = turn.conversation.messages.only("role", "text").in_bulk(above)
    found = [{"role": by_id[i].role, "content": by_id[i].text} for i in above if i in by_id]
    return [message for message in found if message["content"]]
