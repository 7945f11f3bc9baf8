from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.checks import run_checks
from django.test import Client, override_settings

from accounts.models import LoginAttempt, User
from accounts.tests.conftest import PASSWORD, Api

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def three_in_a_minute() -> Iterator[None]:
    with override_settings(HEARTH_LOGIN_LIMIT="3/60"):
        yield


def guess(api: Api, username: str = "anna", password: str = "wrong", address: str = "192.0.2.1") -> Any:
    body = {"grant_type": "password", "username": username, "password": password}
    return api.post("/api/auth/token/", body, format="json", REMOTE_ADDR=address)


def time_passes(seconds: int) -> None:
    for row in LoginAttempt.objects.all():
        LoginAttempt.objects.filter(pk=row.pk).update(at=row.at - timedelta(seconds=seconds))


def test_past_the_limit_even_the_right_password_has_to_wait(api: Api, anna: User) -> None:
    assert [guess(api).status_code for _ in range(3)] == [400] * 3
    response = guess(api, password=PASSWORD)
    assert response.status_code == 429
    assert response.json()["error"] == "temporarily_unavailable"
    assert response.json()["code"] == "too_many_attempts"
    assert 55 <= int(response["Retry-After"]) <= 61
    assert int(response["Retry-After"]) == response.json()["extra"]["retry_after"]


def test_after_the_time_that_was_told_it_works(api: Api, anna: User) -> None:
    for _ in range(3):
        guess(api)
    time_passes(30)
    wait = int(guess(api, password=PASSWORD)["Retry-After"])
    time_passes(wait)
    assert guess(api, password=PASSWORD).status_code == 200


def test_knocking_on_does_not_keep_it_closed(api: Api, anna: User) -> None:
    for _ in range(3):
        guess(api)
    time_passes(40)
    for _ in range(10):
        assert int(guess(api)["Retry-After"]) <= 21
    time_passes(21)
    assert guess(api, password=PASSWORD).status_code == 200


def test_a_right_password_clears_the_count(api: Api, anna: User) -> None:
    for _ in range(3):
        guess(api), guess(api), guess(api, password=PASSWORD)
    assert guess(api, password=PASSWORD).status_code == 200


def test_the_name_counts_however_it_is_written(api: Api, anna: User) -> None:
    for name in ("anna", "ANNA", "Ａnna"):
        guess(api, name)
    assert guess(api, "anna").status_code == 429


def test_others_and_other_places_are_not_held_up(api: Api, anna: User) -> None:
    User.objects.create_user("bert", password=PASSWORD)
    for _ in range(4):
        guess(api)
    assert guess(api, "bert", PASSWORD).status_code == 200
    assert guess(api, "anna", PASSWORD, address="198.51.100.7").status_code == 200


def test_one_address_may_not_try_many_names(api: Api, anna: User) -> None:
    for index in range(30):
        guess(api, f"user{index}")
        if index == 20:
            assert guess(api, "anna", PASSWORD).status_code == 200, "and one's own account clears nothing"
    assert guess(api, "another").status_code == 429
    assert guess(api, "another", address="198.51.100.7").status_code == 400


def test_an_ipv6_network_is_one_place(api: Api, anna: User) -> None:
    for index in range(3):
        guess(api, address=f"2001:db8::{index}")
    assert guess(api, address="2001:db8::ffff").status_code == 429
    assert guess(api, address="2001:db8:1::1").status_code == 400


def test_the_current_password_is_no_back_door(api: Api, anna: User) -> None:
    signed_in = api.bearer(api.log_in("anna")["access_token"])
    body = {"current": "wrong", "new": "and the cat sleeps on it"}
    codes = [signed_in.post("/api/auth/password/", body, format="json") for _ in range(4)]
    assert [response.status_code for response in codes] == [400, 400, 400, 429]
    assert codes[-1]["Retry-After"]
    assert set(codes[-1].json()) == {"code", "message", "extra"}


def test_the_admins_door_counts_too_and_says_so(anna: User) -> None:
    User.objects.update(is_staff=True)
    browser = Client()
    body = {"username": "anna", "password": "wrong"}
    pages = [browser.post("/admin/login/", body).content.decode() for _ in range(4)]
    assert ["Too many attempts" in page for page in pages] == [False, False, False, True]
    browser.post("/admin/login/", {**body, "password": PASSWORD})
    assert browser.get("/admin/").status_code == 302, "not signed in"


def test_names_are_not_kept_in_clear(api: Api, db: None) -> None:
    guess(api, "my secret typed into the wrong field")
    assert "secret" not in str(list(LoginAttempt.objects.values_list()))


@pytest.mark.database
def test_a_burst_of_guesses_does_not_slip_through(at_once: Any) -> None:
    User.objects.create_user("anna", password=PASSWORD)
    answers = at_once(lambda index: guess(Api()).status_code, 8)
    assert set(answers) <= {400, 429}
    assert answers.count(400) <= 3


@pytest.mark.parametrize("text", ["", "ten", "10", "0/300", "10/0", "1/2/3"])
def test_a_limit_that_cannot_be_read_stops_the_start(text: str) -> None:
    with override_settings(HEARTH_LOGIN_LIMIT=text):
        assert "accounts.E001" in [error.id for error in run_checks()]
