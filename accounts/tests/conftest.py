from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from rest_framework.test import APIClient

from accounts.models import SiteSettings, User
from accounts.signals import credential_ended
from tests import threads

PASSWORD = "a stove warms the house"


class Api(APIClient):
    """The API as a program sees it: JSON, and a token when one is held."""

    def bearer(self, token: str | None) -> Api:
        other = Api()
        if token:
            other.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
        return other

    def register(self, username: str, password: str = PASSWORD, **more: Any) -> Any:
        body = {"username": username, "email": f"{username}@example.org", "password": password, **more}
        return self.post("/api/auth/register/", body, format="json")

    def token(self, **fields: Any) -> Any:
        return self.post("/api/auth/token/", fields, format="json")

    def log_in(self, username: str, password: str = PASSWORD) -> dict[str, Any]:
        response = self.token(grant_type="password", username=username, password=password)
        assert response.status_code == 200, response.content
        return dict(response.json())

    def refresh(self, token: str) -> Any:
        return self.token(grant_type="refresh_token", refresh_token=token)


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def anna(db: None) -> User:
    """A user who is no administrator."""
    return User.objects.create_user("anna", "anna@example.org", PASSWORD)


@pytest.fixture
def site(db: None) -> SiteSettings:
    return SiteSettings.objects.get_or_create(pk=SiteSettings.SINGLETON)[0]


@pytest.fixture
def ended() -> Iterator[list[dict[str, Any]]]:
    """What credential_ended said, in order."""
    heard: list[dict[str, Any]] = []

    def hear(sender: Any, signal: Any, **facts: Any) -> None:
        heard.append({name: value for name, value in facts.items() if value is not None})

    credential_ended.connect(hear)
    yield heard
    credential_ended.disconnect(hear)


@pytest.fixture
def at_once(transactional_db: None) -> Callable[[Callable[[int], Any], int], list[Any]]:
    return threads.at_once
