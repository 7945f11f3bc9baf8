"""Every route and frame is open, for a token or for administrators, and nobody finds what is another's.

The lists come from the URL conf, the API schema and the frame types, so a new route or frame that is not in
tests/access_table.py fails here.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from channels.testing import WebsocketCommunicator

from config import db
from config.asgi import application
from conversations.frames import CLIENT_FRAMES
from conversations.models import Turn
from conversations.runner import runner
from models_registry import live
from models_registry.openai_api import views as openai_api
from models_registry.services import model_create
from tests import access_table as table
from tests.access_people import Things, api, bad_tokens, body, call, code_of, is_error, token_of, user_make
from tests.access_routes import (
    BEYOND,
    admin_routes,
    body_fields,
    filled,
    found_routes,
    schema_operations,
)

BAD = ["expired", "revoked", "revoked key", "refresh token", "forged", "rubbish"]
OPEN, GUARDED, ADMINISTRATOR = (
    [route for route, who in table.ROUTES.items() if who in kinds]
    for kinds in (["open"], ["token", "administrator"], ["administrator"])
)
#: 503 is what these two say by design: not ready, or the page is not built.
MAY_BE_UNREADY = ("/readyz",)


def name(value: Any) -> str | None:
    return " ".join(value) if isinstance(value, tuple) else None


@pytest.fixture(autouse=True)
def surroundings(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No model service, a built page, and a database that is asked on the test's own thread: no other sees
    what its transaction has written."""
    monkeypatch.setattr(openai_api, "in_db", lambda function, *args: sync_to_async(function)(*args))
    (tmp_path / "index.html").write_text("<!doctype html><title>Hearth</title>")
    settings.PAGE_DIST = tmp_path
    settings.HEARTH_INFERENCE, settings.HEARTH_INFERENCE_SECRET = f"unix:{tmp_path}/inference.sock", ""
    live.client.cache_clear()
    yield
    live.client.cache_clear()


# The table is whole


def test_every_route_is_in_the_table():
    found = {(method, route.path) for route in found_routes() for method in route.methods} | set(BEYOND)
    assert found - set(table.ROUTES) == set(), "say in tests/access_table.py who may call these"
    assert set(table.ROUTES) - found == set(), "these are in tests/access_table.py and no longer there"


def test_the_schema_has_every_call_of_the_api_and_says_the_same():
    operations = {(method, path): o for (method, path), o in schema_operations().items()}
    undescribed = {("GET", "/api/schema/"), ("GET", "/api/docs/")}  # the description itself
    undescribed |= {
        route for route in table.ROUTES if route[1].startswith("/api/session/")
    }  # pages for people
    ours = {route for route in table.ROUTES if route[1].startswith("/api/")} - undescribed
    assert {route for route in operations if route[1].startswith("/api/")} == ours
    for route in ours:
        assert bool(operations[route].get("security")) == (table.ROUTES[route] != "open"), route


def test_every_frame_and_socket_is_in_the_table():
    from conversations.routing import websocket_urlpatterns

    assert set(CLIENT_FRAMES) == set(table.FRAMES)
    assert {f"/{pattern.pattern}" for pattern in websocket_urlpatterns} == set(table.SOCKETS)


# Tokens


