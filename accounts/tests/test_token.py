from __future__ import annotations

import time
from typing import Any

import pytest
from django.contrib.auth.hashers import identify_hasher
from django.test import override_settings
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.tokens import AccessToken

from accounts.models import TokenFamily, User
from accounts.tests.conftest import PASSWORD, Api

pytestmark = pytest.mark.django_db
FORM = "application/x-www-form-urlencoded"


def form(api: Api, body: str) -> Any:
    return api.post("/api/auth/token/", body, content_type=FORM)


def test_form_encoded_as_the_rfc_wants_it(api: Api, anna: User) -> None:
    response = form(api, f"grant_type=password&username=anna&password={PASSWORD.replace(' ', '+')}")
    assert response.status_code == 200
    assert set(response.json()) == {"access_token", "token_type", "expires_in", "refresh_token"}
    assert response.json()["token_type"] == "Bearer"
    assert (response["Cache-Control"], response["Pragma"]) == ("no-store", "no-cache")


def test_json_too_and_the_name_in_any_case(api: Api, anna: User) -> None:
    tokens = api.log_in("ANNA")
    assert api.bearer(tokens["access_token"]).get("/api/auth/me/").json()["username"] == "anna"


def test_parameters_that_are_not_known_and_client_credentials_are_ignored(api: Api, anna: User) -> None:
    api.credentials(HTTP_AUTHORIZATION="Basic Og==")  # what Swagger's Authorize sends beside the form
    body = f"grant_type=password&username=anna&password={PASSWORD.replace(' ', '+')}&scope=&client_id=x"
    assert form(api, body).status_code == 200


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("", "invalid_request"),
        ("grant_type=", "invalid_request"),
        ("grant_type=password&username=anna", "invalid_request"),
        ("grant_type=password&username=anna&username=bert&password=x", "invalid_request"),
        ("grant_type=refresh_token", "invalid_request"),
        ("grant_type=client_credentials", "unsupported_grant_type"),
        ("grant_type=password&username=anna&password=wrong", "invalid_grant"),
        ("grant_type=password&username=nobody&password=wrong", "invalid_grant"),
        ("grant_type=refresh_token&refresh_token=rubbish", "invalid_grant"),
    ],
)
def test_errors_have_the_rfcs_shape(api: Api, anna: User, body: str, error: str) -> None:
    response = form(api, body)
    assert (response.status_code, response.json()["error"]) == (400, error)
    text = response.json()["error_description"]
    assert text.isascii() and not set(text) & {'"', "\\"}, "RFC 6749, 5.2"
    assert response["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "body", ["{", "[]", '"x"', '{"grant_type": 1}', '{"grant_type": ["password"]}', "null"]
)
def test_broken_json_is_an_invalid_request(api: Api, db: None, body: str) -> None:
    response = api.post("/api/auth/token/", body, content_type="application/json")
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")


def test_half_a_character_is_an_invalid_request(api: Api, db: None) -> None:
    body = '{"grant_type": "password", "username": "\\ud800", "password": "x"}'
    response = api.post("/api/auth/token/", body, content_type="application/json")
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")


def test_another_content_type_is_an_invalid_request(api: Api, db: None) -> None:
    response = api.post("/api/auth/token/", "<x/>", content_type="text/xml")
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")


def test_a_deactivated_user_gets_nothing_not_even_a_reason(api: Api, anna: User) -> None:
    User.objects.update(is_active=False)
    response = api.token(grant_type="password", username="anna", password=PASSWORD)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")


def test_a_refresh_token_is_no_access_token_and_the_other_way_round(api: Api, anna: User) -> None:
    tokens = api.log_in("anna")
    assert api.bearer(tokens["refresh_token"]).get("/api/auth/me/").status_code == 401
    assert api.refresh(tokens["access_token"]).json()["error"] == "invalid_grant"


def test_no_token_expired_or_forged_is_401_in_our_shape(api: Api, anna: User) -> None:
    api.log_in("anna")
    family = TokenFamily.objects.get()
    expired = AccessToken()
    expired.payload |= {"user_id": anna.pk, "family": family.pk, "exp": int(time.time()) - 1}
    good = AccessToken()
    good.payload |= {"user_id": anna.pk, "family": family.pk}
    assert api.bearer(str(good)).get("/api/auth/me/").status_code == 200
    for token in (None, str(expired), str(good)[:-4] + "AAAA", "x", "hk_nope", "clé"):
        response = api.bearer(token).get("/api/auth/me/")
        assert response.status_code == 401, token
        assert set(response.json()) == {"code", "message", "extra"}
        assert response["WWW-Authenticate"].startswith("Bearer")


def test_an_access_token_of_one_user_in_the_family_of_another_is_refused(api: Api, anna: User) -> None:
    api.log_in("anna")
    other = User.objects.create_user("bert", password=PASSWORD)
    token = AccessToken()
    token.payload |= {"user_id": other.pk, "family": TokenFamily.objects.get().pk}
    assert api.bearer(str(token)).get("/api/auth/me/").status_code == 401


def test_a_request_with_a_token_costs_one_query(api: Api, anna: User, django_assert_num_queries: Any) -> None:
    signed_in = api.bearer(api.log_in("anna")["access_token"])
    with django_assert_num_queries(1):
        assert signed_in.get("/api/auth/me/").status_code == 200


@override_settings(PASSWORD_HASHERS=["accounts.hashers.HouseArgon2Hasher"])
def test_passwords_are_kept_with_argon2(api: Api, db: None) -> None:
    api.register("anna")
    kept = User.objects.get().password
    assert identify_hasher(kept).algorithm == "argon2"
    assert kept.startswith("argon2$argon2id$v=19$m=19456,t=2,p=1$")
    assert api.log_in("anna")


def test_a_stronger_hash_at_sign_in_ends_no_other_sign_in(api: Api, anna: User) -> None:
    first = api.log_in("anna")
    with override_settings(
        PASSWORD_HASHERS=["django.contrib.auth.hashers.PBKDF2PasswordHasher", *_hashers()]
    ):
        api.log_in("anna")
        assert User.objects.get().password.startswith("pbkdf2"), "it was hashed anew"
    assert api.bearer(first["access_token"]).get("/api/auth/me/").status_code == 200


def _hashers() -> list[str]:
    from django.conf import settings

    return list(settings.PASSWORD_HASHERS)


def test_the_lifetime_that_is_told_is_the_one_in_the_token(api: Api, anna: User) -> None:
    tokens = api.log_in("anna")
    claims = AccessToken(tokens["access_token"])
    assert claims["exp"] - claims["iat"] == tokens["expires_in"]
    assert tokens["expires_in"] == api_settings.ACCESS_TOKEN_LIFETIME.total_seconds()
