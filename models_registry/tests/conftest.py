from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import APIClient

from accounts.models import User
from models_registry import jobs, live
from models_registry.models import Model
from models_registry.services import model_create
from models_registry.tests.fake_inference import FakeInference
from tests.fake_hub import FakeHub


@pytest.fixture(autouse=True)
def quiet_broker(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Wake-ups are written down instead of sent; the tests of the real worker send them."""
    woken: list[str] = []
    monkeypatch.setattr(jobs, "_wake", woken.append)
    return woken


@pytest.fixture(autouse=True)
def service_away(settings: Any, tmp_path: Path) -> Iterator[None]:
    """Unless a test starts one, there is no model service."""
    settings.HEARTH_INFERENCE = f"unix:{tmp_path}/inference.sock"
    settings.HEARTH_INFERENCE_SECRET = ""
    live.client.cache_clear()
    yield
    live.client.cache_clear()


@pytest.fixture
def inference(tmp_path: Path, service_away: None) -> Iterator[FakeInference]:
    fake = FakeInference(tmp_path / "inference.sock")
    fake.start()
    yield fake
    fake.hold.set()
    fake.stop()


@pytest.fixture
def echo(db: None) -> Model:
    return model_create(name="Echo", source={"kind": "echo"})


@pytest.fixture
def admin_api(db: None) -> APIClient:
    return _signed_in(User.objects.create(username="boss", is_superuser=True, is_staff=True))


@pytest.fixture
def user_api(db: None) -> APIClient:
    return _signed_in(User.objects.create(username="anna"))


def _signed_in(user: User) -> APIClient:
    client = APIClient()
    client.force_authenticate(user)
    return client


def safetensors(tensors: dict[str, Any] | None = None, data: bytes = b"\0" * 8) -> bytes:
    """The bytes of a small but whole safetensors file."""
    header = tensors or {"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


@pytest.fixture
def make_folder(tmp_path: Path) -> Callable[..., Path]:
    """A model folder of the right form; `config` and `tokenizer` are added to what is usual."""

    def make(name: str = "model", *, config: Any = None, tokenizer: Any = None) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        usual = {
            "model_type": "llama",
            "max_position_embeddings": 8192,
            "architectures": ["LlamaForCausalLM"],
        }
        template = {"chat_template": "{% for m in messages %}{{ m.content }}{% endfor %}"}
        (folder / "config.json").write_text(json.dumps(usual | (config or {})))
        (folder / "tokenizer_config.json").write_text(json.dumps(template | (tokenizer or {})))
        (folder / "model.safetensors").write_bytes(safetensors())
        return folder

    return make


@pytest.fixture
def hub(tmp_path: Path, settings: Any) -> Iterator[FakeHub]:
    """Both hubs, from the folders `tmp_path/hub/<owner>/<name>`."""
    folder = tmp_path / "hub"
    folder.mkdir()
    with FakeHub(folder) as fake:
        place = {"endpoint": fake.endpoint, "token": ""}
        settings.HEARTH_HUBS = {"modelscope": place, "huggingface": place}
        yield fake
