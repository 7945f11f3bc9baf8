from __future__ import annotations

from typing import Any

import pytest
from django.test import override_settings

from accounts.models import ApiKey, TokenFamily, User
from accounts.services import api_key_create, api_key_revoke, family_end
from accounts.sockets import authenticate_socket, origin_allowed, still_valid
from accounts.tests.conftest import Api
from config.errors import AppError

pytestmark = pytest.mark.django_db


def scope(*subprotocols: str, **headers: str) -> dict[str, Any]:
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "websocket", "subprotocols": list(subprotocols), "headers": pairs}


def test_a_token_is_the_second_subprotocol(api: Api, anna: User) -> None:
    user, credential = authenticate_socket(scope("chat.v1", api.log_in("anna")["access_token"]))
    assert user == anna
    assert (credential.kind, credential.user_id) == ("access", anna.pk)
    assert credential.family_id == TokenFamily.objects.get().pk


def test_or_an_api_key(anna: User) -> None:
    row, key = api_key_create(user=anna, name="laptop")
    user, credential = authenticate_socket(scope("chat.v1", key))
    assert (user, credential.kind, credential.key_id) == (anna, "key", row.pk)


def test_anything_else_is_unauthorized(api: Api, anna: User) -> None:
    tokens = api.log_in("anna")
    access, refresh = tokens["access_token"], tokens["refresh_token"]
    for offered in (
        [],
        ["chat.v1"],
        ["chat.v1", "x"],
        ["chat.v1", refresh],
        [access],
        [access, "chat.v1"],
        ["x", access],
    ):
        with pytest.raises(AppError) as refused:
            authenticate_socket(scope(*offered))
        assert (refused.value.code, refused.value.status) == ("unauthorized", 401)


def test_a_credential_is_valid_until_its_family_ends(
    api: Api, anna: User, django_assert_num_queries: Any
) -> None:
    _, credential = authenticate_socket(scope("chat.v1", api.log_in("anna")["access_token"]))
    with django_assert_num_queries(1):
        assert still_valid(credential)
    family_end(family_id=credential.family_id or "")
    assert not still_valid(credential)


def test_a_credential_is_valid_until_its_key_is_revoked(anna: User) -> None:
    row, key = api_key_create(user=anna, name="laptop")
    _, credential = authenticate_socket(scope("chat.v1", key))
    assert still_valid(credential)
    api_key_revoke(user=anna, key_id=row.pk)
    assert not still_valid(credential)
    assert ApiKey.objects.exists()


@pytest.mark.parametrize("change", [{"is_active": False}, {"is_approved": False}])
def test_a_credential_is_valid_while_the_user_may_enter(api: Api, anna: User, change: Any) -> None:
    _, key = api_key_create(user=anna, name="laptop")
    both = [
        authenticate_socket(scope("chat.v1", text))[1] for text in (key, api.log_in("anna")["access_token"])
    ]
    User.objects.update(**change)
    assert [still_valid(credential) for credential in both] == [False, False]


@pytest.mark.parametrize(
    ("origin", "host", "allowed"),
    [
        (None, "localhost:8000", True),
        ("http://localhost:8000", "localhost:8000", True),
        ("HTTP://LOCALHOST:8000", "localhost:8000", True),
        ("https://localhost", "localhost", True),
        ("https://localhost", "localhost:443", True),
        ("http://[::1]:8000", "[::1]:8000", True),
        ("http://localhost:8000", "localhost:9000", False),
        ("http://evil.example", "localhost:8000", False),
        ("http://localhost.evil.example:8000", "localhost:8000", False),
        ("http://evil.example:8000", "evil.example:8000", False),  # a name that was rebound to this machine
        ("null", "localhost:8000", False),
        ("file://", "localhost:8000", False),
        ("", "localhost:8000", False),
        ("http://[", "localhost:8000", False),
        ("http://localhost:8000", None, False),
        ("https://hearth.example", "backend:8000", True),
        ("https://a.wild.example", "backend:8000", True),
        ("http://hearth.example", "backend:8000", False),
    ],
)
@override_settings(
    ALLOWED_HOSTS=["localhost", "[::1]"],
    CSRF_TRUSTED_ORIGINS=["https://hearth.example", "https://*.wild.example"],
)
def test_origins(origin: str | None, host: str | None, allowed: bool) -> None:
    headers = {name: value for name, value in {"origin": origin, "host": host}.items() if value is not None}
    assert origin_allowed(scope(**headers)) is allowed
