"""The model that a new house brings in for itself: from a cache or a hub, once, never against a person."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from rest_framework.test import APIClient

from models_registry.downloads import services as downloads
from models_registry.downloads.run import download_run
from models_registry.downloads.tests.conftest import fill_repo
from models_registry.downloads.tests.conftest import hasty as hasty
from models_registry.first import first_model
from models_registry.models import Download, Model, Once
from models_registry.services import model_create, model_delete, model_update
from tests.fake_hub import FakeHub

pytestmark = pytest.mark.django_db
REPO = "Qwen/Qwen3-0.6B"


@pytest.fixture
def small(make_folder: Callable[..., Path]) -> Model:
    """What the launcher has prepared: the default, which speaks English only."""
    source = {"kind": "folder", "path": str(make_folder("small"))}
    return model_create(name="SmolLM2-135M-Instruct", source=source, languages=["en"])


@pytest.fixture
def new_house(tmp_path: Path, settings: Any, hub: FakeHub, small: Model) -> FakeHub:
    settings.HEARTH_DATA = tmp_path / "data"
    settings.HEARTH_FIRST_DOWNLOAD = True
    settings.HEARTH_HUB_CACHES = {"modelscope": tmp_path / "ms", "huggingface": tmp_path / "hf"}
    fill_repo(tmp_path / "hub" / REPO)
    return hub


def default() -> str:
    found = Model.objects.filter(is_default=True).first()
    return found.name if found else ""


def fetched() -> Download:
    download = Download.objects.get()
    download_run(download.pk)
    download.refresh_from_db()
    return download


def shown(api: APIClient) -> dict[str, Any]:
    return {line["name"]: line for line in api.get("/api/models/").json()["results"]}


def test_it_comes_in_the_background_and_is_the_default_when_it_is_here(
    new_house: FakeHub, user_api: APIClient
):
    first_model()
    assert default() == "SmolLM2-135M-Instruct"
    before = shown(user_api)
    coming = before["Qwen3-0.6B"]
    assert (coming["state"], coming["becomes_default"]) == ("downloading", True)
    assert coming["languages"][0] == "zh" and before["SmolLM2-135M-Instruct"]["languages"] == ["en"]
    assert coming["download"]["bytes_total"] > 300_000 and "source" not in coming
    assert fetched().state == "done"
    assert default() == "Qwen3-0.6B"
    after = shown(user_api)["Qwen3-0.6B"]
    assert (after["is_default"], after["default_for_me"], after["becomes_default"]) == (True, True, False)


def test_it_is_asked_for_once_however_many_workers_start(new_house: FakeHub):
    first_model()
    first_model()
    assert Download.objects.count() == 1 and Model.objects.count() == 2


@pytest.mark.parametrize("how", ["cancel", "delete", "delete when it is here"])
def test_what_an_administrator_took_away_is_not_fetched_again(new_house: FakeHub, how: str):
    first_model()
    download = Download.objects.get()
    if how == "cancel":
        downloads.download_cancel(download)
    else:
        if how == "delete when it is here":
            fetched()
        model_delete(Model.objects.get(pk=download.model_id), files=True)
    assert [model.name for model in Model.objects.all()] == ["SmolLM2-135M-Instruct"]
    first_model()
    assert not Download.objects.exclude(state="cancelled").exists()


def test_the_default_that_an_administrator_chose_meanwhile_stays(
    new_house: FakeHub, admin_api: APIClient, make_folder: Callable[..., Path]
):
    first_model()
    other = model_create(name="Other", source={"kind": "folder", "path": str(make_folder("other"))})
    assert admin_api.patch(f"/api/models/{other.pk}/", {"is_default": True}, format="json").status_code == 200
    assert not shown(admin_api)["Qwen3-0.6B"]["becomes_default"]
    assert fetched().state == "done" and default() == "Other"


def test_the_small_model_stays_when_it_was_chosen_on_purpose(new_house: FakeHub, small: Model):
    first_model()
    model_update(small, is_default=True)
    fetched()
    assert default() == small.name


def test_a_model_that_was_added_and_became_the_default_by_itself_stays(new_house: FakeHub, small: Model):
    first_model()
    model_delete(small)
    added = model_create(name="Added", source={"kind": "echo"})
    assert default() == "Added"
    fetched()
    assert default() == added.name


def test_with_no_default_at_all_it_becomes_it(new_house: FakeHub, small: Model):
    model_delete(small)
    first_model()
    fetched()
    assert default() == "Qwen3-0.6B"


@pytest.mark.parametrize("why", ["off", "a model of their own", "a default of their choice"])
def test_nothing_is_fetched(new_house: FakeHub, settings: Any, small: Model, why: str):
    if why == "off":
        settings.HEARTH_FIRST_DOWNLOAD = False
    elif why == "a model of their own":
        own = model_create(name="Own", source={"kind": "echo"})
        first_model()
        model_delete(own)  # and it stays decided
    else:
        model_update(small, is_default=True)
    first_model()
    assert not Download.objects.exists() and new_house.seen == []


def test_without_a_hub_the_next_start_asks_again(new_house: FakeHub):
    new_house.stop()
    first_model()
    assert not Download.objects.exists() and not Once.objects.exists()
    new_house.start()
    first_model()
    assert Download.objects.get().state == "queued"


def test_a_hub_that_lacks_it_leaves_it_to_the_other(new_house: FakeHub):
    new_house.faults.add("status", match="/api/v1/*", where="api", status=500)
    new_house.faults.add("status", match="/openapi/v1/models/*", where="api", status=500)
    first_model()
    assert Download.objects.get().hub == "huggingface"


def test_one_that_failed_goes_on_with_the_next_start_and_one_that_is_paused_waits(new_house: FakeHub):
    first_model()
    download = Download.objects.get()
    Download.objects.update(state="failed", error={"code": "disk_full", "values": {}})
    first_model()
    download.refresh_from_db()
    assert download.state == "queued"
    downloads.download_pause(download)
    first_model()
    download.refresh_from_db()
    assert download.state == "paused"


def test_a_machine_without_the_memory_keeps_the_small_one(
    new_house: FakeHub, monkeypatch: pytest.MonkeyPatch
):
    class Small:
        total = 2_000_000_000

    monkeypatch.setattr("models_registry.first.psutil.virtual_memory", Small)
    first_model()
    assert not Download.objects.exists()


def snapshot(root: Path) -> Path:
    """As huggingface_hub leaves it (tests of `caches` use the library itself)."""
    folder = root / "models--Qwen--Qwen3-0.6B" / "snapshots" / ("1" * 40)
    return fill_repo(folder)


def test_one_in_a_cache_is_used_where_it_lies(new_house: FakeHub, tmp_path: Path):
    folder = snapshot(tmp_path / "hf")
    new_house.stop()
    first_model()
    model = Model.objects.get(name="Qwen3-0.6B")
    assert model.source == {"kind": "folder", "path": str(folder)} and model.is_default
    assert "zh" in model.languages and not Download.objects.exists()
    model_delete(model)
    first_model()
    assert not Model.objects.filter(name="Qwen3-0.6B").exists()


def test_half_a_model_in_a_cache_is_left_for_the_hub(new_house: FakeHub, tmp_path: Path):
    folder = snapshot(tmp_path / "hf")
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (folder / "model.safetensors").rename(folder / "model-1.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    first_model()
    assert Download.objects.get().repo == REPO


def test_looking_needs_no_open_transaction(new_house: FakeHub, monkeypatch: pytest.MonkeyPatch):
    """Hubs take seconds: nobody may wait for a lock meanwhile."""
    from models_registry.hubs import reach

    outside = len(connection.savepoint_ids)
    real = reach.measured

    def measured(**more: Any) -> Any:
        assert len(connection.savepoint_ids) == outside
        return real(**more)

    monkeypatch.setattr(reach, "measured", measured)
    first_model()
    assert Download.objects.exists()
