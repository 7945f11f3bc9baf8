"""Asking and being answered, also when a tab, the network, the server or the model goes in the middle."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.guests import Guests, ask, conversation_of, ended, has_words, last_answer, shown, words
from tests.browser.wire import Wire
from tests.house import House, Person

pytestmark = pytest.mark.browser
Chat = Callable[..., Page]
PACED, LONG = words(2, 60), words(3, 200)


def test_an_answer_grows_and_the_address_and_the_list_get_the_conversation(
    guests: Guests, someone: Person
) -> None:
    page = guests.open(someone)
    page.get_by_test_id("composer").fill("First line")
    page.get_by_test_id("composer").press("Shift+Enter")
    page.get_by_test_id("composer").press_sequentially("second line")
    page.get_by_test_id("composer").press("Enter")
    ended(page)
    conversation = conversation_of(page)
    assert page.locator(".user-text").inner_text() == "First line\nsecond line"
    expect(page.locator(f'[data-testid=conversation-item][data-id="{conversation}"]')).to_be_visible()
    expect(page.get_by_test_id("composer")).to_have_value("")
    expect(page).to_have_title(re.compile("First line"))


def test_a_reload_in_the_middle_loses_nothing(chat_with: Chat, someone: Person) -> None:
    page = chat_with(someone, "Long")
    ask(page, "Go on")
    before = has_words(page, 10)
    page.reload()
    expect(last_answer(page)).to_have_attribute("data-status", "streaming")
    after = has_words(page, 12)
    assert after.startswith(before)
    assert shown(ended(page)) == LONG


def test_stop_keeps_what_was_written_and_retry_makes_a_second_version(
    chat_with: Chat, someone: Person
) -> None:
    page = chat_with(someone, "Long")
    ask(page, "Go on")
    has_words(page, 8)
    page.get_by_test_id("stop").click()
    answer = ended(page, "stopped")
    expect(answer.get_by_test_id("status-line")).to_have_text("Stopped by you")
    kept = shown(answer)
    assert LONG.startswith(kept) and len(kept) < len(LONG)
    expect(page.get_by_test_id("send")).to_be_visible()

    answer.get_by_test_id("retry").click()
    assert shown(ended(page)) == LONG
    expect(page.locator(".versions")).to_contain_text("2/2")
    page.get_by_role("button", name="Previous version").click()
    expect(last_answer(page)).to_have_attribute("data-status", "stopped")
    assert shown(ended(page, "stopped")) == kept


def test_continue_goes_on_in_the_same_message(chat_with: Chat, someone: Person) -> None:
    page = chat_with(someone, "Long")
    ask(page, "Go on")
    has_words(page, 8)
    page.get_by_test_id("stop").click()
    ended(page, "stopped").get_by_test_id("continue").click()
    assert shown(ended(page)) == LONG
    expect(page.get_by_test_id("message-assistant")).to_have_count(1)


def test_a_second_tab_sees_the_same_turn_while_it_runs(chat_with: Chat, someone: Person) -> None:
    page = chat_with(someone, "Long")
    idle = page.context.new_page()
    idle.goto("/")
    expect(idle.get_by_test_id("conversation-item")).to_have_count(1)
    ask(page, "Go on")
    expect(idle.locator(".running-dot")).to_be_visible()
    other = page.context.new_page()
    other.goto(page.url)
    seen = has_words(other, 5)
    expect(last_answer(other)).to_have_attribute("data-status", "streaming")
    assert shown(ended(page)).startswith(seen)
    assert shown(ended(other)) == shown(ended(page)) == LONG
    expect(idle.locator(".running-dot")).to_have_count(0)


def test_a_cut_connection_is_said_and_heals_without_a_hole(
    chat_with: Chat, far_guests: Guests, wire: Wire, someone: Person
) -> None:
    page = chat_with(someone, "Paced", among=far_guests)
    ask(page, "Go on")
    before = has_words(page, 5)
    wire.cut()
    expect(page.get_by_test_id("connection-line")).to_contain_text("Connection lost")
    page.get_by_test_id("composer").fill("Typed while nobody listens")
    wire.mend()
    expect(page.get_by_test_id("connection-line")).to_have_count(0)
    answer = shown(ended(page))
    assert answer == PACED and answer.startswith(before)
    expect(page.get_by_test_id("composer")).to_have_value("Typed while nobody listens")


def test_a_killed_web_process_is_said_and_the_answer_goes_on_without_a_hole(
    chat_with: Chat, house: House, someone: Person
) -> None:
    page = chat_with(someone, "Long")
    ask(page, "Go on")
    before = has_words(page, 10)
    house.kill("web")
    expect(page.get_by_test_id("connection-line")).to_contain_text("Connection lost")
    expect(last_answer(page).get_by_test_id("status-line")).to_contain_text("Connection lost")
    assert shown(last_answer(page)).startswith(before)
    house.start("web")
    expect(page.get_by_test_id("connection-line")).to_have_count(0)
    answer = shown(ended(page, within_ms=40_000))
    assert answer.startswith(before)
    assert answer == LONG


def test_a_question_asked_without_a_connection_is_sent_once_when_it_is_back(
    chat_with: Chat, far_guests: Guests, wire: Wire, someone: Person
) -> None:
    page = chat_with(someone, "Quick", among=far_guests)
    wire.cut()
    expect(page.get_by_test_id("connection-line")).to_be_visible()
    ask(page, "Later")
    expect(last_answer(page)).to_contain_text("Will be sent when the connection is back")
    wire.mend()
    page.get_by_role("button", name="Try now").click()
    assert shown(ended(page)) == words(1, 30)
    page.reload()
    ended(page)
    expect(page.get_by_test_id("message-user")).to_have_count(1)


def test_a_model_that_dies_in_the_middle_is_told_and_the_answer_goes_on(
    chat_with: Chat, house: House, admin: Person, someone: Person
) -> None:
    house.echo_model(admin, "Frail", tokens=40, seed=4, delay_ms=10, fault="die", fault_at=12)
    page = chat_with(someone, "Frail")
    page.evaluate(
        """() => {
            window.lines = new Set()
            new MutationObserver(() => {
                const line = document.querySelector('[data-testid=status-line]')
                if (line) window.lines.add(line.innerText.trim())
            }).observe(document.body, { subtree: true, childList: true, characterData: true })
        }"""
    )
    ask(page, "Go on")
    assert shown(ended(page)) == words(4, 40)
    assert "Resuming after a restart" in page.evaluate("() => [...window.lines]")


def test_a_failed_answer_is_told_in_words_with_a_button_that_helps(
    chat_with: Chat, house: House, admin: Person, someone: Person
) -> None:
    script = {"tokens": 40, "seed": 4, "delay_ms": 10, "fault": "error", "fault_at": 12, "fault_always": True}
    house.echo_model(admin, "Faulty", settings={"inline": True}, **script)
    page = chat_with(someone, "Faulty")
    ask(page, "Go on")
    answer = ended(page, "failed")
    expect(answer.get_by_test_id("status-line")).to_contain_text("Failed: ")
    assert words(4, 40).startswith(shown(answer)) and shown(answer)
    expect(answer.get_by_test_id("retry")).to_be_enabled()
