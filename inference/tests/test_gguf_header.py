"""The head of a GGUF file: as the format's own library writes it, and as one who means harm does."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy
import pytest

from inference import gguf_header
from inference.bounded import Refused

gguf: Any = pytest.importorskip("gguf")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "m.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(2)
    writer.add_context_length(4096)
    writer.add_embedding_length(64)
    writer.add_head_count(4)
    writer.add_head_count_kv([2, 1])
    writer.add_token_list([f"t{n}" for n in range(1000)])
    writer.add_token_scores([0.0] * 1000)
    writer.add_tensor("token_embd.weight", numpy.zeros((1000, 64), dtype=numpy.float32))
    quantised = gguf.quants.quantize(
        numpy.zeros((64, 64), dtype=numpy.float32), gguf.GGMLQuantizationType.Q8_0
    )
    writer.add_tensor("blk.0.attn_q.weight", quantised, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_the_head_as_the_formats_library_writes_it(file: Path) -> None:
    found = gguf_header.read_header(file)
    assert [(t.name, t.type, t.shape, t.bytes) for t in found.tensors] == [
        ("token_embd.weight", "F32", (1000, 64), 256_000),
        ("blk.0.attn_q.weight", "Q8_0", (64, 64), 64 * 2 * 34),
    ]
    assert (
        "tokenizer.ggml.tokens" not in found.metadata
        and found.metadata["tokenizer.ggml.tokens.length"] == 1000
    )
    assert gguf_header.config(found.metadata) == {
        "model_type": "llama",
        "num_hidden_layers": 2,
        "max_position_embeddings": 4096,
        "hidden_size": 64,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": 1000,
    }


def test_the_sizes_of_the_types_are_the_formats() -> None:
    theirs = {kind.value: (kind.name, *gguf.GGML_QUANT_SIZES[kind]) for kind in gguf.GGMLQuantizationType}
    assert {number: theirs[number] for number in gguf_header.TYPES} == gguf_header.TYPES


def test_no_cut_of_the_file_passes(file: Path) -> None:
    whole = file.read_bytes()
    for length in (0, 3, 10, 24, 100, 5000, len(whole) // 2, len(whole) - 5000):
        file.write_bytes(whole[:length])
        with pytest.raises(Refused):
            gguf_header.read_header(file)


def head(tensors: int, keys: int, rest: bytes = b"") -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, tensors, keys) + rest


KEY = struct.pack("<Q", 1) + b"k"


@pytest.mark.parametrize(
    "data",
    [
        b"GGUF" + struct.pack("<IQQ", 1, 0, 0),
        head(1 << 60, 0),
        head(0, 1 << 60),
        head(0, 1, struct.pack("<Q", 1 << 62)),
        head(0, 1, KEY + struct.pack("<IIQ", 9, 8, 1 << 60)),
        head(0, 1, KEY + struct.pack("<IIQ", 9, 9, 3)),
        head(0, 1, KEY + struct.pack("<I", 77)),
        head(1, 0, KEY + struct.pack("<I", 1 << 31)),
        head(1, 0, KEY + struct.pack("<IQIQ", 1, 1 << 60, 0, 0)),
        head(1, 0, KEY + struct.pack("<IQIQ", 1, 8, 0, 1 << 62)),
    ],
)
def test_a_head_that_lies_costs_nothing(data: bytes) -> None:
    with pytest.raises(Refused):
        gguf_header.header(io.BytesIO(data).read, len(data), "m.gguf")
