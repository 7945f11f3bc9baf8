"""The models: their states in the header's menu, on their own page, and in the answer that waits for one."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.guests import Guests, ask, ended, last_answer, shown, words
from tests.house import House, Person

pytestmark = pytest.mark.browser


def test_a_model_that_loads_is_told_by_name_and_per_cent(
    chat_with: Callable[..., Page], house: House, admin: Person, someone: Person
) -> None:
    house.echo_model(admin, "Heavy", tokens=5, seed=5, settings={"load_ms": 3000})
    page = chat_with(someone, "Heavy")
    picker = page.get_by_test_id("model-picker")
    expect(picker).to_have_attribute("data-state", "stopped")
    ask(page, "Wake up")
    line = last_answer(page).get_by_test_id("status-line")
    expect(line).to_contain_text("Loading Heavy")
    expect(line).to_contain_text("%")
    expect(picker).to_have_attribute("data-state", "loading")
    assert shown(ended(page)) == words(5, 5)
    expect(picker).to_have_attribute("data-state", "ready")
    expect(picker).to_contain_text("Ready")


def test_the_menu_has_every_model_with_its_state_and_a_choice_answers(
    guests: Guests, someone: Person
) -> None:
    page = guests.open(someone)
    page.get_by_test_id("model-picker").click()
    rows = page.locator(".pick-row")
    texts = rows.all_inner_texts()
    assert {"Quick", "Paced", "Long"} <= {text.split("\n")[0] for text in texts}
    assert all(len(text.split("\n")) == 2 for text in texts), "a state in words beside each name"
    rows.filter(has_text="Quick").click()
    expect(page.get_by_test_id("model-picker")).to_contain_text("Quick")
    ask(page, "Hello")
    assert shown(ended(page)) == words(1, 30)
    page.reload()
    expect(page.get_by_test_id("model-picker")).to_contain_text("Quick")


def test_an_administrator_loads_and_unloads_and_everyone_sees_it(
    guests: Guests, house: House, admin: Person, someone: Person
) -> None:
    model = house.echo_model(admin, "Guest room", tokens=5, settings={"inline": True})
    page, watching = guests.open(admin, "/models"), guests.open(someone, "/models")
    card = page.locator(f'[data-testid=model-card][data-model="{model}"]')
    seen = watching.locator(f'[data-testid=model-card][data-model="{model}"]')
    expect(card).to_have_attribute("data-state", "stopped")
    expect(seen.get_by_test_id("model-load")).to_have_count(0)
    card.get_by_test_id("model-load").click()
    expect(card).to_have_attribute("data-state", "ready")
    expect(seen).to_have_attribute("data-state", "ready")
    card.get_by_test_id("model-unload").click()
    expect(seen).to_have_attribute("data-state", "stopped")


def test_an_administrator_pins_a_model_and_nobody_else_can(
    guests: Guests, house: House, admin: Person, someone: Person
) -> None:
    model = house.echo_model(admin, "Keeper", tokens=5, settings={"inline": True})
    page, watching = guests.open(admin, "/models"), guests.open(someone, "/models")
    pin = page.locator(f'[data-testid=model-card][data-model="{model}"]').get_by_test_id("model-pin")
    expect(pin).to_have_attribute("aria-label", "Pin: keep in memory")
    pin.click()
    expect(pin).to_have_attribute("aria-label", "Unpin: make room when it is needed")
    assert house.call("GET", f"/api/models/{model}/", admin)["pinned"] is True
    pin.click()
    expect(pin).to_have_attribute("aria-label", "Pin: keep in memory")
    assert house.call("GET", f"/api/models/{model}/", admin)["pinned"] is False
    seen = watching.locator(f'[data-testid=model-card][data-model="{model}"]')
    expect(seen).to_be_visible()
    expect(seen.get_by_test_id("model-pin")).to_have_count(0)


def test_a_folder_that_holds_no_model_is_refused_at_its_field(guests: Guests, admin: Person) -> None:
    page = guests.open(admin, "/models")
    page.get_by_test_id("model-register").click()
    page.get_by_test_id("model-name").fill("Nothing")
    page.get_by_test_id("model-path").fill("/nowhere/at/all")
    page.get_by_test_id("model-register-submit").click()
    path = page.locator(".ant-form-item").filter(has=page.get_by_test_id("model-path"))
    expect(path.locator(".ant-form-item-explain-error")).to_be_visible()


def test_a_model_that_cannot_load_says_so_on_its_card_and_in_the_answer(
    guests: Guests, house: House, admin: Person
) -> None:
    model = house.echo_model(admin, "Broken", tokens=5, settings={"inline": True, "load_fault": True})
    made = house.call("POST", "/api/conversations/", admin, status=201, json={"model": model})
    page = guests.open(admin, f"/c/{made['id']}")
    ask(page, "Anyone there?")
    answer = ended(page, "failed")
    expect(answer.get_by_test_id("status-line")).to_contain_text("could not be loaded")
    page.goto("/models")
    card = page.locator(f'[data-testid=model-card][data-model="{model}"]')
    expect(card).to_have_attribute("data-state", "failed")
    expect(card).to_contain_text("Last error")
