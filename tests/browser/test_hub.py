"""How a model comes into the house, in the browser: from two hubs, from the disk, from an endpoint."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.guests import Guests, ask, last_answer, shown
from tests.fake_hub import FakeHub
from tests.house import House, Person, python

pytestmark = pytest.mark.browser
#: Downloads, loads and answers of a real model, on a machine that may have other work.
LONG_MS = 180_000
EMBER, SPARK, PICKLES = "quiet-lab/Ember-135M", "far-lab/Spark-135M", "far-lab/Pickles"
_REAL = os.environ.get("HEARTH_TEST_MODEL", "")


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeHub]:
    """Both hubs, with the files of the real model under two invented names, and one that is refused."""
    root = tmp_path_factory.mktemp("hub")
    for repo in (EMBER, SPARK):
        folder = root / repo
        folder.mkdir(parents=True)
        for file in Path(_REAL).iterdir() if _REAL else []:
            _same(file, folder / file.name)
        (folder / "LICENSE").write_text("Do what you like.")
        (folder / "modeling_ember.py").write_text("raise SystemExit")
        said = {"license": "apache-2.0", "downloads": 1234, "likes": 7, "parameters": 134_515_008}
        folder.with_name(folder.name + ".json").write_text(json.dumps(said))
    pickles = root / PICKLES
    pickles.mkdir(parents=True)
    (pickles / "config.json").write_text('{"model_type": "llama"}')
    (pickles / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with FakeHub(root) as hub:
        hub.repos.all()  # hashes of gigabytes: not while somebody waits for an answer
        yield hub


def _same(file: Path, place: Path) -> None:
    """The same bytes without a second copy of them, where the file system can."""
    try:
        os.link(file, place)
    except OSError:
        shutil.copy(file, place)


@pytest.fixture(scope="module")
def hub_house(hub: FakeHub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house whose hubs are the fake one, and whose caches hold nothing of this machine's."""
    caches = tmp_path_factory.mktemp("caches")
    house = House(
        worker=True,
        HEARTH_MODELSCOPE_ENDPOINT=hub.endpoint,
        HEARTH_HF_ENDPOINT=hub.endpoint,
        HF_HUB_CACHE=str(caches / "hf"),
        MODELSCOPE_CACHE=str(caches / "ms"),
    )
    python(house.env, "-m", "django", "collectstatic", "--noinput", "--verbosity", "0")
    with house:
        yield house


@pytest.fixture(scope="module")
def keeper(hub_house: House) -> Person:
    """The first account, which is the administrator."""
    return hub_house.register("keeper")


@pytest.fixture
def visitors(browser: Browser, hub_house: House, hub: FakeHub) -> Iterator[Guests]:
    guests = Guests(browser, hub_house)
    yield guests
    guests.close()
    hub.faults.clear()
    assert guests.trouble == []


def find(page: Page, hub: str, query: str, repo: str) -> None:
    """From the search to the repository's own page."""
    page.get_by_test_id("hub-way-search").click()
    page.get_by_test_id(f"hub-{hub}").click()
    page.get_by_test_id("hub-query").fill(query)
    page.locator(f'[data-testid=hub-hit][data-repo="{repo}"]').click()
    page.get_by_test_id("repo-page").wait_for()


def download(page: Page, repo: str, state: str = "") -> Locator:
    """The download of this repository, in this state."""
    found = f'[data-testid=download][data-repo="{repo}"]'
    return page.locator(found + (f'[data-state="{state}"]' if state else ""))


def card(page: Page, name: str) -> Locator:
    return page.get_by_test_id("model-card").filter(has=page.get_by_title(name, exact=True))


def answer_of(page: Page, text: str) -> str:
    """The beginning of a new answer: so small a model may write on for a long time."""
    answers = page.get_by_test_id("message-assistant")
    before = answers.count()
    ask(page, text)
    page.wait_for_function(
        """(before) => {
            const all = [...document.querySelectorAll('[data-testid=message-assistant]')]
            if (all.length <= before) return false
            const written = [...all.at(-1).querySelectorAll('.prose')].map((one) => one.innerText).join(' ')
            return all.at(-1).dataset.status === 'done' || written.split(/\\s+/).length > 8
        }""",
        arg=before,
    )
    page.evaluate("() => document.querySelector('[data-testid=stop]')?.click()")
    over = page.locator('[data-status="done"], [data-status="stopped"]')
    answer = last_answer(page).and_(over)
    answer.wait_for()
    return shown(answer)


def chat_with_new(page: Page, repo: str, name: str) -> None:
    """One click on a finished download: a chat, with the model on its way into memory."""
    download(page, repo, "done").get_by_test_id("download-chat").click()
    picker = page.get_by_test_id("model-picker")
    expect(picker).to_contain_text(name, timeout=LONG_MS)
    expect(picker).to_have_attribute("data-state", "ready", timeout=LONG_MS)


