"""Swagger UI and the browsable API in a browser; the visitors are watched for other hosts and violations."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Page, expect

from tests.browser.guests import Guests
from tests.house import PASSWORD, Person

pytestmark = [pytest.mark.browser, pytest.mark.e2e]


def _authorize(page: Page, username: str) -> None:
    page.locator(".auth-wrapper .authorize").first.click()
    page.locator("#oauth_username").fill(username)
    page.locator("#oauth_password").fill(PASSWORD)
    with page.expect_response("**/api/auth/token/") as answer:
        page.locator(".auth-container").last.get_by_role("button", name="Apply given OAuth2").click()
    assert answer.value.status == 200
    page.locator(".auth-container").last.get_by_role("button", name="Close").click()


def test_swagger_signs_in_and_calls(guests: Guests, admin: Person) -> None:
    page = guests.open(path="/docs")
    call = page.locator("#operations-conversations-conversations_list")
    call.locator(".opblock-summary-control").click()
    _authorize(page, "admin")
    call.get_by_role("button", name="Try it out").click()
    with page.expect_response("**/api/conversations/") as answer:
        call.get_by_role("button", name="Execute").click()
    assert answer.value.status == 200
    assert set(answer.value.json()) == {"results", "next"}
    expect(call.locator(".live-responses-table .response-col_status").last).to_contain_text("200")


def test_a_stream_begun_in_the_browsable_api(guests: Guests, someone: Person) -> None:
    page = guests.open(path="/api/chat/teststream/")
    page.get_by_role("link", name="Log in").click()
    page.locator("[name=username]").fill("admin")
    page.locator("[name=password]").fill(PASSWORD)
    page.locator("[type=submit]").click()
    expect(page.locator(".response-info")).to_contain_text("405")
    page.locator("textarea[name=_content]").fill(json.dumps({"tokens": 3, "delay_ms": 1}))
    page.get_by_role("button", name="POST").click()
    expect(page.locator(".response-info")).to_contain_text("HTTP 200")
    expect(page.locator(".response-info")).to_contain_text("curl -N")
