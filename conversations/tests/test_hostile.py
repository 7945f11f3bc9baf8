"""What a client sends that it should not: refused in words, and nothing stored that breaks a later answer."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest
from django.test import Client
from rest_framework.test import APIClient

from accounts.models import User
from config.db import in_db
from conversations.consumers import ChatConsumer
from conversations.models import Conversation
from models_registry.models import Model
from models_registry.services import model_update

pytestmark = pytest.mark.database

DEEP = b"[" * 150 + b"]" * 150


@pytest.fixture
def api(anna: User) -> APIClient:
    client = APIClient(raise_request_exception=False)
    client.force_authenticate(anna)
    return client


@pytest.mark.parametrize(
    "params",
    [
        b'{"stop": "\\ud800"}',
        b'{"response_format": {"a": "\\udc00"}}',
        b'{"logit_bias": {"a": ' + DEEP + b"}}",
        b'{"seed": 1e400}',
        b'{"temperature": NaN}',
    ],
)
def test_what_no_answer_could_hold_is_not_stored(api: APIClient, params: bytes):
    answer = api.post("/api/conversations/", b'{"params": ' + params + b"}", content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (400, "parse_error")
    assert not Conversation.objects.exists()
    assert api.get("/api/conversations/").status_code == 200


@pytest.mark.parametrize("address", ["register/", "token/", "revoke/", "password/", "keys/"])
def test_accounts_refuse_a_deep_body_in_words(api: APIClient, address: str):
    answer = api.post(f"/api/auth/{address}", b"[" * 100_000, content_type="application/json")
    assert answer.status_code == 400
    assert answer.json().get("code", answer.json().get("error")) in ("parse_error", "invalid_request")


@pytest.mark.parametrize("query", ["cursor=cD0lMDA=", "cursor=cD1ub3c=", "cursor=abc"])
def test_a_made_up_cursor_is_not_found(api: APIClient, query: str):
    api.post("/api/conversations/", {}, format="json")
    answer = api.get(f"/api/conversations/?{query}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_a_filter_that_is_none_is_refused(api: APIClient):
    answer = api.get("/api/conversations/?archived=maybe")
    assert (answer.status_code, list(answer.json()["extra"]["fields"])) == (400, ["archived"])
    assert api.get("/api/conversations/?search=%00").status_code == 200


def test_token_and_revoke_speak_as_their_rfcs_do_also_when_nothing_fits(api: APIClient):
    many = "&".join(f"a{i}=1" for i in range(2000))
    form = "application/x-www-form-urlencoded"
    for answer, status in (
        (api.post("/api/auth/token/", many, content_type=form), 413),
        (api.post("/api/auth/token/", "a=" + "b" * 3_000_000, content_type=form), 413),
        (api.get("/api/auth/revoke/"), 405),
    ):
        assert (answer.status_code, answer.json()["error"]) == (status, "invalid_request")


@pytest.mark.parametrize("address", ["/v1/nope", "/v1/", "/v1/models/", "/v1/responses"])
def test_openai_clients_read_of_a_wrong_address_in_their_shape(client: Client, address: str):
    answer = client.post(address, {})
    assert answer.status_code == 404
    assert answer.json()["error"]["type"] == "invalid_request_error"


async def told(user: User, *states: str, model: Model) -> list[str]:
    """Those of `states` that a user's socket is told of."""
    sent: list[str] = []
    reached = asyncio.Event()

    async def send(message: dict[str, Any]) -> None:
        frame = orjson.loads(message["text"])
        sent.append(frame["state"])
        if frame["state"] == "after":
            reached.set()

    socket = ChatConsumer()
    socket.user_id, socket.base_send = user.pk, send
    task = asyncio.create_task(socket._send_hints())
    for state in states:
        reached.clear()
        socket._model_changed({"model": model.pk, "state": state, "progress": None, "error": None})
        socket._hint("after", {"state": "after"})
        async with asyncio.timeout(60):
            await reached.wait()
    task.cancel()
    return [state for state in sent if state != "after"]


async def test_a_state_is_told_to_those_who_may_see_the_model(anna: User, echo: Model):
    assert await told(anna, "loading", "ready", model=echo) == ["loading", "ready"]
    await in_db(model_update, echo, for_everyone=False)
    assert await told(anna, "loading", "ready", model=echo) == []
