"""The description of the API, the pages that show it, and the routes by which people find them."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from rest_framework.test import APIClient

from accounts.models import User
from conversations.models import Conversation
from conversations.runner import runner

PAGE = {"HTTP_ACCEPT": "text/html,application/xhtml+xml"}
#: What a page loads (not what it links to) from another host.
HOSTS = re.compile(r"""(?:\bsrc=|<link[^>]*\bhref=)["'](?:https?:)?//""")
STREAMS = ["/api/chat/stream/", "/api/chat/teststream/", "/chat/stream", "/chat/stream/", "/chat/teststream/"]


@pytest.fixture
def anna(db: None) -> User:
    return User.objects.create_user("anna", password="a stove warms the house")


@pytest.fixture
def browser(anna: User) -> Client:
    client = Client()
    client.force_login(anna)
    return client


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Turns begin, but nobody makes them: this is about what the page answers."""
    turns: list[str] = []
    monkeypatch.setattr(runner, "launch", lambda turn, job=None: turns.append(turn))
    return turns


def test_the_description_has_no_warning() -> None:
    out = io.StringIO()
    call_command("spectacular", "--validate", "--fail-on-warn", stdout=out)
    text = out.getvalue()
    assert "/api/chat/stream/:" in text
    assert "\n  /chat/stream/:" not in text
    assert "tokenUrl: /api/auth/token/" in text


def test_docs_lead_to_the_page(client: Client, db: None) -> None:
    for address in ("/docs", "/docs/"):
        assert client.get(address).headers["Location"] == "/api/docs/"
    response = client.get("/api/docs/")
    text = response.content.decode()
    assert response.status_code == 200
    assert "/static/drf_spectacular_sidecar/" in text
    assert not HOSTS.search(text)


@pytest.mark.parametrize("address", ["/api/conversations/", "/api/models/", "/api/auth/keys/"])
def test_the_browsable_api_by_session(browser: Client, address: str) -> None:
    response = browser.get(address, **PAGE)
    text = response.content.decode()
    assert (response.status_code, response.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "anna" in text
    assert not HOSTS.search(text)


def test_a_stranger_is_offered_the_way_in(client: Client, anna: User) -> None:
    response = client.get("/api/conversations/", **PAGE)
    assert response.status_code == 401
    assert "/api/session/login/?next=/api/conversations/" in response.content.decode()
    body = {"username": "Anna", "password": "a stove warms the house", "next": "/api/conversations/"}
    response = client.post("/api/session/login/", body)
    assert response.headers["Location"] == "/api/conversations/"
    assert client.get("/api/conversations/", **PAGE).status_code == 200


@pytest.mark.parametrize("address", STREAMS)
def test_a_stream_explains_itself(browser: Client, address: str) -> None:
    response = browser.get(address, HTTP_ACCEPT="*/*")
    assert (response.status_code, response.headers["Content-Type"]) == (405, "application/json")
    assert response.headers["Allow"] == "POST, OPTIONS"
    assert response.json()["code"] == "method_not_allowed"
    assert f"http://testserver{address}" in response.json()["extra"]["example"]
    page = browser.get(address, **PAGE)
    assert page.status_code == 405
    assert "Send a POST with" in page.content.decode()
    assert 'Content-Type:</b> <span class="lit">application/json' in page.content.decode()


def test_a_stream_posted_in_the_browsable_api_does_not_hang(browser: Client, launched: list[str]) -> None:
    response = browser.post("/api/chat/teststream/", {"tokens": 3}, "application/json", **PAGE)
    assert response.status_code == 200
    assert not response.streaming
    assert f"/api/turns/{launched[0]}/events/" in response.content.decode()
    page = browser.get(f"/api/turns/{launched[0]}/events/", **PAGE)
    assert "curl -N" in page.content.decode()


@pytest.mark.parametrize("address", ["/chat/teststream", "/chat/teststream/", "/api/chat/teststream/"])
def test_each_name_of_a_stream_streams(anna: User, launched: list[str], address: str) -> None:
    api = APIClient()
    api.force_authenticate(anna)
    response: Any = api.post(address, {"tokens": 3}, format="json", HTTP_ACCEPT="text/event-stream")
    assert (response.status_code, response.streaming) == (200, True)
    assert response.headers["Content-Type"] == "text/event-stream"
    assert Conversation.objects.get().is_test
    assert len(launched) == 1
