"""/api/hubs/… and /api/catalogue/."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from rest_framework.test import APIClient

from models_registry import fit
from models_registry.hubs import limits
from models_registry.models import Model
from models_registry.tests.conftest import safetensors
from tests.fake_hub import FakeHub
from tests.patience import timed, within


@pytest.fixture(autouse=True)
def nothing_is_remembered() -> None:
    cache.clear()


@pytest.fixture
def repo(hub: FakeHub) -> Path:
    folder = hub.repos.root / "acme" / "tiny"
    folder.mkdir(parents=True)
    config = {
        "model_type": "qwen3",
        "max_position_embeddings": 4096,
        "quantization_config": {"quant_method": "fp8"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer_config.json").write_text('{"chat_template": "{{ tools }} <think>"}')
    (folder / "model.safetensors").write_bytes(safetensors())
    (folder / "modeling.py").write_text("")
    (folder.with_suffix(".json")).write_text('{"license": "mit", "downloads": 3}')
    return folder


@pytest.fixture
def fit_is_told(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    asked: list[dict[str, Any]] = []

    def ask(spec: Any, **given: Any) -> dict[str, Any]:
        asked.append(given | {"source": spec.source})
        return {"devices": [], "best": None, "known": False, "sentence": "A sentence."}

    monkeypatch.setattr(fit, "fit_ask", ask)
    return asked


def model_of(repo: str, hub: str = "huggingface") -> Model:
    source = {"kind": "hub", "hub": hub, "repo": repo, "revision": "c" * 40}
    return Model.objects.create(name="Tiny", engine="transformers", source=source)


def test_both_hubs_with_the_faster_one_suggested(admin_api: APIClient, hub: FakeHub):
    found = admin_api.get("/api/hubs/").json()
    assert [line["hub"] for line in found["results"]] == ["modelscope", "huggingface"]
    assert all(line["reachable"] and line["latency_ms"] >= 0 for line in found["results"])
    assert sum(line["suggested"] for line in found["results"]) == 1
    asked = len(hub.seen)
    assert admin_api.get("/api/hubs/").json() == found
    assert len(hub.seen) == asked, "it is remembered"


def test_the_one_that_answers_is_suggested(
    admin_api: APIClient, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(limits, "REACH", 0.4)
    hub.faults.add("silent", match="/api/models")
    hub.faults.add("status", match="/openapi/*", status=429)
    scope, face = admin_api.get("/api/hubs/").json()["results"]
    assert (scope["reachable"], scope["suggested"]) == (True, True), "429 is an answer"
    assert (face["reachable"], face["latency_ms"], face["suggested"]) == (False, None, False)


@timed
def test_offline_the_list_comes_quickly_and_suggests_nothing(
    admin_api: APIClient, hub: FakeHub, settings: Any
):
    hub.stop()
    settings.HEARTH_HUBS["huggingface"] = {"endpoint": "http://no-such-host.invalid", "token": ""}
    began = time.monotonic()
    found = admin_api.get("/api/hubs/").json()["results"]
    within(limits.REACH + 1, time.monotonic() - began)
    assert not any(line["reachable"] or line["suggested"] for line in found)


@pytest.mark.parametrize("name", ["modelscope", "huggingface"])
def test_search_says_what_is_here_already(name: str, admin_api: APIClient, repo: Path):
    (hit,) = admin_api.get(f"/api/hubs/{name}/search/", {"q": "tiny"}).json()["results"]
    assert (hit["hub"], hit["repo"], hit["license"], hit["model"]) == (name, "acme/tiny", "mit", None)
    model = model_of("acme/tiny", name)
    (hit,) = admin_api.get(f"/api/hubs/{name}/search/", {"q": "tiny"}).json()["results"]
    assert hit["model"] == model.id


def test_a_search_needs_words_and_a_hub_that_exists(admin_api: APIClient, hub: FakeHub):
    assert admin_api.get("/api/hubs/modelscope/search/").json()["code"] == "invalid"
    assert admin_api.get("/api/hubs/modelscope/search/", {"q": "x", "page": "2"}).json()["code"] == "invalid"
    answer = admin_api.get("/api/hubs/elsewhere/search/", {"q": "x"})
    assert (answer.status_code, answer.json()["code"]) == (404, "hub_unknown")


@pytest.mark.parametrize("name", ["modelscope", "huggingface"])
def test_a_repository_before_it_is_fetched(
    name: str, admin_api: APIClient, repo: Path, hub: FakeHub, fit_is_told: list[dict[str, Any]]
):
    found = admin_api.get(f"/api/hubs/{name}/repo/", {"repo": "acme/tiny", "context": "2048"}).json()
    assert found["revision"] == hub.repos.get("acme/tiny").commit  # type: ignore[union-attr]
    files = {line["path"]: (line["wanted"], line["why"]) for line in found["files"]}
    assert files.pop("modeling.py") == (False, "code, which is never taken")
    assert set(files.values()) == {(True, None)} and len(files) == 3
    assert found["size_bytes"] == sum(line["size"] for line in found["files"] if line["wanted"])
    assert (found["family"], found["context_length"], found["quantization"]) == ("qwen3", 4096, "fp8")
    assert found["capabilities"] == ["continue", "reasoning", "tools"]
    assert (found["license"], found["gated"], found["refused"], found["model"]) == ("mit", False, None, None)
    assert found["fit"]["sentence"] == "A sentence." and found["free_bytes"] > 0
    (asked,) = fit_is_told
    assert asked["facts"]["tensors"] == [{"name": "w", "dtype": "F32", "shape": [2]}]
    assert (asked["context"], asked["source"]["kind"]) == (2048, "folder")


def test_a_repository_that_is_refused_is_shown_with_the_reason(admin_api: APIClient, repo: Path):
    (repo / "config.json").write_text('{"auto_map": {"AutoModel": "modeling.Evil"}}')
    found = admin_api.get("/api/hubs/huggingface/repo/", {"repo": "acme/tiny"}).json()
    assert found["refused"]["code"] == "unsafe_repository" and "auto_map" in found["refused"]["message"]
    assert found["fit"] is None
    (repo / "model.safetensors").rename(repo / "pytorch_model.bin")
    found = admin_api.get("/api/hubs/modelscope/repo/", {"repo": "acme/tiny"}).json()
    assert "pickles" in found["refused"]["message"] and not any(line["wanted"] for line in found["files"])


def test_a_gated_repository_is_shown_and_the_way_in_is_said(admin_api: APIClient, repo: Path):
    repo.with_suffix(".json").write_text('{"gated": true}')
    found = admin_api.get("/api/hubs/huggingface/repo/", {"repo": "acme/tiny"}).json()
    assert found["gated"] and found["refused"]["code"] == "repo_gated"
    answer = admin_api.get("/api/hubs/modelscope/repo/", {"repo": "acme/tiny"})
    assert (answer.status_code, answer.json()["code"]) == (403, "repo_gated")


def test_the_page_works_without_the_model_service(admin_api: APIClient, repo: Path):
    found = admin_api.get("/api/hubs/huggingface/repo/", {"repo": "acme/tiny"}).json()
    assert found["fit"] is None and found["refused"] is None


def test_reasons_are_in_the_readers_language(admin_api: APIClient, hub: FakeHub):
    answer = admin_api.get("/api/hubs/modelscope/repo/", {"repo": "acme/none"})
    assert (answer.status_code, answer.json()["code"]) == (404, "repo_not_found")
    hub.faults.add("status", status=429, retry_after=7)
    answer = admin_api.get("/api/hubs/modelscope/search/", {"q": "x"})
    assert (answer.status_code, answer.json()["code"], answer["Retry-After"]) == (429, "hub_busy", "8")


def test_cached_models_say_whether_they_are_registered(admin_api: APIClient, tmp_path: Path, settings: Any):
    settings.HEARTH_HUB_CACHES = {"modelscope": tmp_path / "ms", "huggingface": tmp_path / "hf"}
    folder = tmp_path / "hf" / "models--acme--tiny" / "snapshots" / ("c" * 40)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(safetensors())
    (line,) = admin_api.get("/api/hubs/cached/").json()["results"]
    assert (line["path"], line["repo"], line["hub"], line["model"]) == (
        str(folder),
        "acme/tiny",
        "huggingface",
        None,
    )
    source = {"kind": "folder", "path": str(folder)}
    model = Model.objects.create(name="Tiny", engine="transformers", source=source)
    assert admin_api.get("/api/hubs/cached/").json()["results"][0]["model"] == model.id


def test_the_catalogue_says_what_is_here(admin_api: APIClient):
    found = {line["id"]: line for line in admin_api.get("/api/catalogue/").json()["results"]}
    entry = found["qwen3-0.6b"]
    assert (entry["modelscope"], entry["model"]) == ("Qwen/Qwen3-0.6B", None)
    model = model_of("Qwen/Qwen3-0.6B", "modelscope")
    remote = {"kind": "remote", "base_url": "https://api.deepseek.com", "model": "deepseek-chat"}
    chat = Model.objects.create(name="Chat", engine="openai", source=remote)
    found = {line["id"]: line for line in admin_api.get("/api/catalogue/").json()["results"]}
    assert (found["qwen3-0.6b"]["model"], found["deepseek-chat"]["model"]) == (model.id, chat.id)


@pytest.mark.parametrize(
    "path",
    ["hubs/", "hubs/cached/", "hubs/modelscope/search/?q=x", "hubs/modelscope/repo/?repo=a/b", "catalogue/"],
)
def test_only_administrators_ask(path: str, user_api: APIClient, hub: FakeHub):
    assert user_api.get(f"/api/{path}").status_code == 403
    assert not hub.seen
