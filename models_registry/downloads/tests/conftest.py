from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models_registry.downloads import services, transfer
from models_registry.downloads.transfer import Patience
from models_registry.hubs.base import RepoInfo
from models_registry.tests.conftest import hub as hub
from models_registry.tests.conftest import quiet_broker as quiet_broker
from models_registry.tests.conftest import safetensors
from models_registry.tests.conftest import service_away as service_away

CONFIG = {"model_type": "llama", "max_position_embeddings": 8192, "architectures": ["LlamaForCausalLM"]}
TEMPLATE = {"chat_template": "{% for m in messages %}{{ m.content }}{% endfor %}"}


HASTY = Patience(tries=4, first_wait=0.01, longest_wait=0.05, silence=2)


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "PATIENCE", HASTY)
    monkeypatch.setattr(services, "_wake", lambda download_id: None)


def fill_repo(folder: Path, *, size: int = 300_000, seed: int = 1, **config: Any) -> Path:
    """A small model as a hub has it: config, tokenizer, weights of about `size` bytes, a licence, code."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(CONFIG | config))
    (folder / "tokenizer_config.json").write_text(json.dumps(TEMPLATE))
    (folder / "LICENSE").write_text("Do what you like.")
    (folder / "README.md").write_text("# A model")
    count = size // 4
    header = {"w": {"dtype": "F32", "shape": [count], "data_offsets": [0, count * 4]}}
    (folder / "model.safetensors").write_bytes(safetensors(header, random.Random(seed).randbytes(count * 4)))
    return folder


def read(folder: Path) -> dict[str, bytes]:
    """Every file below, parts included."""
    return {os.path.relpath(path, folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def make_repo(tmp_path: Path, hub: Any) -> Callable[..., Path]:
    def make(name: str = "lab/tiny", **more: Any) -> Path:
        return fill_repo(tmp_path / "hub" / name, **more)

    return make


@pytest.fixture
def data(tmp_path: Path, settings: Any) -> Path:
    settings.HEARTH_DATA = tmp_path / "data"
    return tmp_path / "data"


def info_of(name: str, repo: str = "lab/tiny") -> RepoInfo:
    from models_registry import hubs

    return hubs.get(name).info(repo)
