"""The models: their states in the header's menu, on their own page, and in the answer that waits for one."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.guests import Guests, ask, ended, last_answer, shown, words
from tests.house import House, Person

pytestmark = pytest.mark.browser


def card_of(page: Page, model: str) -> Locator:
    return page.locator(f'[data-testid=model-card][data-model="{model}"]')


def choose(page: Page, model: str, entry: str) -> None:
    """An entry of the card's menu."""
    card_of(page, model).get_by_test_id("model-more").click()
    page.get_by_test_id(f"model-menu-{entry}").click()


def test_a_model_that_loads_is_told_by_name_and_per_cent(
    chat_with: Callable[..., Page], house: House, admin: Person, someone: Person
) -> None:
    house.echo_model(admin, "Heavy", tokens=5, seed=5, settings={"load_ms": 6000})
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
    for name in ("Quick", "Paced", "Long"):
        expect(rows.filter(has_text=name).first).to_be_visible()
    texts = rows.all_inner_texts()
    assert {"Quick", "Paced", "Long"} <= {text.split("\n")[0].removesuffix(" Default") for text in texts}
    assert all(len(text.split("\n")) >= 2 for text in texts), "a state in words beside each name"
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
    choose(page, model, "pin")
    sign = card_of(page, model).get_by_test_id("model-pinned")
    expect(sign).to_have_attribute("aria-label", "Pinned: it stays in memory")
    assert house.call("GET", f"/api/models/{model}/", admin)["pinned"] is True
    choose(page, model, "pin")
    expect(sign).to_have_count(0)
    assert house.call("GET", f"/api/models/{model}/", admin)["pinned"] is False
    card_of(watching, model).get_by_test_id("model-more").click()
    expect(watching.get_by_test_id("model-menu-call")).to_be_visible()
    expect(watching.get_by_test_id("model-menu-pin")).to_have_count(0)


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


def test_a_card_has_one_thing_to_do_by_state(guests: Guests, house: House, admin: Person) -> None:
    model = house.echo_model(admin, "Slow riser", tokens=5, settings={"load_ms": 20_000})
    page = guests.open(admin, "/models")
    card = card_of(page, model)
    card.get_by_test_id("model-load").click()
    expect(card).to_have_attribute("data-state", "loading")
    expect(card.locator(".state-tag")).to_contain_text("%")
    card.get_by_test_id("model-cancel").click()
    expect(card).to_have_attribute("data-state", "stopped")
    expect(card.get_by_test_id("model-load")).to_be_visible()


def test_a_card_counts_who_asks_while_it_answers(
    guests: Guests, house: House, admin: Person, chat_with: Callable[..., Page], someone: Person
) -> None:
    model = house.echo_model(admin, "Busy", tokens=400, seed=8, delay_ms=50, settings={"inline": True})
    page = guests.open(admin, "/models")
    chat = chat_with(someone, "Busy")
    ask(chat, "Count")
    expect(card_of(page, model).get_by_test_id("model-traffic")).to_contain_text("1 answering")
    chat.get_by_test_id("stop").click()
    expect(card_of(page, model).get_by_test_id("model-traffic")).to_have_text("Nobody is asking")


def test_a_setting_out_of_range_is_refused_at_its_field_and_a_good_one_is_kept(
    guests: Guests, house: House, admin: Person
) -> None:
    model = house.echo_model(admin, "Tuned", tokens=5, settings={"inline": True, "load_ms": 10})
    page = guests.open(admin, "/models")
    choose(page, model, "settings")
    expect(page.get_by_test_id("settings-effect")).to_have_text("Nothing is changed yet.")
    expect(page.get_by_test_id("fit-sentence")).to_be_visible()
    slots = page.get_by_role("spinbutton", name="Answers at the same time")
    slots.fill("99999")
    page.get_by_test_id("settings-save").click()
    refused = page.get_by_test_id("field-slots").locator(".ant-form-item-explain-error")
    expect(refused).to_contain_text("slots")
    slots.fill("3")
    expect(refused).to_have_count(0)
    expect(page.get_by_test_id("settings-effect")).to_contain_text("next loaded")
    page.get_by_test_id("settings-save").click()
    expect(page.get_by_test_id("model-settings")).to_have_count(0)
    kept = house.call("GET", f"/api/models/{model}/", admin)["settings"]
    assert kept == {"inline": True, "load_ms": 10, "slots": 3}, "what has no field stays as it was"


