"""The administrator's house: its pages open for administrators, for nobody else, and keep secrets."""

from __future__ import annotations

import re

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db import models
from django.test import Client, RequestFactory
from django.urls import reverse

from accounts.models import SiteSettings, TokenFamily, User
from accounts.services import api_key_create
from conversations.models import Conversation, Message
from models_registry import jobs
from models_registry.models import Download, Job, Model
from models_registry.services import model_create, model_load

TITLE, TEXT = "the surprise for Tom", "we meet at nine"
LOADED = re.compile(r"""(?:\bsrc=|<link[^>]*\bhref=)["'](?:https?:)?//""")


@pytest.fixture(autouse=True)
def quiet_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "_wake", lambda job: None)


@pytest.fixture
def rows(db: None) -> dict[type[models.Model], models.Model]:
    """One row of everything that is on show."""
    boss = User.objects.create_user("boss", password="x", is_superuser=True, is_staff=True)
    model = model_create(name="Echo", source={"kind": "echo"})
    model_load(model)
    conversation = Conversation.objects.create(user=boss, title=TITLE, system=TEXT, model=model)
    Message.objects.create(conversation=conversation, role="user", text=TEXT, parts=[])
    return {
        User: boss,
        Group: Group.objects.create(name="cooks"),
        SiteSettings: SiteSettings.objects.get_or_create(pk=SiteSettings.SINGLETON)[0],
        TokenFamily: TokenFamily.objects.create(user=boss),
        api_key_create(user=boss, name="script")[0].__class__: boss.api_keys.get(),
        Model: model,
        Job: Job.objects.get(),
        Download: Download.objects.create(hub="modelscope", repo="acme/tiny", revision="1" * 40),
        Conversation: conversation,
    }


@pytest.fixture
def boss(rows: dict[type[models.Model], models.Model]) -> Client:
    client = Client()
    client.force_login(User.objects.get(username="boss"))
    return client


def _pages(rows: dict[type[models.Model], models.Model]) -> dict[str, bool]:
    """Every page of the administration, and whether an administrator may open it."""
    request = RequestFactory().get("/admin/")
    request.user = User.objects.get(username="boss")
    pages = {reverse("admin:index"): True, reverse("admin:password_change"): True}
    for model, house in admin.site._registry.items():
        name, key = f"admin:{model._meta.app_label}_{model._meta.model_name}", [rows[model].pk]
        pages[reverse(f"{name}_add")] = house.has_add_permission(request)
        pages[reverse(f"{name}_change", args=key)] = True
        pages[reverse(f"{name}_history", args=key)] = True
        pages[reverse(f"{name}_delete", args=key)] = house.has_delete_permission(request)
        if model is not SiteSettings:  # its list is its form
            pages[reverse(f"{name}_changelist")] = True
        pages[reverse("admin:app_list", args=[model._meta.app_label])] = True
    return pages


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_every_page_opens(boss: Client, rows: dict[type[models.Model], models.Model], language: str) -> None:
    pages = _pages(rows)
    assert len(pages) > 35
    for address, allowed in pages.items():
        response = boss.get(address, HTTP_ACCEPT_LANGUAGE=language)
        assert (address, response.status_code) == (address, 200 if allowed else 403)
        text = response.content.decode()
        assert not LOADED.search(text), address
        assert TITLE not in text and TEXT not in text, address


def test_nobody_else_comes_in(rows: dict[type[models.Model], models.Model]) -> None:
    anna = Client()
    anna.force_login(User.objects.create_user("anna", password="x"))
    for address in _pages(rows):
        for client in (Client(), anna):
            response = client.get(address)
            assert response.status_code == 302, address
            assert response.headers["Location"].startswith("/admin/login/?next="), address


def test_the_sidebar_leads_everywhere_and_its_links_work(boss: Client) -> None:
    text = boss.get("/admin/").content.decode()
    navigation = text[text.index('id="nav-sidebar"') :]
    for address in (
        "/admin/models_registry/model/",
        "/admin/models_registry/job/",
        "/admin/accounts/user/",
        "/admin/accounts/tokenfamily/",
        "/admin/accounts/apikey/",
        "/admin/accounts/sitesettings/",
        "/admin/conversations/conversation/",
        "/api/docs/",
    ):
        assert f'href="{address}"' in navigation
        assert boss.get(address, follow=True).status_code == 200


def test_the_house_speaks_chinese(boss: Client) -> None:
    text = boss.get("/admin/models_registry/model/", HTTP_ACCEPT_LANGUAGE="zh-CN").content.decode()
    assert "炉边" in text
    for word in ("Hearth", "Type to search", "Select action", "Make default", "Dark", ">Run<"):
        assert word not in text
    for word in ("加载", "卸载", "设为默认", "模型服务没有回应。"):
        assert word in text


def test_test_streams_are_in_no_list(boss: Client) -> None:
    hidden = Conversation.objects.create(user=User.objects.get(username="boss"), is_test=True)
    assert hidden.pk not in boss.get("/admin/conversations/conversation/").content.decode()


def test_who_signs_in_without_a_wish_comes_to_the_house(rows: dict[type[models.Model], models.Model]) -> None:
    response = Client().post("/admin/login/", {"username": "boss", "password": "x"})
    assert response.headers["Location"] == "/admin/"


def test_pages_say_it_in_words(boss: Client, rows: dict[type[models.Model], models.Model]) -> None:
    model = Model.objects.get()
    text = boss.get(f"/admin/models_registry/model/{model.pk}/change/").content.decode()
    assert "stopped" in text
    assert "(&#x27;stopped" not in text
    assert "Echo" in boss.get("/admin/models_registry/job/").content.decode()


def test_a_users_language_is_one_of_ours(boss: Client) -> None:
    user = User.objects.get(username="boss")
    form = boss.get(f"/admin/accounts/user/{user.pk}/change/").context["adminform"].form
    assert [code for code, _name in form.fields["language"].choices] == ["", "en", "zh-hans"]
