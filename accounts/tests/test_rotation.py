from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F

from accounts.models import RefreshToken, TokenFamily, User
from accounts.sign_in import GRACE
from accounts.tests.conftest import PASSWORD, Api

pytestmark = pytest.mark.django_db


def works(access_token: str) -> bool:
    return bool(Api().bearer(access_token).get("/api/auth/me/").status_code == 200)


def grace_passes() -> None:
    """As if every use had been longer ago than the grace allows."""
    by = GRACE + timedelta(seconds=1)
    for row in RefreshToken.objects.exclude(used_at=None):
        RefreshToken.objects.filter(pk=row.pk).update(used_at=row.used_at - by if row.used_at else None)


def test_each_refresh_brings_the_next_token(api: Api, anna: User) -> None:
    tokens, seen = api.log_in("anna"), set()
    for _ in range(3):
        seen.add(tokens["refresh_token"])
        tokens = api.refresh(tokens["refresh_token"]).json()
        assert works(tokens["access_token"])
    assert tokens["refresh_token"] not in seen
    assert TokenFamily.objects.count() == 1


def test_within_the_grace_the_same_successor_comes_again_byte_for_byte(api: Api, anna: User) -> None:
    first = api.log_in("anna")["refresh_token"]
    answers = [api.refresh(first).json() for _ in range(3)]
    assert len({answer["refresh_token"] for answer in answers}) == 1
    assert all(works(answer["access_token"]) for answer in answers)
    assert RefreshToken.objects.count() == 2


def test_after_the_grace_its_return_ends_the_family(api: Api, anna: User, ended: Any) -> None:
    first = api.log_in("anna")["refresh_token"]
    second = api.refresh(first).json()
    other = api.log_in("anna")
    grace_passes()
    assert api.refresh(first).json()["error"] == "invalid_grant"
    assert not works(second["access_token"])
    assert api.refresh(second["refresh_token"]).json()["error"] == "invalid_grant"
    assert works(other["access_token"]), "another sign-in of the user goes on"


def test_an_unused_token_is_good_long_after_the_grace(api: Api, anna: User) -> None:
    first = api.log_in("anna")["refresh_token"]
    second = api.refresh(first).json()["refresh_token"]
    grace_passes()
    assert api.refresh(second).status_code == 200


def test_an_expired_one_is_refused(api: Api, anna: User) -> None:
    from accounts import tokens

    api.log_in("anna")
    row = RefreshToken.objects.get()
    row.expires = row.issued - 1
    expired = tokens.tokens_sign(row, anna.pk).refresh_token
    assert api.refresh(expired).json()["error"] == "invalid_grant"
    assert not RefreshToken.objects.exclude(used_at=None).exists()


def test_who_may_not_enter_may_not_stay(api: Api, anna: User) -> None:
    tokens = api.log_in("anna")
    User.objects.update(is_active=False)
    assert api.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert not works(tokens["access_token"])


@pytest.mark.database
def test_of_many_at_once_one_uses_it_and_all_get_the_same_successor(at_once: Any) -> None:
    User.objects.create_user("anna", password=PASSWORD)
    first = Api().log_in("anna")["refresh_token"]
    for _ in range(5):
        answers = at_once(lambda index, token=first: Api().refresh(token), 6)
        assert [answer.status_code for answer in answers] == [200] * 6
        successors = {answer.json()["refresh_token"] for answer in answers}
        assert len(successors) == 1
        first = successors.pop()
    assert RefreshToken.objects.count() == 6, "one row a round: nobody won twice"


@pytest.mark.database
def test_replays_at_once_end_the_family_once(at_once: Any, ended: Any) -> None:
    User.objects.create_user("anna", password=PASSWORD)
    first = Api().log_in("anna")["refresh_token"]
    second = Api().refresh(first).json()
    grace_passes()
    answers = at_once(lambda index: Api().refresh(first).status_code, 4)
    assert answers == [400] * 4
    assert len(ended) == 1
    assert not works(second["access_token"])


@pytest.mark.database
def test_the_signal_comes_after_the_commit(transactional_db: None, ended: Any) -> None:
    anna = User.objects.create_user("anna", password=PASSWORD)
    Api().log_in("anna")
    family = TokenFamily.objects.get()
    Api().refresh(Api().log_in("anna")["refresh_token"])
    anna.is_active = False
    anna.save()
    assert {"user_id": anna.pk} in ended
    assert {"family_id": family.pk} in ended


def test_pruning_drops_what_nobody_can_use(api: Api, anna: User) -> None:
    from accounts import services

    api.log_in("anna")
    RefreshToken.objects.update(expires=F("issued") - 1)
    living = api.log_in("anna")
    services.accounts_prune()
    assert TokenFamily.objects.count() == 1
    assert api.refresh(living["refresh_token"]).status_code == 200
