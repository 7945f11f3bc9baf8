"""A chat in the browser with a model that thinks, run by our own engine, llama-server and vLLM: its thought
in a block of its own, Stop, the status line, usage, and a server that is killed within the thought."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests import peers
from tests.browser.guests import Guests, ask, ended, last_answer, shown
from tests.house import python
from tests.peers import MARKS, Served
from tests.thinking_model import ANSWER, QUESTION, THOUGHT

pytestmark = [*MARKS, pytest.mark.browser]
# An answer on a busy machine, also where the server has to start again (ms).
LONG = peers.ANSWER * 1000
_LINES = """() => {
    window.lines = []
    new MutationObserver(() => {
        const line = document.querySelector('[data-testid=status-line]')?.innerText.trim()
        if (line && line !== window.lines.at(-1)) window.lines.push(line)
    }).observe(document.body, { subtree: true, childList: true, characterData: true })
}"""


@pytest.fixture(scope="module", params=["transformers", "llama_cpp", "vllm"])
def served(request: pytest.FixtureRequest) -> Iterator[Served]:
    files, house = peers.thinker(), peers.house_of_peers()
    python(house.env, "-m", "django", "collectstatic", "--noinput", "--verbosity", "0")
    with house, peers.child(house, request.param, files) as served:
        yield served


@pytest.fixture
def page(served: Served, browser: Browser) -> Iterator[Page]:
    """A conversation that was just asked, with the status lines kept in `window.lines`."""
    guests = Guests(browser, served.house)
    body = {"model": "Peer", "params": {"max_tokens": 400, "temperature": 0}}
    made = served.house.call("POST", "/api/conversations/", served.admin, status=201, json=body)
    page = guests.open(served.admin, f"/c/{made['id']}")
    page.get_by_test_id("composer").wait_for()
    page.evaluate(_LINES)
    ask(page, QUESTION)
    yield page
    guests.close()
    assert guests.trouble == []


def thought(page: Page) -> Locator:
    return last_answer(page).locator(".thoughts-text")


def within_the_thought(page: Page) -> None:
    expect(thought(page)).to_contain_text("The user", timeout=LONG)
    assert shown(last_answer(page)) == ""


def whole(answer: Locator) -> None:
    """The thought, opened by a click, and the answer, word by word."""
    assert shown(answer) == ANSWER
    answer.locator(".thoughts").get_by_text("Thought").click()
    expect(answer.locator(".thoughts-text")).to_have_text(THOUGHT)


def test_a_thought_has_its_block_the_answer_its_usage_and_the_status_its_line(page: Page) -> None:
    within_the_thought(page)
    answer = ended(page, within_ms=LONG)
    expect(answer.locator(".facts")).to_contain_text("Peer · 18")
    whole(answer)
    lines = page.evaluate("() => window.lines")
    print(lines, answer.locator(".facts").inner_text())
    assert lines


def test_stop_within_the_thought_keeps_it_and_continue_goes_on(page: Page, served: Served) -> None:
    within_the_thought(page)
    page.get_by_test_id("stop").click()
    answer = ended(page, "stopped")
    expect(answer.get_by_test_id("status-line")).to_have_text("Stopped by you")
    assert shown(answer) == ""
    served.house.until(lambda: served.line()["running"] == 0, "the slot to be free", 60)
    answer.get_by_test_id("continue").click()
    whole(ended(page, within_ms=LONG))


def test_killed_within_the_thought_the_answer_goes_on(page: Page, served: Served) -> None:
    within_the_thought(page)
    served.kill()
    answer = ended(page, within_ms=LONG)
    assert "Resuming after a restart" in page.evaluate("() => window.lines")
    whole(answer)
