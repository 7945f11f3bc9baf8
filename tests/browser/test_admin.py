"""The administrator's house in a browser, light and dark, in both languages; the visitors are watched."""

from __future__ import annotations

import time
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.guests import Guests
from tests.house import PASSWORD, Person

pytestmark = [pytest.mark.browser, pytest.mark.e2e]

MODELS = "/admin/models_registry/model/"
PAGES = (
    "/admin/",
    MODELS,
    MODELS + "add/",
    "/admin/models_registry/job/",
    "/admin/accounts/user/",
    "/admin/accounts/user/add/",
    "/admin/accounts/tokenfamily/",
    "/admin/accounts/apikey/",
    "/admin/accounts/sitesettings/1/change/",
    "/admin/conversations/conversation/",
)


def _enter(guests: Guests, path: str, **options: Any) -> Page:
    page = guests.open(path=path, **options)
    page.locator("[name=username]").fill("admin")
    page.locator("[name=password]").fill(PASSWORD)
    page.locator("[type=submit]").click()
    page.wait_for_url(f"**{path}")
    return page


@pytest.mark.parametrize(
    ("locale", "scheme", "name"), [("zh-CN", "light", "炉边"), ("en-US", "dark", "Hearth")]
)
def test_each_page_is_quiet(guests: Guests, admin: Person, locale: str, scheme: str, name: str) -> None:
    page = _enter(guests, "/admin/", locale=locale, color_scheme=scheme)
    for address in PAGES:
        page.goto(address)
        expect(page).to_have_title(f"{page.title().rpartition(' | ')[0]} | {name}")
    expect(page.locator("html.dark")).to_have_count(1 if scheme == "dark" else 0)


def test_the_form_asks_for_what_the_kind_needs(guests: Guests, admin: Person) -> None:
    page = _enter(guests, MODELS + "add/")
    path, address = page.locator("[name=path]"), page.locator("[name=base_url]")
    expect(path).to_be_visible()
    expect(address).to_be_hidden()
    page.locator("[name=kind]").select_option("remote")
    expect(address).to_be_visible()
    expect(path).to_be_hidden()


def test_a_model_is_loaded_made_the_default_and_unloaded(guests: Guests, admin: Person) -> None:
    page = _enter(guests, MODELS)

    def row(name: str = "Paced") -> Locator:
        return page.locator("#result_list tr", has_text=name)

    def act(action: str, name: str = "Paced") -> None:
        row(name).locator("input.action-select").check()
        page.locator("select[name=action]").select_option(action)
        page.get_by_role("button", name="Run").click()

    def state_becomes(word: str) -> None:
        end = time.monotonic() + 60
        while word not in row().inner_text().lower():
            assert time.monotonic() < end, row().inner_text()
            page.wait_for_timeout(200)
            page.reload()

    act("load")
    expect(page.get_by_text("The worker loads what you chose.")).to_be_visible()
    state_becomes("ready")
    act("make_default")
    expect(page.get_by_text("Paced is the default now.")).to_be_visible()
    act("unload")
    state_becomes("stopped")
    act("make_default", "Quick")  # as the other tests of this house expect it
    expect(page.get_by_text("Quick is the default now.")).to_be_visible()