@pytest.mark.real_model
@pytest.mark.skipif(not _REAL, reason="HEARTH_TEST_MODEL is not set")
def test_models_from_two_hubs_are_found_fetched_used_and_taken_away(
    visitors: Guests, hub_house: House, hub: FakeHub, keeper: Person
) -> None:
    page, other = visitors.open(keeper, "/models"), visitors.open(keeper, "/models/add")
    for each in (page, other):
        each.set_default_timeout(LONG_MS)
    page.get_by_test_id("model-register").click()

    # ModelScope: slowly, cut once in the middle, paused, seen by a second administrator and after a reload.
    find(page, "modelscope", "ember", EMBER)
    expect(page.get_by_test_id("fit-sentence")).to_contain_text("fits with", timeout=LONG_MS)
    page.get_by_test_id("repo-files").get_by_text("not fetched").click()
    expect(page.locator("[data-testid=repo-file][data-wanted=false]")).to_contain_text(
        ["modeling_ember.py"], timeout=LONG_MS
    )
    hub.faults.add("throttle", match="*.safetensors", rate=800_000)
    hub.faults.add("cut", match="*.safetensors", after=2_000_000, times=3)
    page.get_by_test_id("repo-download").click()
    expect(download(page, EMBER, "running").get_by_test_id("download-figures")).to_contain_text(
        "/s", timeout=LONG_MS
    )
    hub.until(lambda: bool(_resumed(hub, EMBER)), within=60)
    expect(download(other, EMBER, "running")).to_be_visible(timeout=LONG_MS)
    download(page, EMBER).get_by_test_id("download-pause").click()
    expect(download(page, EMBER, "paused").get_by_test_id("download-state")).to_have_text(
        "Paused", timeout=LONG_MS
    )
    expect(download(other, EMBER, "paused")).to_be_visible(timeout=LONG_MS)
    page.reload()
    expect(download(page, EMBER, "paused")).to_be_visible(timeout=LONG_MS)
    hub.faults.clear()
    download(other, EMBER).get_by_test_id("download-resume").click()
    expect(download(page, EMBER, "done")).to_contain_text("checked against the hub", timeout=LONG_MS)
    assert len(_resumed(hub, EMBER)) >= 2, "once after the cut and once after the pause, each by Range"
    chat_with_new(page, EMBER, "Ember-135M")
    assert answer_of(page, "Say hello in one short sentence.")

    # Hugging Face: cut without a person's help.
    page.goto("/models/add")
    find(page, "huggingface", "spark", SPARK)
    hub.faults.add("cut", match="*.safetensors", after=150_000_000)
    page.get_by_test_id("repo-download").click()
    expect(download(page, SPARK, "done")).to_be_visible(timeout=LONG_MS)
    assert _resumed(hub, SPARK)
    chat_with_new(page, SPARK, "Spark-135M")
    assert answer_of(page, "Name one colour.")

    # The same conversation goes on with the other one.
    page.get_by_test_id("model-picker").click()
    page.locator(".pick-row").filter(has_text="Ember-135M").click()
    assert answer_of(page, "Name another one.")
    expect(page.get_by_test_id("model-picker")).to_contain_text("Ember-135M", timeout=LONG_MS)

    page.goto("/models")
    for name in ("Ember-135M", "Spark-135M"):
        expect(card(page, name)).to_have_attribute("data-state", re.compile("ready|stopped"), timeout=LONG_MS)
        if card(page, name).get_attribute("data-state") == "ready":
            card(page, name).get_by_test_id("model-unload").click()
        expect(card(page, name)).to_have_attribute("data-state", "stopped", timeout=LONG_MS)
        card(page, name).get_by_test_id("model-more").click()
        page.get_by_test_id("model-menu-delete").click()
        page.get_by_test_id("delete-files").check()
        page.get_by_test_id("delete-confirm").click()
        expect(card(page, name)).to_have_count(0, timeout=LONG_MS)
    kept = hub_house.data / "models"
    hub_house.until(lambda: not list(kept.rglob("*.safetensors*")), "the files to be gone", within=60)


def _resumed(hub: FakeHub, repo: str) -> list[str]:
    """The ranges with which the weights were asked for from somewhere in their middle."""
    seen = hub.asked_for("model.safetensors")
    ranges = [one.range for one in seen if repo in one.path and one.method == "GET"]
    return [one for one in ranges if re.fullmatch(r"bytes=[1-9]\d{5,}-\d*", one)]


def test_a_hub_that_is_away_is_told_with_what_helps_and_asked_again(
    visitors: Guests, hub: FakeHub, keeper: Person
) -> None:
    page = visitors.open(keeper, "/models/add/search")
    page.get_by_test_id("hub-huggingface").click()
    hub.stop()
    page.get_by_test_id("hub-query").fill("pickles")
    problem = page.get_by_test_id("hub-problem")
    expect(problem).to_contain_text("HEARTH_HF_ENDPOINT", timeout=60_000)
    hub.start()
    problem.get_by_role("button", name="Try again").click()
    expect(page.locator(f'[data-testid=hub-hit][data-repo="{PICKLES}"]')).to_be_visible(timeout=60_000)


