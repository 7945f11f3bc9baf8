from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.core import serializers
from django.utils import timezone

from accounts.models import ApiKey, User
from accounts.tests.conftest import PASSWORD, Api

pytestmark = pytest.mark.django_db


@pytest.fixture
def signed_in(api: Api, anna: User) -> Api:
    return api.bearer(api.log_in("anna")["access_token"])


def make(signed_in: Api, name: str = "laptop") -> Any:
    response = signed_in.post("/api/auth/keys/", {"name": name}, format="json")
    assert response.status_code == 201, response.content
    return response.json()


def test_a_key_opens_what_a_token_opens(signed_in: Api) -> None:
    key = make(signed_in)["key"]
    assert signed_in.bearer(key).get("/api/auth/me/").json()["username"] == "anna"


def test_a_key_is_shown_once_and_only_its_hash_is_kept(signed_in: Api) -> None:
    made = make(signed_in)
    listed = signed_in.get("/api/auth/keys/")
    assert made["key"] not in listed.content.decode()
    assert made["key"] not in serializers.serialize("json", ApiKey.objects.all())
    assert made["key"].startswith(made["prefix"])
    (entry,) = listed.json()["results"]
    assert set(entry) == {"id", "name", "prefix", "created", "last_used"}


def test_a_key_may_stand_in_a_subprotocol(signed_in: Api) -> None:
    for _ in range(20):
        assert re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", make(signed_in)["key"]), "RFC 9110, token"


def test_a_revoked_key_stops_at_once(
    signed_in: Api, ended: Any, django_capture_on_commit_callbacks: Any
) -> None:
    made = make(signed_in)
    with django_capture_on_commit_callbacks(execute=True):
        assert signed_in.delete(f"/api/auth/keys/{made['id']}/").status_code == 204
    assert signed_in.bearer(made["key"]).get("/api/auth/me/").status_code == 401
    assert signed_in.get("/api/auth/keys/").json()["results"] == []
    assert ended == [{"key_id": made["id"]}]


def test_keys_of_others_are_as_if_they_did_not_exist(signed_in: Api, api: Api) -> None:
    made = make(signed_in)
    User.objects.create_user("bert", password=PASSWORD)
    bert = api.bearer(api.log_in("bert")["access_token"])
    foreign, missing = bert.delete(f"/api/auth/keys/{made['id']}/"), bert.delete("/api/auth/keys/none/")
    assert (foreign.status_code, foreign.json()) == (404, missing.json())
    assert bert.get("/api/auth/keys/").json()["results"] == []
    assert signed_in.bearer(made["key"]).get("/api/auth/me/").status_code == 200


def test_a_key_of_who_may_not_enter_is_refused(signed_in: Api) -> None:
    key = make(signed_in)["key"]
    User.objects.update(is_active=False)
    assert signed_in.bearer(key).get("/api/auth/me/").status_code == 401


def test_a_changed_password_leaves_keys_alone(signed_in: Api) -> None:
    key = make(signed_in)["key"]
    body = {"current": PASSWORD, "new": "and the cat sleeps on it"}
    assert signed_in.post("/api/auth/password/", body, format="json").status_code == 204
    assert signed_in.bearer(key).get("/api/auth/me/").status_code == 200


def test_last_used_is_written_at_most_once_a_minute(signed_in: Api, django_assert_num_queries: Any) -> None:
    with_key = signed_in.bearer(make(signed_in)["key"])
    with django_assert_num_queries(2):
        with_key.get("/api/auth/me/")
    with django_assert_num_queries(1):
        with_key.get("/api/auth/me/")
    long_ago = timezone.now() - timedelta(minutes=2)
    ApiKey.objects.update(last_used=long_ago)
    with_key.get("/api/auth/me/")
    assert ApiKey.objects.filter(last_used__gt=long_ago).exists()


def test_lists_come_in_pages(signed_in: Api) -> None:
    names = {f"key {index}" for index in range(120)}
    for name in names:
        make(signed_in, name)
    seen: list[str] = []
    url: str | None = "/api/auth/keys/"
    while url:
        page = signed_in.get(url).json()
        seen += [entry["name"] for entry in page["results"]]
        url = page["next"]
    assert sorted(seen) == sorted(names)


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": "x" * 101}, {"name": "x", "user": "y"}])
def test_a_key_needs_a_name_and_nothing_else(signed_in: Api, body: Any) -> None:
    response = signed_in.post("/api/auth/keys/", body, format="json")
    assert (response.status_code, response.json()["code"]) == (400, "invalid")
