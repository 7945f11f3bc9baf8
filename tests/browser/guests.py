"""Visitors of the page: each has a browser profile of its own, and whatever it does is watched."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect, sync_playwright

from inference.engines.echo import word
from tests.house import House, Person

ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
#: How long a wait may take before it fails, on a machine that has much else to do. `expect` has 5 s else.
WITHIN_MS = 30_000
expect.set_options(timeout=WITHIN_MS)
# A violation of the policy is an event of the document, also where the console is silent.
_REPORT_VIOLATIONS = """
document.addEventListener('securitypolicyviolation', (event) => {
  console.error('Content Security Policy: ' + event.effectiveDirective + ' ' + event.blockedURI)
})
"""


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        path = os.environ.get("HEARTH_CHROMIUM") or "/usr/bin/chromium"
        browser = playwright.chromium.launch(executable_path=path, args=ARGS)
        try:
            yield browser
        finally:
            browser.close()


class Guests:
    """Opens profiles and keeps what must never happen in them in `trouble`."""

    def __init__(self, browser: Browser, house: House, url: str = "") -> None:
        """`url`: where the browsers find the house, when that is not its own address."""
        self.browser, self.house, self.url = browser, house, url or house.url
        self.trouble: list[str] = []
        self._contexts: list[BrowserContext] = []

    def profile(self, person: Person | None = None, **options: Any) -> BrowserContext:
        """A fresh browser; with `person` it is signed in already. `options` are Playwright's."""
        if person is not None:
            session = {"access": person.access, "refresh": person.refresh, "user": None}
            # Far enough away that no test meets the refresh by chance.
            kept = json.dumps(session | {"expiresAt": 4_000_000_000_000})
            storage = [{"name": "hearth.session", "value": kept}]
            options["storage_state"] = {
                "cookies": [],
                "origins": [{"origin": self.url, "localStorage": storage}],
            }
        options.setdefault("locale", "en-US")
        options.setdefault("viewport", {"width": 1280, "height": 800})
        context = self.browser.new_context(base_url=self.url, **options)
        context.set_default_timeout(WITHIN_MS)
        context.add_init_script(_REPORT_VIOLATIONS)
        context.on("request", lambda request: self._address(request.url))
        context.on("page", self._page)
        context.on("weberror", lambda error: self.trouble.append(f"uncaught: {error.error}"))
        context.on("console", lambda message: self._said(message.type, message.text))
        self._contexts.append(context)
        return context

    def open(self, person: Person | None = None, path: str = "/", **options: Any) -> Page:
        page = self.profile(person, **options).new_page()
        page.goto(path)
        return page

    def close(self) -> None:
        for context in self._contexts:
            context.close()

    def _page(self, page: Page) -> None:
        page.on("websocket", lambda socket: self._address(socket.url))

    def _address(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("data", "blob") and parts.netloc != urlsplit(self.url).netloc:
            self.trouble.append(f"asked another host: {url}")

    def _said(self, kind: str, text: str) -> None:
        # A refused login or a server that is away are lines of the console too; those are no trouble.
        if kind == "error" and not text.startswith(("Failed to load resource", "WebSocket connection")):
            self.trouble.append(f"console: {text}")


def words(seed: int, count: int) -> str:
    """What an echo script of `count` tokens shows on the page."""
    return " ".join("".join(word(seed, position) for position in range(count)).split())


def shown(answer: Locator) -> str:
    """The text of an answer on the page, without its foot; '' while there is none."""
    return " ".join(" ".join(answer.locator(".prose").all_inner_texts()).split())


def last_answer(page: Page) -> Locator:
    return page.get_by_test_id("message-assistant").last


def ask(page: Page, text: str) -> None:
    page.get_by_test_id("composer").fill(text)
    page.get_by_test_id("send").click()


def ended(page: Page, status: str = "done", within_ms: float = WITHIN_MS) -> Locator:
    """The last answer, once it has this status."""
    found = page.locator(f'[data-testid=message-assistant][data-status="{status}"]')
    answer = last_answer(page).and_(found)
    answer.wait_for(timeout=within_ms)
    return answer


def has_words(page: Page, count: int) -> str:
    """Waits until the last answer shows at least `count` words; what it shows then."""
    handle = page.wait_for_function(
        """(count) => {
            const all = document.querySelectorAll('[data-testid=message-assistant]')
            const last = all[all.length - 1]
            const parts = last ? [...last.querySelectorAll('.prose')] : []
            const text = parts.map((one) => one.innerText).join(' ')
            const found = text.split(/\\s+/).filter(Boolean)
            return found.length >= count ? found.join(' ') : null
        }""",
        arg=count,
    )
    return str(handle.json_value())


def conversation_of(page: Page) -> str:
    page.wait_for_url(re.compile(r"/c/\w+"))
    return page.url.rsplit("/", 1)[1]
