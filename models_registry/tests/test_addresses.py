"""Who is no administrator names no address: refused before anything is looked up or connected to."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from rest_framework.test import APIClient

from inference.tests.test_address import HOSTILE_FORMS, NEVER
from models_registry.models import Model

URL = "/api/models/"
PLAIN = ["http://127.0.0.1:1/v1", "http://localhost/v1", "http://rebind.example/v1", "http://[::1]/v1"]
BRACKETED = [f"http://{f'[{ip}]' if ':' in ip else ip}/latest/meta-data" for ip in NEVER]


@pytest.fixture
def reached(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Every name that is looked up and every connection by IP that is tried."""
    found: list[Any] = []
    look, connect = socket.getaddrinfo, socket.socket.connect

    def watch_look(*args: Any, **options: Any) -> Any:
        found.append(args[0])
        return look(*args, **options)

    def watch_connect(self: socket.socket, where: Any) -> None:
        if self.family != socket.AF_UNIX:
            found.append(where)
        connect(self, where)

    monkeypatch.setattr(socket, "getaddrinfo", watch_look)
    monkeypatch.setattr(socket.socket, "connect", watch_connect)
    yield found


@pytest.mark.parametrize("address", [*HOSTILE_FORMS, *PLAIN, *BRACKETED])
def test_of_one_who_is_no_administrator_nothing_is_looked_up(
    address: str, user_api: APIClient, reached: list[Any]
) -> None:
    source = {"kind": "remote", "base_url": address, "model": "m"}
    answer = user_api.post(URL, {"name": "x", "source": source}, format="json")
    assert (answer.status_code, reached) == (403, [])
    assert not Model.objects.exists()


@pytest.mark.parametrize("address", HOSTILE_FORMS)
def test_an_administrators_address_is_checked_as_a_text(
    address: str, admin_api: APIClient, reached: list[Any]
) -> None:
    source = {"kind": "remote", "base_url": address, "model": "m"}
    answer = admin_api.post(URL, {"name": "x", "source": source}, format="json")
    assert (answer.status_code, reached) == (400, [])
    assert list(answer.json()["extra"]["fields"]) == ["source"]
