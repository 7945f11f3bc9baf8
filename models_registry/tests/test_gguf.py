"""A GGUF file as a source: what is read from its head, what is refused, and which engine it gets."""

from __future__ import annotations

import struct
import sys
from pathlib import Path
from typing import Any

import pytest

from config.errors import AppError
from models_registry.gguf import gguf_engine
from models_registry.sources import source_check

_KINDS = {int: 4, str: 8}


def make(path: Path, **values: Any) -> Path:
    """A head without tensors; names have "__" for a point."""

    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value.encode())) + value.encode()

    usual = {
        "general__architecture": "qwen2",
        "general__file_type": 15,
        "qwen2__block_count": 2,
        "qwen2__context_length": 32768,
        "tokenizer__chat_template": "{% if tools %}<tool_call>{% endif %}<think>",
    }
    entries = {name: value for name, value in {**usual, **values}.items() if value is not None}
    data = b"GGUF" + struct.pack("<IQQ", 3, 0, len(entries))
    for name, value in entries.items():
        data += text(name.replace("__", ".")) + struct.pack("<I", _KINDS[type(value)])
        data += text(value) if isinstance(value, str) else struct.pack("<I", value)
    path.write_bytes(data)
    return path


def test_the_head_says_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEARTH_LLAMA_SERVER", sys.executable)
    found = source_check({"kind": "gguf", "path": str(make(tmp_path / "m.gguf"))})
    assert (found.engine, found.family, found.context_length) == ("llama_cpp", "qwen2", 32768)
    assert found.capabilities == ["continue", "reasoning", "tools"]
    assert found.source["quantization"] == "Q4_K_M" and found.source["path"] == str(tmp_path / "m.gguf")


def test_without_a_program_it_is_dequantised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEARTH_LLAMA_SERVER", "/nowhere/llama-server")
    assert gguf_engine() == "transformers"


@pytest.mark.parametrize(
    "values", [{"split__count": 3}, {"general__architecture": None}, {"qwen2__block_count": None}]
)
def test_a_part_and_a_nameless_one_are_refused(tmp_path: Path, values: dict[str, Any]) -> None:
    with pytest.raises(AppError) as refused:
        source_check({"kind": "gguf", "path": str(make(tmp_path / "m.gguf", **values))})
    assert refused.value.code == "invalid_model_file"


@pytest.mark.parametrize("data", [b"", b"GGUF", b"\x80\x04pickle", b"GGUF" + b"\xff" * 64])
def test_what_is_no_gguf_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "m.gguf").write_bytes(data)
    with pytest.raises(AppError) as refused:
        source_check({"kind": "gguf", "path": str(tmp_path / "m.gguf")})
    assert refused.value.code == "invalid_model_file"
