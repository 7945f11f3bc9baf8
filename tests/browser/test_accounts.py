"""The door: registering, logging in, leaving; language and theme."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.guests import Guests, ask, conversation_of, ended, shown, words
from tests.house import PASSWORD, House, Person

pytestmark = pytest.mark.browser


def fill(page: Page, **fields: str) -> None:
    for name, value in fields.items():
        page.get_by_test_id(name).fill(value)


def field_says(page: Page, name: str, text: str) -> None:
    """Waits: the old sentence may still be leaving while the new one comes."""
    item = page.locator(".ant-form-item").filter(has=page.get_by_test_id(name))
    expect(item.locator(".ant-form-item-explain-error")).to_have_text([text])


def test_registering_says_what_is_wrong_at_the_field_and_then_lets_in(guests: Guests, admin: Person) -> None:
    page = guests.open(path="/register")
    page.get_by_test_id("submit").click()
    field_says(page, "username", "Choose a username.")
    field_says(page, "email", "Enter your email address.")
    field_says(page, "password", "Enter a password.")
    field_says(page, "confirm", "Enter the password once more.")

    fill(page, username="admin", email="not an address", password=PASSWORD, confirm="something else")
    page.get_by_test_id("submit").click()
    expect(page.get_by_text("The two passwords differ.")).to_be_visible()
    field_says(page, "email", "This is not an email address.")

    # What only the server knows comes to the same place.
    fill(page, email="carla@example.org", confirm=PASSWORD)
    page.get_by_test_id("submit").click()
    expect(page.get_by_text("This username is taken.")).to_be_visible()
    field_says(page, "username", "This username is taken.")

    fill(page, username="carla")
    page.get_by_test_id("submit").click()
    expect(page.get_by_test_id("composer")).to_be_focused()
    expect(page.locator(".side-name")).to_have_text("carla")


def test_the_door_speaks_chinese_to_a_chinese_browser(guests: Guests, admin: Person) -> None:
    page = guests.open(path="/register", locale="zh-CN")
    expect(page.get_by_role("heading", level=1)).to_have_text("创建账号")
    page.get_by_test_id("submit").click()
    field_says(page, "username", "请起一个用户名。")
    fill(page, username="admin", email="dora@example.org", password=PASSWORD, confirm=PASSWORD)
    page.get_by_test_id("submit").click()
    expect(page.get_by_text("这个用户名已被使用。")).to_be_visible()
    fill(page, username="朵拉")
    page.get_by_test_id("submit").click()
    expect(page.get_by_test_id("composer")).to_be_visible()
    expect(page.locator(".side-name")).to_have_text("朵拉")
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")


def test_a_wrong_password_is_said_and_what_was_typed_stays(guests: Guests, someone: Person) -> None:
    page = guests.open(path="/login")
    fill(page, username="admin", password="not the password")
    page.get_by_test_id("submit").click()
    expect(page.get_by_role("alert")).to_contain_text("Username or password is not right.")
    expect(page.get_by_test_id("username")).to_have_value("admin")


def test_logging_out_leaves_nothing_of_the_person_in_the_browser(
    guests: Guests, house: House, someone: Person
) -> None:
    page = guests.open(someone)
    ask(page, "A secret of mine")
    ended(page)
    address = f"/c/{conversation_of(page)}"
    page.get_by_test_id("composer").fill("An unfinished thought")
    page.reload()
    expect(page.get_by_test_id("composer")).to_have_value("An unfinished thought")
    for kept in ("A secret of mine", "An unfinished thought"):
        page.wait_for_function("(kept) => JSON.stringify(localStorage).includes(kept)", arg=kept)

    page.get_by_test_id("logout").click()
    page.wait_for_url("**/login")
    page.wait_for_function("() => Object.keys(localStorage).every((key) => key === 'hearth.language')")
    page.goto(address)
    page.wait_for_url("**/login")
    body = {"grant_type": "refresh_token", "refresh_token": someone.refresh}
    house.call("POST", "/api/auth/token/", json=body, status=400)


def test_a_new_browser_has_everything_from_the_server(guests: Guests, house: House, someone: Person) -> None:
    page = guests.open(someone)
    ask(page, "What is on the shelf?")
    ended(page)
    name = house.call("GET", "/api/auth/me/", someone)["username"]

    other = guests.open(path="/login")
    fill(other, username=name, password=PASSWORD)
    other.get_by_test_id("submit").click()
    other.get_by_test_id("conversation-item").locator("a").first.click()
    expect(other.get_by_test_id("message-user")).to_contain_text("What is on the shelf?")
    assert shown(ended(other)) == shown(ended(page))


def test_language_and_theme_change_at_once_and_are_remembered(guests: Guests, someone: Person) -> None:
    page = guests.open(someone, color_scheme="light")
    html = page.locator("html")
    expect(html).to_have_attribute("data-theme", "light")
    bright = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    page.get_by_test_id("language-toggle").click()
    expect(page.get_by_test_id("new-chat")).to_have_text("新对话")
    for _ in ("light", "dark"):
        page.get_by_test_id("theme-toggle").click()
    expect(html).to_have_attribute("data-theme", "dark")
    changed = "(bright) => getComputedStyle(document.body).backgroundColor !== bright"
    page.wait_for_function(changed, arg=bright)

    page.reload()
    expect(page.get_by_test_id("new-chat")).to_have_text("新对话")
    expect(html).to_have_attribute("data-theme", "dark")
    expect(html).to_have_attribute("lang", re.compile("^zh"))


def test_the_words_of_the_script_are_what_the_page_shows(guests: Guests, someone: Person) -> None:
    page = guests.open(someone)
    ask(page, "Hello")
    assert shown(ended(page)) == words(1, 30)
