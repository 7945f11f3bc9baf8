"""Revoke, me, password: what a person does with their own account."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from accounts.models import TokenFamily, User
from accounts.tests.conftest import PASSWORD, Api

pytestmark = pytest.mark.django_db
NEW = "and the cat sleeps on it"


def works(token: str) -> bool:
    return bool(Api().bearer(token).get("/api/auth/me/").status_code == 200)


@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
def test_revoking_either_token_ends_the_whole_family(api: Api, anna: User, which: str) -> None:
    tokens, other = api.log_in("anna"), api.log_in("anna")
    rotated = api.refresh(tokens["refresh_token"]).json()
    assert api.post("/api/auth/revoke/", {"token": tokens[which]}, format="json").status_code == 200
    assert not works(tokens["access_token"]) and not works(rotated["access_token"])
    assert api.refresh(rotated["refresh_token"]).json()["error"] == "invalid_grant"
    assert works(other["access_token"])


def test_revoking_form_encoded_with_a_hint(api: Api, anna: User) -> None:
    tokens = api.log_in("anna")
    body = f"token={tokens['refresh_token']}&token_type_hint=refresh_token"
    response = api.post("/api/auth/revoke/", body, content_type="application/x-www-form-urlencoded")
    assert response.status_code == 200
    assert not works(tokens["access_token"])


def test_revoking_what_is_unknown_or_ended_is_no_error(api: Api, anna: User) -> None:
    token = api.log_in("anna")["refresh_token"]
    for text in ("rubbish", token, token):
        assert api.post("/api/auth/revoke/", {"token": text}, format="json").status_code == 200


def test_revoking_nothing_is_an_invalid_request(api: Api, db: None) -> None:
    response = api.post("/api/auth/revoke/", {}, format="json")
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")


def test_me_shows_and_changes(api: Api, anna: User) -> None:
    me = api.bearer(api.log_in("anna")["access_token"])
    shown = me.get("/api/auth/me/").json()
    assert (shown["id"], shown["username"], shown["is_admin"]) == (anna.pk, "anna", False)
    changed = me.patch("/api/auth/me/", {"email": "new@example.org", "language": "en"}, format="json")
    assert (changed.json()["email"], changed.json()["language"]) == ("new@example.org", "en")
    assert User.objects.get().email == "new@example.org"


def test_a_language_may_be_named_as_the_browser_does(api: Api, anna: User) -> None:
    me = api.bearer(api.log_in("anna")["access_token"])
    for given, kept in (("zh-CN", "zh-hans"), ("en-US", "en"), ("", "")):
        assert me.patch("/api/auth/me/", {"language": given}, format="json").json()["language"] == kept


@pytest.mark.parametrize("path", ["me/", "keys/", "providers/", "state/", "password/", "token/", "register/"])
def test_every_route_opens_in_the_browsable_api(anna: User, path: str) -> None:
    browser = Client(headers={"accept": "text/html"})
    browser.login(username="anna", password=PASSWORD)
    response = browser.get(f"/api/auth/{path}")
    assert response.status_code in (200, 405)
    assert response["Content-Type"].startswith("text/html")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"is_superuser": True}, "is_superuser"),
        ({"username": "root"}, "username"),
        ({"password": "x"}, "password"),
        ({"email": "no"}, "email"),
        ({"language": "tlh"}, "language"),
    ],
)
def test_me_refuses_what_is_not_ones_to_change(api: Api, anna: User, body: Any, field: str) -> None:
    response = api.bearer(api.log_in("anna")["access_token"]).patch("/api/auth/me/", body, format="json")
    assert response.status_code == 400
    assert list(response.json()["extra"]["fields"]) == [field]


def change(api: Api, token: str, current: str = PASSWORD, new: str = NEW) -> Any:
    return api.bearer(token).post("/api/auth/password/", {"current": current, "new": new}, format="json")


def test_a_changed_password_ends_all_other_families(api: Api, anna: User, ended: Any) -> None:
    mine, other = api.log_in("anna"), api.log_in("anna")
    assert change(api, mine["access_token"]).status_code == 204
    assert works(mine["access_token"]) and api.refresh(mine["refresh_token"]).status_code == 200
    assert not works(other["access_token"])
    assert api.token(grant_type="password", username="anna", password=PASSWORD).status_code == 400
    assert api.log_in("anna", NEW)


def test_a_change_from_a_session_keeps_that_session_and_ends_the_rest(api: Api, anna: User) -> None:
    token, here, there = api.log_in("anna")["access_token"], Client(), Client()
    assert here.login(username="anna", password=PASSWORD) and there.login(username="anna", password=PASSWORD)
    body = {"current": PASSWORD, "new": NEW}
    assert here.post("/api/auth/password/", body, content_type="application/json").status_code == 204
    assert here.get("/api/auth/me/").status_code == 200
    assert there.get("/api/auth/me/").status_code in (401, 403)
    assert not works(token)


def test_a_wrong_current_password_changes_nothing(api: Api, anna: User) -> None:
    mine, other = api.log_in("anna"), api.log_in("anna")
    response = change(api, mine["access_token"], current="wrong")
    assert (response.status_code, list(response.json()["extra"]["fields"])) == (400, ["current"])
    assert works(other["access_token"]) and api.log_in("anna")


def test_a_weak_new_password_is_refused_at_the_field(api: Api, anna: User) -> None:
    response = change(api, api.log_in("anna")["access_token"], new="12345678")
    assert (response.status_code, list(response.json()["extra"]["fields"])) == (400, ["new"])


def test_an_administrators_change_of_the_password_ends_all(api: Api, anna: User) -> None:
    mine = api.log_in("anna")
    user = User.objects.get()
    user.set_password(NEW)
    user.save()
    assert not works(mine["access_token"])


def test_a_password_that_is_taken_away_ends_all(api: Api, anna: User) -> None:
    mine = api.log_in("anna")
    user = User.objects.get()
    user.set_unusable_password()
    user.save()
    assert not works(mine["access_token"])


def test_an_unrelated_change_ends_nothing(api: Api, anna: User) -> None:
    mine = api.log_in("anna")
    user = User.objects.get()
    user.first_name = "Anna"
    user.save()
    assert works(mine["access_token"])


@pytest.mark.parametrize("door", ["is_active", "is_approved"])
def test_who_may_not_enter_loses_token_and_session(api: Api, anna: User, door: str) -> None:
    browser = Client()
    assert browser.login(username="anna", password=PASSWORD)
    assert browser.get("/api/auth/me/").status_code == 200
    token = api.log_in("anna")["access_token"]
    User.objects.update(**{door: False})
    assert browser.get("/api/auth/me/").status_code in (401, 403)
    assert not works(token)


def test_a_deactivated_user_stays_signed_out_when_let_in_again(api: Api, anna: User) -> None:
    token = api.log_in("anna")["access_token"]
    for active in (False, True):
        anna.is_active = active
        anna.save()
    assert not works(token)
    assert TokenFamily.objects.exclude(ended_at=None).count() == 1


@pytest.mark.database
def test_a_deleted_user_is_announced(transactional_db: None, ended: Any) -> None:
    user = User.objects.create_user("anna", password=PASSWORD)
    pk = user.pk
    user.delete()
    assert ended == [{"user_id": pk}]
