"""One house and one Chromium for all tests of the page; each test brings its own visitors."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.guests import Guests, chromium
from tests.browser.wire import Wire, wire_to
from tests.house import ROOT, House, Person, python

logging.getLogger("httpx").setLevel(logging.WARNING)
_names = itertools.count(1)


# Package scope: Playwright's synchronous API keeps a running event loop, which no other test may meet.
@pytest.fixture(scope="package")
def house() -> Iterator[House]:
    assert (ROOT / "frontend/dist/index.html").exists(), "the page is not built: npm run build in frontend/"
    house = House(worker=True)
    python(house.env, "-m", "django", "collectstatic", "--noinput", "--verbosity", "0")
    with house:
        yield house


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="package")
def admin(house: House) -> Person:
    """The first account, and the models that the tests choose from."""
    admin = house.register("admin")
    inline = {"inline": True}
    house.echo_model(admin, "Quick", tokens=30, seed=1, delay_ms=0, settings=inline)
    house.echo_model(admin, "Paced", tokens=60, seed=2, delay_ms=50, settings=inline)
    house.echo_model(admin, "Long", tokens=200, seed=3, delay_ms=50, settings=inline)
    return admin


@pytest.fixture
def someone(house: House, admin: Person) -> Person:
    """A person without conversations."""
    return house.register(f"guest{next(_names)}")


@pytest.fixture
def guests(browser: Browser, house: House) -> Iterator[Guests]:
    guests = Guests(browser, house)
    yield guests
    guests.close()
    # On every page of every test: no other host, no violation of the policy, no uncaught error.
    assert guests.trouble == []


@pytest.fixture
def wire(house: House) -> Iterator[Wire]:
    with wire_to(house.port) as wire:
        yield wire


@pytest.fixture
def far_guests(browser: Browser, house: House, wire: Wire) -> Iterator[Guests]:
    """Visitors whose connection the test can cut."""
    guests = Guests(browser, house, wire.url)
    yield guests
    guests.close()
    assert guests.trouble == []


@pytest.fixture
def chat_with(house: House, guests: Guests) -> Callable[..., Page]:
    """`chat_with(person, "Paced")`: a page with an empty conversation of that model."""

    def open_chat(
        person: Person, model: str, among: Guests = guests, max_tokens: int = 1000, **options: object
    ) -> Page:
        body = {"model": model, "params": {"max_tokens": max_tokens}}
        made = house.call("POST", "/api/conversations/", person, status=201, json=body)
        page = among.open(person, f"/c/{made['id']}", **options)
        page.get_by_test_id("composer").wait_for()
        return page

    return open_chat
