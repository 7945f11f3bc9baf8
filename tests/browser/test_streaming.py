"""Text is on the screen while the model makes the next: seen by a MutationObserver inside the page."""

from __future__ import annotations

import itertools
import os
import statistics
from collections.abc import Callable

import httpx
import pytest
from playwright.sync_api import Page

from tests.browser.guests import ask, ended
from tests.flow import Pace, check_flow
from tests.house import House, Person
from tests.patience import timed, within

pytestmark = [pytest.mark.browser, pytest.mark.e2e, timed]
# Keeps [time in seconds, characters shown] of every change of the answer.
_OBSERVE = """() => {
    window.grown = []
    new MutationObserver(() => {
        const parts = [...document.querySelectorAll('[data-testid=message-assistant] .prose')]
        const length = parts.map((part) => part.innerText.trim()).join(' ').length
        const last = window.grown.at(-1)?.[1] ?? 0
        if (length > last) window.grown.push([performance.now() / 1000, length])
    }).observe(document.body, { subtree: true, childList: true, characterData: true })
}"""


def watch(page: Page, question: str) -> list[float]:
    """Asks, and tells when the text on the page grew, in seconds."""
    page.evaluate(_OBSERVE)
    ask(page, question)
    ended(page, within_ms=40_000)
    grown: list[list[float]] = page.evaluate("() => window.grown")
    return [moment for moment, _ in grown]


def test_a_paced_answer_grows_every_hundred_milliseconds(
    chat_with: Callable[..., Page], house: House, admin: Person, someone: Person
) -> None:
    house.echo_model(admin, "Metronome", tokens=30, seed=6, delay_ms=100, settings={"inline": True})
    arrivals = watch(chat_with(someone, "Metronome"), "Tick")
    check_flow(arrivals, Pace(30, 0.1))
    gaps = [later - earlier for earlier, later in itertools.pairwise(arrivals)]
    assert statistics.median(gaps) >= 0.08, gaps
    within(0.12, statistics.median(gaps))


@pytest.mark.real_model
def test_a_real_model_s_words_are_on_the_screen_as_they_are_made(
    chat_with: Callable[..., Page], house: House, admin: Person, someone: Person
) -> None:
    source = {"kind": "folder", "path": os.environ["HEARTH_TEST_MODEL"]}
    house.call("POST", "/api/models/", admin, status=201, json={"name": "Real", "source": source})
    page = chat_with(someone, "Real", max_tokens=2)
    ask(page, "Say hello.")
    ended(page, within_ms=60_000)
    page = chat_with(someone, "Real", max_tokens=24)
    arrivals = watch(page, "Write a story about a small house at the edge of a forest.")
    conversation = page.url.rsplit("/", 1)[1]
    url = f"{house.url}/api/conversations/{conversation}/messages/"
    usage = httpx.get(url, headers=someone.headers, trust_env=False).json()["results"][-1]["usage"]
    check_flow(arrivals, Pace.of(usage))