@pytest.mark.django_db
@pytest.mark.parametrize("route", GUARDED, ids=name)
def test_without_a_good_token_it_is_401(route: tuple[str, str]):
    method, path = route
    user = user_make("anna", administrator=True)
    for why, token in {"none": None, **bad_tokens(user)}.items():
        response = call(api(token), method, filled(path, {}))
        assert response.status_code == 401, (why, response.content)
        assert is_error(response) and code_of(response) in ("unauthorized", "invalid_api_key"), why
        assert response["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.django_db
@pytest.mark.parametrize("route", GUARDED, ids=name)
def test_a_user_who_was_shut_out_gets_401(route: tuple[str, str]):
    user = user_make("anna", administrator=True)
    token = token_of(user)
    user.is_active = False
    user.save()
    response = call(api(token), route[0], filled(route[1], {}))
    assert response.status_code == 401 and is_error(response)


@pytest.mark.django_db
@pytest.mark.parametrize("route", ADMINISTRATOR, ids=name)
def test_an_ordinary_user_is_no_administrator(route: tuple[str, str]):
    method, path = route
    model = model_create(name="Echo", source={"kind": "echo"})
    response = call(api(token_of(user_make("anna"))), method, filled(path, {"id": model.pk}))
    assert response.status_code == 403, response.content
    assert is_error(response) and body(response)["code"] == "permission_denied"
    model.refresh_from_db()


@pytest.mark.django_db
@pytest.mark.parametrize("route", [r for r in GUARDED if r not in ADMINISTRATOR], ids=name)
def test_a_token_is_enough_where_a_token_is_asked(route: tuple[str, str]):
    """A bad body or an id of nothing is another matter: only 401 and 403 would be wrong here."""
    response = call(api(token_of(user_make("anna"))), route[0], filled(route[1], {}))
    assert response.status_code not in (401, 403) and response.status_code < 500, response.content


@pytest.mark.django_db
@pytest.mark.parametrize("route", ADMINISTRATOR, ids=name)
def test_an_administrator_may(route: tuple[str, str]):
    response = call(api(token_of(user_make("anna", administrator=True))), route[0], filled(route[1], {}))
    assert response.status_code not in (401, 403) and response.status_code < 500, response.content


@pytest.mark.django_db
@pytest.mark.parametrize("route", OPEN, ids=name)
def test_what_is_open_asks_for_no_token_and_no_token_breaks_it(route: tuple[str, str]):
    method, path = route
    allowed = (503,) if path in MAY_BE_UNREADY else ()
    for token in (None, *bad_tokens(user_make("anna")).values()):
        response = call(api(token), method, filled(path, {"conversation_id": "0" * 32}))
        assert response.status_code < 500 or response.status_code in allowed, response.content
        if token is None:
            assert response.status_code not in (401, 403), response.content


@pytest.mark.django_db
@pytest.mark.parametrize("path", [path for path in admin_routes() if path not in table.ADMIN_OPEN])
def test_the_administration_is_for_administrators(path: str):
    for signed_in in (False, True):
        client = api(None)
        if signed_in:
            client.force_login(user_make("anna"))
        for response in (client.get(path), client.post(path, {})):
            assert response.status_code in (302, 403), (signed_in, response.status_code)
            # Signing out is for everybody who is signed in; it leads back to the door.
            doors = ("/admin/login/", "/admin/") if path == "/admin/logout/" else ("/admin/login/",)
            assert response.status_code == 403 or response["Location"].partition("?")[0] in doors


@pytest.mark.django_db
@pytest.mark.parametrize("route", GUARDED, ids=name)
def test_a_refusal_says_that_it_is_json(route: tuple[str, str]):
    """Also to who asked for a stream."""
    response = call(api(None), route[0], filled(route[1], {}))
    assert response["Content-Type"].startswith("application/json")


# What is another's


def places() -> dict[tuple[str, str], dict[str, str]]:
    """Each call of the API that names a thing of one user's, with the parameters of its path and its body."""
    parameters = {
        "/api/conversations/{conversation_id}": ("conversation_id", "conversation"),
        "/api/turns/{turn_id}": ("turn_id", "turn"),
        "/api/auth/keys/{id}": ("id", "key"),
    }
    found: dict[tuple[str, str], dict[str, str]] = {}
    for method, path in table.ROUTES:
        if "{" in path and path not in table.SHARED_ROUTES:
            (pair,) = [p for prefix, p in parameters.items() if path.startswith(prefix)]
            found[method, path] = {pair[0]: pair[1]}
    return found


#: Bodies with which an owner gets past the checks of form.
BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("PATCH", "/api/conversations/{conversation_id}/"): {"title": "Mine now"},
    ("POST", "/api/conversations/{conversation_id}/messages/"): {"content": "hello"},
    ("PATCH", "/api/conversations/{conversation_id}/active/"): {"message": "<message>"},
    ("POST", "/api/chat/stream/"): {"content": "hello", "conversation": "<conversation>"},
    ("POST", "/chat/stream"): {"content": "hello", "conversation": "<conversation>"},
}
PLACES = places()
BY_BODY = [route for route in BODIES if "{" not in route[1]]


def body_of(route: tuple[str, str], ids: dict[str, str]) -> bytes:
    text = json.dumps(BODIES.get(route, {}))
    for kind, value in ids.items():
        text = text.replace(f"<{kind}>", value)
    return text.encode()


