"""Models in the hubs' own caches, as the hubs' own libraries lay them down."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from models_registry import caches
from models_registry.folders import folder_inspect
from models_registry.tests.conftest import safetensors
from tests.fake_hub import FakeHub


@pytest.fixture
def places(tmp_path: Path, settings: Any) -> tuple[Path, Path]:
    settings.HEARTH_HUB_CACHES = {"modelscope": tmp_path / "ms", "huggingface": tmp_path / "hf"}
    return tmp_path / "ms", tmp_path / "hf"


@pytest.fixture
def repo(hub: FakeHub) -> Path:
    folder = hub.repos.root / "acme" / "tiny-1.5"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"model_type": "llama"}')
    (folder / "model.safetensors").write_bytes(safetensors())
    (folder / "tiny-Q4_0.gguf").write_bytes(b"GGUF")
    return folder


def test_what_the_libraries_have_fetched_is_found_and_can_be_used_in_place(
    repo: Path, hub: FakeHub, places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
):
    from huggingface_hub import snapshot_download
    from modelscope_hub import HubApi, HubConfig

    scope, face = places
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    snapshot_download("acme/tiny-1.5", endpoint=hub.endpoint, cache_dir=face, token=False)
    config = HubConfig(endpoint=hub.endpoint, token="", cache_dir=scope, config_dir=scope / "config")
    HubApi(config=config).download_repo("acme/tiny-1.5", "model")
    found = caches.cached_models()
    assert {(line.hub, line.kind, line.repo, line.name) for line in found} == {
        (hub_name, kind, "acme/tiny-1.5", name)
        for hub_name in ("modelscope", "huggingface")
        for kind, name in (("folder", "tiny-1.5"), ("gguf", "tiny-Q4_0"))
    }
    for line in found:
        assert Path(line.path).is_absolute()
        if line.kind == "folder":
            assert folder_inspect(line.path).family == "llama"
            assert line.size_bytes == sum(file.stat().st_size for file in repo.iterdir())
        else:
            assert (Path(line.path).read_bytes(), line.size_bytes) == (b"GGUF", 4)


@pytest.mark.parametrize("place", ["hub/models", "hub", "models"])
def test_the_layouts_of_older_versions_are_found(place: str, repo: Path, places: tuple[Path, Path]):
    folder = places[0] / place / "acme" / "tiny-1___5"
    folder.mkdir(parents=True)
    for file in repo.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    line = next(line for line in caches.cached_models() if line.kind == "folder")
    assert (line.repo, line.path) == ("acme/tiny-1.5", str(folder))


def test_the_commit_of_main_is_taken_before_older_ones(places: tuple[Path, Path]):
    entry = places[1] / "models--acme--m"
    for commit in ("a" * 40, "b" * 40):
        folder = entry / "snapshots" / commit
        folder.mkdir(parents=True)
        (folder / "config.json").write_text("{}")
        (folder / "model.safetensors").write_bytes(safetensors())
    (entry / "refs").mkdir()
    (entry / "refs" / "main").write_text("a" * 40)
    (line,) = caches.cached_models()
    assert line.path.endswith("a" * 40)


def test_what_is_half_there_or_odd_is_left_out(places: tuple[Path, Path], tmp_path: Path):
    (places[1] / "models--acme--half" / "snapshots" / ("c" * 40)).mkdir(parents=True)
    (places[1] / "datasets--acme--m" / "snapshots" / "x").mkdir(parents=True)
    outside = tmp_path / "outside"
    outside.mkdir()
    (places[1] / "models--acme--link").symlink_to(outside)
    (places[0] / "models").mkdir(parents=True)
    (places[0] / "models" / "a file").write_text("")
    assert caches.cached_models() == []


def test_no_cache_at_all_is_an_empty_list(places: tuple[Path, Path]):
    assert caches.cached_models() == []
