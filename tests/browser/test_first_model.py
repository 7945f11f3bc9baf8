"""A new house on the chat page: a model that speaks English only, and the next one on its way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from models_registry.downloads.tests.conftest import fill_repo
from tests.browser.guests import Guests
from tests.fake_hub import FakeHub
from tests.house import House, Person, python

pytestmark = pytest.mark.browser
REPO, SMALL = "Qwen/Qwen3-0.6B", "SmolLM2-135M-Instruct"
#: A download and looks every few seconds, on a machine that may have other work.
LONG_MS = 60_000


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeHub]:
    root = tmp_path_factory.mktemp("hub")
    fill_repo(root / REPO, size=6_000_000)
    with FakeHub(root) as hub:
        hub.repos.all()
        hub.faults.add("throttle", match="*.safetensors", rate=150_000)
        yield hub


@pytest.fixture(scope="module")
def new_house(hub: FakeHub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """As `start.py` leaves it: the small model on the list, and a worker that may fetch."""
    caches = tmp_path_factory.mktemp("caches")
    house = House(
        worker=True,
        HEARTH_FIRST_DOWNLOAD="1",
        HEARTH_MODELSCOPE_ENDPOINT=hub.endpoint,
        HEARTH_HF_ENDPOINT=hub.endpoint,
        HF_HUB_CACHE=str(caches / "hf"),
        MODELSCOPE_CACHE=str(caches / "ms"),
    )
    python(house.env, "-m", "django", "collectstatic", "--noinput", "--verbosity", "0")
    small = fill_repo(Path(house.data) / "models" / SMALL)
    python(house.env, "manage.py", "register_default_model", "--path", str(small))
    with house:
        yield house


@pytest.fixture
def visitors(browser: Browser, new_house: House) -> Iterator[Guests]:
    guests = Guests(browser, new_house)
    yield guests
    guests.close()
    assert guests.trouble == []


def percent_of(page: Page) -> int:
    return int(page.get_by_test_id("model-coming").inner_text().split("%")[0].split()[-1].lstrip("：("))


def test_the_line_tells_what_the_model_speaks_and_what_comes_until_that_one_answers(
    visitors: Guests, new_house: House, hub: FakeHub
) -> None:
    keeper: Person = new_house.register("keeper")
    page = visitors.open(keeper)
    note = page.get_by_test_id("model-note")
    expect(note).to_contain_text(f"{SMALL} speaks English only.", timeout=LONG_MS)
    expect(note).to_contain_text("Qwen3-0.6B (Chinese, English) is being downloaded", timeout=LONG_MS)
    expect(page.get_by_test_id("model-picker")).to_contain_text(SMALL)

    # It moves by itself; who is no administrator reads it, in Chinese as well, and finds nothing to press.
    before = percent_of(page)
    guest = visitors.open(new_house.register("guest"), locale="zh-CN")
    words = guest.get_by_test_id("model-note")
    expect(words).to_contain_text(f"{SMALL} 只会英语。", timeout=LONG_MS)
    expect(words).to_contain_text("正在下载 Qwen3-0.6B（中文、英语）", timeout=LONG_MS)
    expect(words.get_by_role("button")).to_have_count(0)
    page.wait_for_function(
        """(before) => {
            const words = document.querySelector('[data-testid=model-coming]')?.innerText ?? ''
            return Number(/(\\d+)\\s*%/.exec(words)?.[1] ?? 0) > before
        }""",
        arg=before,
        timeout=LONG_MS,
    )

    # The administrator goes to the models and stops it for a while.
    page.get_by_test_id("model-note-link").click()
    card = page.get_by_test_id("model-card").filter(has=page.get_by_title("Qwen3-0.6B", exact=True))
    card.get_by_role("button", name="Pause").click()
    expect(words).to_contain_text("已暂停", timeout=LONG_MS)
    hub.faults.clear()
    card.get_by_role("button", name="Resume").click()

    # Without a reload, on both pages: it is the one that answers, and nothing is left to say.
    picker = guest.get_by_test_id("model-picker")
    expect(picker).to_contain_text("Qwen3-0.6B", timeout=LONG_MS)
    expect(words).to_have_count(0)
    page.goto("/")
    expect(page.get_by_test_id("model-picker")).to_contain_text("Qwen3-0.6B", timeout=LONG_MS)
    expect(page.get_by_test_id("model-note")).to_have_count(0)
