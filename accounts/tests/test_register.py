from __future__ import annotations

from typing import Any

import pytest

from accounts.models import SiteSettings, User
from accounts.tests.conftest import PASSWORD, Api

pytestmark = pytest.mark.django_db


def test_the_first_account_is_the_administrator_and_the_second_is_not(api: Api) -> None:
    first, second = api.register("anna").json(), api.register("bert").json()
    assert (first["user"]["is_admin"], second["user"]["is_admin"]) == (True, False)
    anna = User.objects.get(username="anna")
    assert anna.is_staff and anna.is_superuser


def test_registering_signs_in(api: Api) -> None:
    response = api.register("anna")
    made = response.json()
    assert response.status_code == 201
    assert set(made) == {"user", "access_token", "refresh_token", "token_type", "expires_in"}
    assert (made["token_type"], type(made["expires_in"])) == ("Bearer", int)
    assert response["Cache-Control"] == "no-store"
    me = api.bearer(made["access_token"]).get("/api/auth/me/").json()
    assert me == made["user"]
    assert "password" not in response.content.decode()


@pytest.mark.parametrize(
    ("password", "why"),
    [("short1x", "too short"), ("8675309421", "numeric"), ("password1", "common"), ("annaanna", "similar")],
)
def test_djangos_password_rules_stand_at_the_field(api: Api, password: str, why: str) -> None:
    response = api.register("annaanna", password)
    assert response.status_code == 400
    body = response.json()
    assert body["code"] == "invalid"
    assert list(body["extra"]["fields"]) == ["password"]
    assert any(why in text for text in body["extra"]["fields"]["password"])
    assert not User.objects.exists()


@pytest.mark.parametrize("taken", ["anna", "ANNA", "Ａｎｎａ"])
def test_a_name_is_taken_however_it_is_written(api: Api, taken: str) -> None:
    api.register("Anna")
    response = api.register(taken, email="")
    assert response.status_code == 400
    assert list(response.json()["extra"]["fields"]) == ["username"]


@pytest.mark.parametrize("name", ["", "two words", "a" * 151, "semi;colon"])
def test_a_name_that_is_none_is_refused_at_the_field(api: Api, name: str) -> None:
    response = api.register(name, email="")
    assert response.status_code == 400
    assert "username" in response.json()["extra"]["fields"]


def test_chinese_names_are_names(api: Api) -> None:
    assert api.register("炉边", email="").status_code == 201
    assert api.log_in("炉边")


def test_an_unknown_field_is_refused(api: Api) -> None:
    response = api.register("anna", is_superuser=True)
    assert response.status_code == 400
    assert "is_superuser" in response.json()["extra"]["fields"]
    assert not User.objects.exists()


def test_a_closed_house_takes_no_one_but_the_first(api: Api, site: SiteSettings) -> None:
    SiteSettings.objects.update(registration="closed")
    assert api.register("anna").status_code == 201
    response = api.register("bert")
    assert (response.status_code, response.json()["code"]) == (403, "registration_closed")
    assert not User.objects.filter(username="bert").exists()


def test_with_approval_the_account_waits_without_tokens(api: Api, site: SiteSettings) -> None:
    api.register("anna")
    SiteSettings.objects.update(registration="approval")
    response = api.register("bert")
    assert (response.status_code, list(response.json())) == (202, ["user"])

    refused = api.token(grant_type="password", username="bert", password=PASSWORD)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    assert refused.json()["code"] == "awaiting_approval"
    guessed = api.token(grant_type="password", username="bert", password="wrong")
    assert "code" not in guessed.json(), "only who knows the password learns that the account waits"

    User.objects.filter(username="bert").update(is_approved=True)
    assert api.log_in("bert")


def test_the_state_tells_a_page_what_to_show(api: Api, site: SiteSettings) -> None:
    SiteSettings.objects.update(registration="closed")
    assert api.get("/api/auth/state/").json() == {"has_users": False, "registration": "open"}
    api.register("anna")
    assert api.get("/api/auth/state/").json() == {"has_users": True, "registration": "closed"}


def test_no_provider_yet_is_an_empty_list(api: Api) -> None:
    assert api.get("/api/auth/providers/").json() == {"results": [], "next": None}


@pytest.mark.database
def test_of_two_first_accounts_one_becomes_administrator(at_once: Any) -> None:
    for _ in range(3):
        User.objects.all().delete()
        SiteSettings.objects.all().delete()
        answers = at_once(lambda index: Api().register(f"user{index}").status_code, 6)
        assert answers == [201] * 6
        assert User.objects.filter(is_superuser=True).count() == 1


@pytest.mark.database
def test_of_two_that_want_one_name_one_gets_it(at_once: Any) -> None:
    answers = at_once(lambda index: Api().register(["anna", "ANNA"][index % 2], email="").status_code, 6)
    assert sorted(answers) == [201] + [400] * 5
