from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from drf_spectacular.generators import SchemaGenerator

from accounts.models import SiteSettings, TokenFamily, User
from accounts.tests.conftest import PASSWORD, Api

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(db: None) -> Client:
    User.objects.create_superuser("root", "root@example.org", PASSWORD)
    browser = Client()
    assert browser.login(username="root", password=PASSWORD)
    return browser


def act(admin: Client, model: str, action: str, *ids: str) -> None:
    body = {"action": action, "_selected_action": list(ids)}
    assert admin.post(f"/admin/accounts/{model}/", body).status_code == 302


def test_every_list_and_form_opens(admin: Client, api: Api, anna: User) -> None:
    signed_in = api.bearer(api.log_in("anna")["access_token"])
    key = signed_in.post("/api/auth/keys/", {"name": "laptop"}, format="json").json()
    family = TokenFamily.objects.get()
    for path in (
        "user/",
        f"user/{anna.pk}/change/",
        "user/add/",
        f"user/{anna.pk}/password/",
        "tokenfamily/",
        f"tokenfamily/{family.pk}/change/",
        "apikey/",
        f"apikey/{key['id']}/change/",
        "sitesettings/",
    ):
        response = admin.get(f"/admin/accounts/{path}", follow=True)
        assert response.status_code == 200, path
        assert key["key"] not in response.content.decode()


def test_an_administrator_ends_a_sign_in(admin: Client, api: Api, anna: User) -> None:
    token = api.log_in("anna")["access_token"]
    act(admin, "tokenfamily", "end", TokenFamily.objects.get().pk)
    assert api.bearer(token).get("/api/auth/me/").status_code == 401


def test_an_administrator_deactivates_but_not_themselves(admin: Client, api: Api, anna: User) -> None:
    token = api.log_in("anna")["access_token"]
    act(admin, "user", "deactivate", *User.objects.values_list("pk", flat=True))
    assert api.bearer(token).get("/api/auth/me/").status_code == 401
    assert admin.get("/admin/").status_code == 200


def test_an_administrator_approves(admin: Client, api: Api, anna: User) -> None:
    User.objects.filter(pk=anna.pk).update(is_approved=False)
    act(admin, "user", "approve", anna.pk)
    assert api.log_in("anna")


def test_an_administrator_revokes_a_key(admin: Client, api: Api, anna: User) -> None:
    signed_in = api.bearer(api.log_in("anna")["access_token"])
    made = signed_in.post("/api/auth/keys/", {"name": "laptop"}, format="json").json()
    act(admin, "apikey", "revoke", made["id"])
    assert api.bearer(made["key"]).get("/api/auth/me/").status_code == 401


def test_an_administrator_closes_the_house(admin: Client, api: Api) -> None:
    page = admin.get("/admin/accounts/sitesettings/", follow=True)
    assert admin.post(page.redirect_chain[-1][0], {"registration": "closed"}).status_code == 302
    assert SiteSettings.objects.get().registration == "closed"
    assert api.register("bert").status_code == 403


@pytest.mark.parametrize("name", ["anna", "ANNA", "straße"])
def test_the_admins_form_knows_names_without_case_too(admin: Client, anna: User, name: str) -> None:
    User.objects.create_user("STRASSE")
    body = {"username": name, "password1": PASSWORD, "password2": PASSWORD, "usable_password": "true"}
    page = admin.post("/admin/accounts/user/add/", body)
    assert page.status_code == 200
    assert "already exists" in page.content.decode()


def test_others_do_not_see_the_admin(anna: User) -> None:
    browser = Client()
    browser.login(username="anna", password=PASSWORD)
    assert browser.get("/admin/accounts/user/").status_code == 302


def create_admin(**options: Any) -> str:
    out = StringIO()
    call_command("create_admin", stdout=out, **{"username": "root", "password": PASSWORD, **options})
    return out.getvalue()


def test_create_admin_makes_one_and_says_so(api: Api, db: None) -> None:
    assert "Created" in create_admin()
    assert api.bearer(api.log_in("root")["access_token"]).get("/api/auth/me/").json()["is_admin"]


def test_create_admin_again_changes_nothing(api: Api, db: None) -> None:
    create_admin()
    token = api.log_in("root")["access_token"]
    assert "Already" in create_admin(username="ROOT")
    assert User.objects.count() == 1
    assert api.bearer(token).get("/api/auth/me/").status_code == 200, "the sign-in goes on"


def test_create_admin_lifts_a_user_and_sets_the_password(api: Api, anna: User) -> None:
    User.objects.update(is_active=False)
    create_admin(username="anna", password="and the cat sleeps on it")
    api.log_in("anna", "and the cat sleeps on it")
    assert User.objects.get().is_admin


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"password": "123"}, "password: "),
        ({"password": ""}, "--password"),
        ({"username": "a b"}, "username: "),
        ({"username": ""}, "--username"),
    ],
)
def test_create_admin_says_in_words_what_is_wrong(db: None, options: Any, words: str) -> None:
    with pytest.raises(CommandError, match=words):
        create_admin(**options)
    assert not User.objects.exists()


def test_create_admin_can_be_asked_whether_there_is_one(anna: User) -> None:
    """The exit status is start.py's to read: a user alone is none, nor is one who may not enter."""

    def status() -> int:
        with pytest.raises(SystemExit) as ended:
            call_command("create_admin", "--exists")
        return int(str(ended.value.code))

    assert status() == 3
    create_admin()
    assert status() == 0
    User.objects.filter(username="root").update(is_active=False)
    assert status() == 3


def test_swagger_can_authorize_with_a_password_or_a_token() -> None:
    schema = SchemaGenerator().get_schema(request=None, public=True)
    schemes = schema["components"]["securitySchemes"]
    assert schemes["password"]["flows"]["password"]["tokenUrl"] == "/api/auth/token/"
    assert schemes["bearer"]["scheme"] == "bearer"
    needs = schema["paths"]["/api/auth/me/"]["get"]["security"]
    assert {"password": []} in needs and {"bearer": []} in needs, "either is enough"
    assert not schema["paths"]["/api/auth/token/"]["post"].get("security")