def test_what_could_run_code_is_refused_before_anything_is_fetched(visitors: Guests, keeper: Person) -> None:
    page = visitors.open(keeper, "/models/add/search")
    # An id that somebody knows is opened without a search.
    page.get_by_test_id("hub-modelscope").click()
    page.get_by_test_id("hub-query").fill(PICKLES)
    page.get_by_test_id("hub-direct").click()
    refused = page.get_by_test_id("repo-refused")
    expect(refused).to_have_attribute("data-code", "unsafe_repository")
    expect(refused).to_contain_text("pickle")
    expect(page.get_by_test_id("repo-download")).to_have_count(0)


def test_a_repository_that_is_not_there_says_so(visitors: Guests, keeper: Person) -> None:
    page = visitors.open(keeper, "/models/add/huggingface/no-one/nothing")
    expect(page.get_by_test_id("repo-page")).to_contain_text("no repository no-one/nothing", timeout=60_000)
    page.get_by_test_id("hub-back").click()
    page.wait_for_url("**/models/add/search")


def test_a_folder_that_holds_no_model_is_refused_at_its_field(visitors: Guests, keeper: Person) -> None:
    page = visitors.open(keeper, "/models/add/machine")
    page.get_by_test_id("model-path").fill("/nowhere/at/Nothing-1B")
    expect(page.get_by_test_id("model-name")).to_have_value("Nothing-1B")
    page.get_by_test_id("model-register-submit").click()
    path = page.locator(".ant-form-item").filter(has=page.get_by_test_id("model-path"))
    expect(path.locator(".ant-form-item-explain-error")).to_be_visible()


def test_an_endpoint_is_added_and_an_address_with_a_password_is_refused(
    visitors: Guests, hub_house: House, keeper: Person
) -> None:
    page = visitors.open(keeper, "/models/add/endpoint")
    page.get_by_test_id("endpoint-kind").get_by_text("vLLM").click()
    address = page.get_by_test_id("endpoint-address")
    expect(address).to_have_value("http://127.0.0.1:8000/v1")
    address.fill("http://me:secret@127.0.0.1:8000/v1")
    page.get_by_test_id("endpoint-model").fill("Qwen/Qwen3-8B")
    page.get_by_test_id("endpoint-name").fill("Cluster")
    page.get_by_test_id("endpoint-add").click()
    field = page.locator(".ant-form-item").filter(has=address)
    expect(field.locator(".ant-form-item-explain-error")).to_contain_text("password")
    address.fill("http://127.0.0.1:8000/v1")
    page.get_by_test_id("endpoint-key").fill("sk-secret")
    page.get_by_test_id("endpoint-add").click()
    expect(page.get_by_test_id("hub-added")).to_contain_text("Cluster")
    models = hub_house.call("GET", "/api/models/", keeper)["results"]
    made = next(model for model in models if model["name"] == "Cluster")
    assert made["has_api_key"] is True
    assert made["source"] == {
        "kind": "remote",
        "base_url": "http://127.0.0.1:8000/v1",
        "model": "Qwen/Qwen3-8B",
        "continues": True,
    }


def test_the_catalogue_leads_to_a_hub_and_only_administrators_come_here(
    visitors: Guests, hub_house: House, keeper: Person
) -> None:
    page = visitors.open(keeper, "/models/add")
    page.get_by_test_id("catalogue-filter").fill("smollm2 135")
    found = page.get_by_test_id("catalogue-card")
    expect(found).to_have_count(1)
    found.get_by_test_id("catalogue-get").click()
    page.wait_for_url(re.compile(r"/models/add/(modelscope|huggingface)/[\w.-]+/SmolLM2-135M"))
    guest = visitors.open(hub_house.register("guest"), "/models/add")
    expect(guest.get_by_test_id("models-page")).to_be_visible()
    expect(guest.get_by_test_id("hub-page")).to_have_count(0)


@pytest.mark.parametrize("path", ["", "/search", "/machine", "/endpoint", f"/modelscope/{PICKLES}"])
def test_nothing_of_it_is_wider_than_a_phone(visitors: Guests, keeper: Person, path: str) -> None:
    page = visitors.open(keeper, f"/models/add{path}", viewport={"width": 360, "height": 740}, locale="zh-CN")
    page.get_by_test_id("hub-back").wait_for()
    page.wait_for_function("() => !document.querySelector('.room .ant-skeleton')")
    wide = page.evaluate(
        "() => { const r = document.querySelector('.room'); return r.scrollWidth - r.clientWidth }"
    )
    assert wide <= 0
