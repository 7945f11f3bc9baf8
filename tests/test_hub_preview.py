"""What is told of a model on a hub, over the running house, is what is told of the same files here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fake_hub import FakeHub
from tests.house import House

pytestmark = [pytest.mark.e2e, pytest.mark.real_model]
FIGURES = (
    "device",
    "weights_bytes",
    "kv_bytes",
    "kv_bytes_per_token",
    "overhead_bytes",
    "needed_bytes",
    "context",
)


@pytest.fixture(scope="module")
def model() -> Path:
    folder = Path(os.environ.get("HEARTH_TEST_MODEL", ""))
    if not (folder / "config.json").exists():
        pytest.skip("HEARTH_TEST_MODEL is no model folder")
    return folder


@pytest.fixture(scope="module")
def hub(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeHub]:
    root = tmp_path_factory.mktemp("hub")
    (root / "HuggingFaceTB").mkdir()
    (root / "HuggingFaceTB" / "SmolLM2-135M-Instruct").symlink_to(model)
    with FakeHub(root) as hub:
        hub.repos.all()  # its hashes, which else the first question waits for
        yield hub


@pytest.mark.parametrize("name", ["modelscope", "huggingface"])
def test_the_fit_of_a_repository_is_the_fit_of_its_files(name: str, model: Path, hub: FakeHub):
    with House(HEARTH_MODELSCOPE_ENDPOINT=hub.endpoint, HEARTH_HF_ENDPOINT=hub.endpoint) as house:
        boss = house.register("boss")
        with httpx.Client(
            base_url=f"{house.url}/api", headers=boss.headers, timeout=60, trust_env=False
        ) as api:
            suggested = [line["hub"] for line in _of(api, "/hubs/")["results"] if line["suggested"]]
            assert len(suggested) == 1
            (hit,) = _of(api, f"/hubs/{name}/search/", q="smollm2")["results"]
            entry = next(e for e in _of(api, "/catalogue/")["results"] if e["id"] == "smollm2-135m-instruct")
            assert hit["repo"] == entry[name]
            before = hub.sent
            shown = _of(api, f"/hubs/{name}/repo/", repo=hit["repo"], context=4096)
            assert shown["refused"] is None and shown["family"] == "llama"
            assert hub.sent - before < shown["size_bytes"] / 20, "the weights stay where they are"
            source = {"kind": "folder", "path": str(model)}
            made = api.post("/models/", json={"name": "Here", "source": source})
            assert made.status_code == 201, made.text
            here = _of(api, f"/models/{made.json()['id']}/fit/", context=4096)
            assert shown["fit"]["known"]
            assert _figures(shown["fit"]) == _figures(here)
            # The catalogue's estimate is the weights as stored; this machine may compute in wider numbers.
            assert entry["needed_bytes"] < shown["fit"]["devices"][0]["needed_bytes"] * 2


def _of(api: httpx.Client, path: str, **query: Any) -> dict[str, Any]:
    answer = api.get(path, params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def _figures(fit: dict[str, Any]) -> list[dict[str, Any]]:
    return [{name: line[name] for name in FIGURES} for line in fit["devices"]]