def path_of(route: tuple[str, str], ids: dict[str, str]) -> str:
    return filled(route[1], {p: ids[kind] for p, kind in PLACES.get(route, {}).items()})


def test_every_parameter_and_field_with_an_id_is_looked_at():
    """A new route with an id is in `places`, or exempt with a reason; a new id in a body is in BODIES."""
    with_id = {path for _, path in table.ROUTES if "{" in path}
    assert with_id - {path for _, path in PLACES} == set(table.SHARED_ROUTES)
    assert all(table.SHARED_ROUTES.values()) and all(table.SHARED_FIELDS.values())
    for route, operation in schema_operations().items():
        named = body_fields(operation) & {*table.OWNED_FIELDS, "file", "user_message", "assistant_message"}
        route = (route[0], route[1].rstrip("/")) if route[1].startswith("/chat/") else route
        assert {f"<{field}>" for field in named} <= set(BODIES.get(route, {}).values()), route


@pytest.fixture
def lasting(transactional_db: None) -> Iterator[None]:
    """For what reads on other threads: they see only what is committed."""
    yield
    db.close_all()


@pytest.mark.usefixtures("lasting")
@pytest.mark.parametrize("administrator", [False, True], ids=["user", "administrator"])
@pytest.mark.parametrize("route", [*PLACES, *BY_BODY], ids=name)
def test_over_rest_what_is_anothers_is_not_found(route: tuple[str, str], administrator: bool):
    things = Things(user_make("anna"))
    stranger = api(token_of(user_make("bert", administrator=administrator)))
    nothing = dict.fromkeys(things.ids, "f" * 32)
    before = things.snapshot()
    answers = []
    for ids in (things.ids, nothing):
        response = call(stranger, route[0], path_of(route, ids), body_of(route, ids))
        assert response.status_code == 404, response.content
        assert is_error(response)
        answers.append(body(response))
    assert answers[0] == answers[1], "what is another's must answer as what does not exist"
    assert things.snapshot() == before
    # The same call of its owner leads somewhere, so it is not the address that was wrong.
    mine = call(api(token_of(things.user)), route[0], path_of(route, things.ids), body_of(route, things.ids))
    assert mine.status_code != 404 and mine.status_code < 500, mine.content


@pytest.mark.usefixtures("lasting")
def test_a_message_of_another_cannot_be_shown_in_ones_own_conversation():
    anna, bert = Things(user_make("anna")), Things(user_make("bert"))
    body = json.dumps({"message": anna.ids["message"]}).encode()
    path = f"/api/conversations/{bert.ids['conversation']}/active/"
    assert call(api(token_of(bert.user)), "PATCH", path, body).status_code == 404


@pytest.mark.usefixtures("lasting")
def test_lists_hold_ones_own_things_only():
    anna = Things(user_make("anna"))
    stranger = api(token_of(user_make("bert", administrator=True)))
    for method, path in table.ROUTES:
        if method == "GET" and "{" not in path and path.startswith("/api/") and path != "/api/schema/":
            text = stranger.get(path).content.decode()
            assert not [kind for kind, value in anna.ids.items() if value in text], path
    assert stranger.get("/api/conversations/", {"search": "Secret"}).json()["results"] == []


# The same over the socket


def socket(token: str | None) -> WebsocketCommunicator:
    offered = ["chat.v1", token] if token else ["chat.v1"]
    return WebsocketCommunicator(application, "/ws/chat/", subprotocols=offered)


@pytest.fixture
async def beside(lasting: None) -> AsyncIterator[None]:
    """What the server runs beside its sockets ends with the test."""
    yield
    await runner.shutdown()


@pytest.mark.usefixtures("beside")
@pytest.mark.parametrize("why", ["none", *BAD])
async def test_a_socket_without_a_good_token_is_closed_with_4401(why: str):
    def make() -> str | None:
        user = user_make("anna")
        return ({"none": None} | bad_tokens(user))[why]

    held = socket(await sync_to_async(make)())
    # Accepted first: a browser would learn nothing of a close before it.
    assert await held.connect() == (True, "chat.v1")
    assert await held.receive_output() == {"type": "websocket.close", "code": 4401}
    for kind in CLIENT_FRAMES:
        await held.send_to(text_data=json.dumps({"type": kind}))
    assert await held.receive_nothing()
    await held.disconnect()


