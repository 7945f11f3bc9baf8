from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.db import connection
from rest_framework.test import APIClient

from accounts.models import SiteSettings, User
from accounts.signals import credential_ended

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
    """Runs `work(0) … work(n-1)` on as many threads, each with its own connection, started together."""

    def run(work: Callable[[int], Any], n: int) -> list[Any]:
        barrier = Barrier(n)

        def one(index: int) -> Any:
            try:
                connection.ensure_connection()
                barrier.wait(timeout=30)
                return work(index)
            finally:
                connection.close()

        with ThreadPoolExecutor(n) as pool:
            return list(pool.map(one, range(n)))

    return run
