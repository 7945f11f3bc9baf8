"""Nothing is outside the view, over another thing or wider than the window, at any zoom and width."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browser.guests import Guests, ask, ended
from tests.house import House, Person

pytestmark = pytest.mark.browser
ZOOMS = (0.5, 0.67, 0.8, 1.0, 1.25, 1.5, 1.75, 2.0)
TRIES = 20
WIDTHS = {375: 812, 768: 1024, 1280: 800, 1920: 1080}
LONG = (
    "# A heading\n\n"
    + "A long paragraph of plain words. " * 40
    + "\n\n```python\n"
    + "x = 1  # long " * 30
    + "\n```\n"
)
# Every control and field of header, composer and forms, as [name, left, top, right, bottom].
_MEASURE = """() => {
    const boxes = []
    const add = (selector, always) => {
        for (const element of document.querySelectorAll(selector)) {
            const box = element.getBoundingClientRect()
            if (!box.width || !box.height || !element.checkVisibility({ visibilityProperty: true })) continue
            const name = element.dataset.testid || element.getAttribute('aria-label') || element.className
            boxes.push([String(name), box.left, box.top, box.right, box.bottom, always])
        }
    }
    add('.head button, .composer textarea, .composer button, .auth-tools button', true)
    add('.auth-card input, .auth-card button[type=submit], .room-head button', false)
    const scrollers = 'html, body, .frame, .main, .chat, .chat-scroll, .room, .auth-scroll'
    const wide = [...document.querySelectorAll(scrollers)]
        .filter((element) => element.scrollWidth > element.clientWidth + 1)
        .map((element) => element.className || element.tagName)
    return { boxes, wide, width: innerWidth, height: innerHeight }
}"""


def faults(found: dict[str, Any]) -> list[str]:
    """What is wrong with one measured view. Boxes that may scroll need only be inside in their width."""
    wrong = [f"{name} scrolls sideways" for name in found["wide"]]
    boxes = found["boxes"]
    for name, left, top, right, bottom, always in boxes:
        if left < -1 or right > found["width"] + 1 or (always and (top < -1 or bottom > found["height"] + 1)):
            wrong.append(f"{name} is outside: {left:.0f} {top:.0f} {right:.0f} {bottom:.0f}")
    for index, (name, left, top, right, bottom, _) in enumerate(boxes):
        for other, left2, top2, right2, bottom2, _ in boxes[index + 1 :]:
            over = min(right, right2) - max(left, left2) > 1 and min(bottom, bottom2) - max(top, top2) > 1
            if over:
                wrong.append(f"{name} lies over {other}")
    return wrong


def check_everywhere(page: Page, must_have: str) -> None:
    """Measures the open page at each zoom and width, as the browser's own zoom makes them."""
    screen = page.context.new_cdp_session(page)
    wrong = []
    for width, height in WIDTHS.items():
        for zoom in ZOOMS:
            size = {"width": round(width / zoom), "height": round(height / zoom)}
            override = size | {"deviceScaleFactor": zoom, "mobile": False}
            screen.send("Emulation.setDeviceMetricsOverride", override)
            page.wait_for_function("(width) => innerWidth === width", arg=size["width"])
            wrong += [f"{width} px at {zoom:.0%}: {fault}" for fault in settled(page, must_have)]
    assert wrong == []


def settled(page: Page, must_have: str) -> list[str]:
    """What is still wrong when nothing moves any more: what a new size sets going takes a while."""
    for _ in range(TRIES):
        # Two frames: the media queries have been told, and what they changed is laid out.
        page.evaluate("() => new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)))")
        found = page.evaluate(_MEASURE)
        names = [name for name, *_ in found["boxes"]]
        told = faults(found) + ([] if must_have in names else [f"{must_have} is not there: {names}"])
        if not told:
            break
        page.wait_for_timeout(100)
    return told


def test_the_measure_finds_what_is_wrong() -> None:
    boxes = [["a", 0, 0, 50, 50, True], ["b", 40, 40, 120, 90, True], ["c", 0, 60, 30, 110, True]]
    found = {"boxes": boxes, "wide": ["body"], "width": 100, "height": 100}
    assert [fault.split(":")[0] for fault in faults(found)] == [
        "body scrolls sideways",
        "b is outside",
        "c is outside",
        "a lies over b",
    ]


@pytest.mark.parametrize("path", ["/login", "/register"])
def test_the_door(guests: Guests, admin: Person, path: str) -> None:
    page = guests.open(path=path)
    page.get_by_test_id("submit").wait_for()
    check_everywhere(page, "submit")


def test_an_empty_chat(guests: Guests, someone: Person) -> None:
    page = guests.open(someone)
    page.get_by_test_id("composer").wait_for()
    check_everywhere(page, "send")


def test_a_long_conversation_with_a_long_draft(
    chat_with: Callable[..., Page], house: House, admin: Person, someone: Person
) -> None:
    name = "A model with quite a long name for its small place"
    house.echo_model(admin, name, text=LONG, delay_ms=0, settings={"inline": True})
    page = chat_with(someone, name)
    for question in ("A first question", "An-unbreakably-long-word-" * 20):
        ask(page, question)
        ended(page)
        page.get_by_test_id("send").wait_for()
    page.get_by_test_id("composer").fill("One line of a draft.\n" * 12)
    check_everywhere(page, "composer")


def test_the_models(guests: Guests, admin: Person) -> None:
    page = guests.open(admin, "/models")
    page.get_by_test_id("model-card").first.wait_for()
    check_everywhere(page, "model-register")