VALUES = {"text": "f" * 32, "text or null": "f" * 32, "any": "hello", "object": {}, "number": 0, "bool": True}
WITH_ID = [
    kind for kind, fields in CLIENT_FRAMES.items() if {*table.OWNED_FIELDS} & {f.rstrip("?") for f in fields}
]


def test_every_text_field_of_a_frame_is_owned_or_exempt():
    texts = {
        field.rstrip("?")
        for fields in CLIENT_FRAMES.values()
        for field, kind in fields.items()
        if kind in ("text", "text or null")
    }
    assert texts - {*table.OWNED_FIELDS} == set(table.SHARED_FIELDS)


def frame_of(kind: str, ids: dict[str, str], client_id: str) -> dict[str, Any]:
    """A frame with every required field and these ids in it."""
    frame: dict[str, Any] = {"type": kind}
    for field, value in CLIENT_FRAMES[kind].items():
        if not field.endswith("?"):
            frame[field] = VALUES[value]
    if kind == "turn.edit":  # edits questions, where the others are about answers
        ids = ids | {"message": ids["question"]}
    frame |= {field: ids[field] for field in table.OWNED_FIELDS if field in frame}
    return frame | ({"client_id": client_id} if "client_id" in frame else {})


async def answer_to(held: WebsocketCommunicator, frame: dict[str, Any]) -> dict[str, Any]:
    """The first frame that is about it; hints to all sockets do not count."""
    await held.send_to(text_data=json.dumps(frame))
    while True:
        found: dict[str, Any] = json.loads(await held.receive_from(timeout=30))
        if found["type"] not in ("heartbeat", "model.changed", "conversation.changed", "turn.started"):
            return found


@pytest.mark.usefixtures("beside")
@pytest.mark.parametrize("administrator", [False, True], ids=["user", "administrator"])
@pytest.mark.parametrize("kind", WITH_ID)
async def test_over_the_socket_what_is_anothers_is_not_found(kind: str, administrator: bool):
    @sync_to_async
    def make() -> tuple[Things, str, dict[str, Any]]:
        things = Things(user_make("anna"))
        return things, token_of(user_make("bert", administrator=administrator)), things.snapshot()

    things, token, before = await make()
    held = socket(token)
    assert (await held.connect())[0]
    answers = []
    for ids in (things.ids, dict.fromkeys(things.ids, "f" * 32)):
        found = await answer_to(held, frame_of(kind, ids, things.client_id))
        assert (found["type"], found["code"]) == ("error", "not_found"), found
        answers.append({key: found[key] for key in ("code", "message", "extra")})
    assert answers[0] == answers[1], "what is another's must answer as what does not exist"
    assert await sync_to_async(things.snapshot)() == before
    await held.disconnect()


@pytest.mark.usefixtures("beside")
@pytest.mark.parametrize("kind", [kind for kind in WITH_ID if kind != "turn.stop"])
async def test_its_owner_finds_it_over_the_socket(kind: str):
    """So it was not the frame that was wrong in the test above."""

    @sync_to_async
    def make() -> tuple[Things, str]:
        things = Things(user_make("anna"))
        return things, token_of(things.user)

    things, token = await make()
    held = socket(token)
    assert (await held.connect())[0]
    found = await answer_to(held, frame_of(kind, things.ids, "a-new-client-id"))
    assert found.get("code") not in ("not_found", "invalid", "server_error"), found
    await held.disconnect()


@pytest.mark.usefixtures("beside")
async def test_its_owner_can_stop_it():
    @sync_to_async
    def make() -> tuple[Things, str]:
        things = Things(user_make("anna"))
        return things, token_of(things.user)

    things, token = await make()
    held = socket(token)
    assert (await held.connect())[0]
    await held.send_to(text_data=json.dumps(frame_of("turn.stop", things.ids, "")))
    asked = Turn.objects.filter(pk=things.ids["turn"], stop_requested=True)
    for _ in range(100):
        if await asked.aexists():
            break
        await held.receive_nothing(timeout=0.02)  # a stop has no answer of its own: its turn's log has
    assert await asked.aexists()
    await held.disconnect()
