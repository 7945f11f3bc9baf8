"""What is told of a model on a hub is what its files say once they are here."""

from __future__ import annotations

import json
import struct
import time
from pathlib import Path
from typing import Any

import pytest

from config.errors import AppError
from inference import bounded, gguf_header
from models_registry import hubs
from models_registry.hubs import headers, limits
from models_registry.hubs.choose import wanted_files
from models_registry.tests.conftest import safetensors
from tests.fake_hub import FakeHub
from tests.patience import timed, within

BOTH = ["modelscope", "huggingface"]


@pytest.fixture
def folder(hub: FakeHub) -> Path:
    folder = hub.repos.root / "acme" / "two"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"model_type": "llama", "num_hidden_layers": 2}')
    (folder / "tokenizer_config.json").write_text('{"chat_template": "{{ tools }}"}')
    for number in (1, 2):
        names = [f"layers.{number}.{i}.a.rather.long.name.of.a.tensor" for i in range(3000)]
        tensors = {
            n: {"dtype": "BF16", "shape": [2], "data_offsets": [4 * i, 4 * i + 4]}
            for i, n in enumerate(names)
        }
        file = folder / f"model-0000{number}-of-00002.safetensors"
        file.write_bytes(safetensors(tensors, b"\0" * 4 * len(names)))
    return folder


def gguf(metadata: dict[str, Any], tensors: dict[str, tuple[int, ...]], words: int = 0) -> bytes:
    """The bytes of a small GGUF file of float32 tensors, with a vocabulary of so many words."""

    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value.encode())) + value.encode()

    def line(key: str, value: Any) -> bytes:
        if isinstance(value, str):
            return text(key) + struct.pack("<I", 8) + text(value)
        return text(key) + struct.pack("<II", 4, value)

    vocabulary = text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, words)
    vocabulary += b"".join(text(f"word number {n}") for n in range(words))
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata) + 1)
    head += b"".join(line(key, value) for key, value in metadata.items()) + vocabulary
    offset = 0
    for name, shape in tensors.items():
        head += text(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *shape[::-1])
        head += struct.pack("<IQ", 0, offset)
        size = 4
        for side in shape:
            size *= side
        offset += -(-size // 32) * 32
    return head + b"\0" * (-len(head) % 32) + b"\0" * offset


@pytest.mark.parametrize("name", BOTH)
def test_a_folder_on_a_hub_tells_what_its_files_say(name: str, folder: Path, hub: FakeHub):
    client = hubs.get(name)
    found = headers.facts(client, client.info("acme/two"))
    assert found["config"] == json.loads((folder / "config.json").read_text())
    assert found["template"] == "{{ tools }}"
    assert found["files"] == sum(file.stat().st_size for file in folder.iterdir())
    local = [
        {"name": key, "dtype": tensor.dtype, "shape": list(tensor.shape)}
        for file in sorted(folder.glob("*.safetensors"))
        for key, tensor in bounded.read_header(file).items()
    ]
    assert len(local) == 6000 and found["tensors"] == local
    asked = sum(seen.range.startswith("bytes=") for seen in hub.asked_for("/cdn/"))
    assert asked >= 4, "the headers are longer than one piece"


@pytest.mark.parametrize("name", BOTH)
def test_a_gguf_file_on_a_hub_tells_what_it_says(name: str, hub: FakeHub):
    folder = hub.repos.root / "acme" / "one-GGUF"
    folder.mkdir(parents=True)
    file = folder / "one-Q4_K_M.gguf"
    metadata = {
        "general.architecture": "llama",
        "llama.block_count": 2,
        "tokenizer.chat_template": "{{ tools }}",
    }
    file.write_bytes(
        gguf(metadata, {"token_embd.weight": (7, 3), "blk.0.attn_q.weight": (3, 3)}, words=20_000)
    )
    client = hubs.get(name)
    found = headers.facts(client, client.info("acme/one-GGUF"))
    local = gguf_header.read_header(file)
    assert found["config"] == gguf_header.config(local.metadata)
    assert found["config"]["num_hidden_layers"] == 2 and found["config"]["vocab_size"] == 20_000
    assert found["tensors"] == [
        {"name": e.name, "dtype": e.type, "shape": list(e.shape)} for e in local.tensors
    ]
    assert (found["tensors"][0]["shape"], found["template"]) == ([7, 3], "{{ tools }}")


def refused(hub: FakeHub, **files: bytes) -> str:
    folder = hub.repos.root / "acme" / "bad"
    folder.mkdir(parents=True, exist_ok=True)
    contents = {"config.json": b"{}", "model.safetensors": safetensors()} | files
    for path, content in contents.items():
        (folder / path).write_bytes(content)
    client = hubs.get("huggingface")
    with pytest.raises(AppError) as caught:
        headers.facts(client, client.info("acme/bad"))
    assert caught.value.code == "unsafe_repository"
    return caught.value.message


def test_a_config_that_asks_for_code_is_refused(hub: FakeHub):
    asks = b'{"model_type": "x", "auto_map": {"AutoModel": "evil.Model"}}'
    assert "auto_map" in refused(hub, **{"config.json": asks})
    assert "auto_map" in refused(hub, **{"config.json": b'{"text_config": ' + asks + b"}"})
    assert "auto_map" in refused(hub, **{"config.json": b"{}", "tokenizer_config.json": asks})


def test_headers_that_are_none_are_refused_and_not_read_to_the_end(hub: FakeHub):
    huge = struct.pack("<Q", 1 << 40) + b"{" * 2_000_000
    assert "model.safetensors" in refused(hub, **{"model.safetensors": huge})
    assert hub.sent < 500_000
    assert refused(hub, **{"model.safetensors": b"version https://git-lfs.github.com/spec/v1\n"})
    assert refused(hub, **{"model.safetensors": safetensors()[:-4]})
    assert "config.json" in refused(
        hub, **{"model.safetensors": safetensors(), "config.json": b"[" * 100_000}
    )


@timed
def test_a_hub_that_is_slow_does_not_hold_anybody(
    folder: Path, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
):
    client = hubs.get("huggingface")
    info = client.info("acme/two")
    monkeypatch.setattr(limits, "FACTS", 0.5)
    hub.faults.add("throttle", rate=2000)
    began = time.monotonic()
    with pytest.raises(AppError) as caught:
        headers.facts(client, info)
    assert caught.value.code == "hub_unreachable"
    within(3, time.monotonic() - began)


def test_a_hub_that_ends_in_the_middle_is_an_error_of_the_hub(folder: Path, hub: FakeHub):
    client = hubs.get("modelscope")
    info = client.info("acme/two")
    hub.faults.add("cut", after=1000, match="*.safetensors")
    with pytest.raises(AppError) as caught:
        headers.facts(client, info, wanted_files(info))
    assert caught.value.code == "hub_unreachable"
