"""People, tokens good and bad, and the things of one user that another must not find."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.test import Client
from rest_framework_simplejwt.tokens import AccessToken

from accounts.models import User
from accounts.services import api_key_create, api_key_revoke, family_end
from accounts.sign_in import sign_in
from accounts.tokens import access_verify
from conversations.models import Conversation, Event, Message, Turn
from conversations.process import OWNER

PASSWORD = "a stove warms the house"
FIRST_EVENT = '{"kind":"status","phase":"queued","position":0}'


def user_make(name: str, *, administrator: bool = False) -> User:
    return User.objects.create_user(
        name, f"{name}@example.org", PASSWORD, is_superuser=administrator, is_staff=administrator
    )


def token_of(user: User) -> str:
    return sign_in(user=user).access_token


def bad_tokens(user: User) -> dict[str, str]:
    """Credentials of `user` that let nobody in: each by the reason."""
    expired = AccessToken(token_of(user))  # type: ignore[arg-type]
    expired.set_exp(lifetime=-timedelta(seconds=5))
    ended = sign_in(user=user)
    claims = access_verify(ended.access_token)
    assert claims is not None
    family_end(family_id=claims.family_id)
    row, key = api_key_create(user=user, name="lost")
    api_key_revoke(user=user, key_id=row.pk)
    head, _, rest = token_of(user).partition(".")
    return {
        "expired": str(expired),
        "revoked": ended.access_token,
        "revoked key": key,
        "refresh token": sign_in(user=user).refresh_token,
        "forged": f"{head}.{rest[:-6]}AAAAAA",
        "rubbish": "rubbish",
    }


def api(token: str | None) -> Client:
    """A client whose server faults become a 500, as outside, instead of an exception."""
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return Client(headers=headers, raise_request_exception=False)


def call(client: Client, method: str, path: str, data: bytes = b"{}") -> Any:
    if method == "GET":
        return client.get(path)
    return client.generic(method, path, data=data, content_type="application/json")


def body(response: Any) -> Any:
    """The JSON in it; None where there is none."""
    try:
        return json.loads(response.content)
    except json.JSONDecodeError:
        return None


def code_of(response: Any) -> str:
    """The word for programs in an error, ours or OpenAI's."""
    found = body(response)
    return str((found.get("error") or found)["code"])


def is_error(response: Any) -> bool:
    """The one shape; below /v1/ it is OpenAI's."""
    found = body(response)
    if response.request["PATH_INFO"].startswith("/v1/"):
        inner = found.get("error") if isinstance(found, dict) and set(found) == {"error"} else {}
        return set(inner) == {"message", "type", "param", "code"} and bool(inner["message"])
    return isinstance(found, dict) and set(found) == {"code", "message", "extra"} and bool(found["message"])


@dataclass
class Things:
    """A conversation with a question, an answer and its turn, and an API key."""

    user: User
    running: bool = True
    ids: dict[str, str] = field(default_factory=dict)
    client_id: str = "the-same-client-id"

    def __post_init__(self) -> None:
        conversation = Conversation.objects.create(user=self.user, title="Secret")
        question = Message.objects.create(
            conversation=conversation, role="user", text="Why?", parts=[{"type": "text", "text": "Why?"}]
        )
        answer = Message.objects.create(
            conversation=conversation,
            parent=question,
            role="assistant",
            status="streaming" if self.running else "done",
        )
        conversation.active_leaf = answer.pk
        conversation.save()
        turn = Turn.objects.create(
            conversation=conversation,
            user=self.user,
            user_message=question,
            message=answer,
            client_id=self.client_id,
            state=Turn.State.RUNNING if self.running else Turn.State.ENDED,
            owner=OWNER,
            lease_until=time.time() + 3600,  # made by nobody: nothing here may take it over meanwhile
        )
        Event.objects.create(turn=turn, seq=1, kind="status", data=FIRST_EVENT, at=time.time())
        key, _secret = api_key_create(user=self.user, name="laptop")
        self.ids = {
            "conversation": conversation.pk,
            "message": answer.pk,
            "question": question.pk,
            "turn": turn.pk,
            "key": key.pk,
        }

    def snapshot(self) -> dict[str, Any]:
        """Everything that a stranger's calls must leave as it was."""
        of = self.ids
        return {
            "conversations": list(Conversation.objects.filter(user=self.user).values()),
            "messages": list(Message.objects.filter(conversation=of["conversation"]).values()),
            "turns": list(Turn.objects.filter(user=self.user).values()),
            "events": list(Event.objects.filter(turn=of["turn"]).values()),
            "keys": list(self.user.api_keys.values("id", "revoked_at")),
        }