def test_the_call_of_the_api_runs_as_it_is_shown(guests: Guests, house: House, admin: Person) -> None:
    model = house.echo_model(admin, 'It\'s "mine" $HOME', tokens=6, seed=9, settings={"inline": True})
    page = guests.open(admin, "/models")
    choose(page, model, "call")
    code = page.get_by_test_id("api-call-code")
    expect(code).to_contain_text("YOUR_API_KEY")
    page.get_by_test_id("api-key-make").click()
    key = page.get_by_test_id("api-key").inner_text()
    expect(code).to_contain_text(key)
    done = subprocess.run(["sh", "-c", code.inner_text()], capture_output=True, text=True, timeout=30)
    answer = json.loads(done.stdout)
    assert " ".join(answer["choices"][0]["message"]["content"].split()) == words(9, 6)


def test_who_may_use_a_model_is_seen_by_the_others(
    guests: Guests, house: House, admin: Person, someone: Person
) -> None:
    friend = house.call("GET", "/api/auth/me/", someone)["username"]
    stranger = house.register("stranger")
    model = house.echo_model(admin, "Private", tokens=5, settings={"inline": True})
    page = guests.open(admin, "/models")
    choose(page, model, "access")
    page.get_by_test_id("access-chosen").check()
    field = page.get_by_role("combobox", name="Usernames")
    field.fill("nobody-of-this-name")
    field.press("Enter")
    page.get_by_test_id("access-save").click()
    expect(page.locator(".access .ant-form-item-explain-error")).to_be_visible()
    field.press("Backspace")
    field.fill(friend)
    field.press("Enter")
    page.get_by_test_id("access-save").click()
    expect(page.locator(".access")).to_have_count(0)
    expect(card_of(page, model)).to_contain_text(f"{friend} and administrators")
    for person, count in ((someone, 1), (stranger, 0)):
        seen = guests.open(person, "/models")
        expect(seen.get_by_test_id("model-card").first).to_be_visible()
        expect(card_of(seen, model)).to_have_count(count)


def test_a_default_of_ones_own_answers_in_a_new_conversation(
    guests: Guests, house: House, admin: Person, someone: Person
) -> None:
    model = house.echo_model(admin, "Favourite", tokens=5, seed=4, settings={"inline": True})
    page = guests.open(someone, "/models")
    choose(page, model, "mine")
    expect(card_of(page, model)).to_contain_text("My default")
    page.get_by_test_id("new-chat").click()
    expect(page.get_by_test_id("model-picker")).to_contain_text("Favourite")
    expect(page.get_by_test_id("model-picker")).to_contain_text("Loads when asked")
    ask(page, "Hello")
    assert shown(ended(page)) == words(4, 5)


def test_a_deleted_model_is_gone_for_everyone(
    guests: Guests, house: House, admin: Person, someone: Person
) -> None:
    model = house.echo_model(admin, "Leaving", tokens=5, settings={"inline": True})
    page = guests.open(admin, "/models")
    choose(page, model, "delete")
    page.get_by_test_id("delete-confirm").click()
    expect(card_of(page, model)).to_have_count(0)
    house.call("GET", f"/api/models/{model}/", someone, status=404)


def test_a_failed_load_has_a_way_back_to_the_model_before(
    guests: Guests, house: House, admin: Person, someone: Person, chat_with: Callable[..., Page]
) -> None:
    house.echo_model(admin, "Old", tokens=8, seed=6, settings={"inline": True})
    house.echo_model(admin, "Torn", tokens=5, settings={"inline": True, "load_fault": True})
    page = chat_with(someone, "Old")
    ask(page, "First")
    assert shown(ended(page)) == words(6, 8)
    page.get_by_test_id("model-picker").click()
    page.locator(".pick-row").filter(has_text="Torn").click()
    ask(page, "Second")
    answer = ended(page, "failed")
    expect(answer.get_by_test_id("status-line")).to_contain_text("could not be loaded")
    answer.get_by_test_id("back-to-model").click()
    assert shown(ended(page)) == words(6, 8)
    expect(page.get_by_test_id("model-picker")).to_contain_text("Old")
