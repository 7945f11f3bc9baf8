"""How much memory a model will take, from what its folder says."""

from __future__ import annotations

import json
import os
import struct
from math import prod
from pathlib import Path
from typing import Any

import pytest

from inference.engines import fit
from inference.engines.packed import sizes
from inference.errors import InferenceError

LLAMA = {"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8}
MLA = {
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "kv_lora_rank": 16,
    "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 4,
    "v_head_dim": 6,
}
TENSORS: dict[str, Any] = {
    "model.embed_tokens.weight": {"dtype": "BF16", "shape": [128, 64]},
    "model.layers.0.mlp.up_proj.weight": {"dtype": "BF16", "shape": [64, 64]},
    "model.norm.weight": {"dtype": "BF16", "shape": [64]},
}
#: Numbers of these, in shapes that no layout fills up.
TABLE, UP, NORM = 128 * 64, 64 * 64, 64
ALL = TABLE + UP + NORM
#: A scale for each output.
TABLE_SCALES, UP_SCALES = 4 * 128, 4 * 64


@pytest.fixture(autouse=True)
def plain_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """One without instructions of its own for bfloat16, where no kernels were built."""
    monkeypatch.setenv("HEARTH_KERNELS", "0")
    monkeypatch.setattr(sizes, "processor", frozenset)


def make(folder: Path, config: dict[str, Any], tensors: dict[str, Any] = TENSORS) -> Path:
    """A whole folder, all of its numbers zero."""
    width, at, header = {"BF16": 2, "F16": 2, "F32": 4, "I32": 4}, 0, {}
    for name, tensor in tensors.items():
        end = at + prod(tensor["shape"]) * width[tensor["dtype"]]
        header[name], at = {**tensor, "data_offsets": [at, end]}, end
    text = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    file = folder / "model.safetensors"
    file.write_bytes(struct.pack("<Q", len(text)) + text)
    os.truncate(file, file.stat().st_size + at)  # takes no room on the disk
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (LLAMA, 2 * 2 * 8 * 2 * 4),
        ({**LLAMA, "num_key_value_heads": None}, 2 * 4 * 8 * 2 * 4),
        ({"text_config": LLAMA, "sliding_window": 4}, 2 * 2 * 8 * 2 * 4),
        ({"n_layer": 2, "n_head": 4, "n_embd": 32}, 2 * 4 * 8 * 2 * 4),
        (MLA, 3 * 4 * (8 + 4 + 6) * 4),
        ({}, 0),
    ],
    ids=["grouped", "every head", "inside a larger model", "gpt2's names", "mla expanded", "unknown"],
)
def test_bytes_of_a_token(config: dict[str, Any], expected: int) -> None:
    assert fit.kv_bytes_per_token(config, 4) == expected


@pytest.mark.parametrize(
    ("settings", "device", "tied", "expected"),
    [
        ({}, "cpu", True, TABLE * 2 + ALL * 4),
        ({"dtype": "bfloat16"}, "cpu", False, ALL * 2),
        ({}, "cuda:0", True, ALL * 2),
        ({"dtype": "bfloat16"}, "cpu", True, ALL * 2),
        ({"dtype": "float16"}, "cpu", True, ALL * 2),
        ({"dtype": "int8"}, "cpu", False, TABLE * 2 + UP + UP_SCALES + NORM * 4),
        ({"dtype": "int8"}, "cpu", True, TABLE * 3 + TABLE_SCALES + UP + UP_SCALES + NORM * 4),
        ({"dtype": "int8"}, "cuda:0", False, ALL * 4),
    ],
)
def test_bytes_of_the_weights(tmp_path: Path, settings: Any, device: str, tied: bool, expected: int) -> None:
    folder = make(tmp_path, {**LLAMA, "tie_word_embeddings": tied})
    assert fit.read(folder, settings, device).weights == expected


def test_our_kernels_keep_bfloat16_numbers_in_two_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEARTH_CACHE", str(tmp_path))
    monkeypatch.delenv("HEARTH_KERNELS", raising=False)
    folder = make(tmp_path, {**LLAMA, "tie_word_embeddings": False})
    before = fit.read(folder, {}).weights
    (tmp_path / "kernels-0.so").touch()
    assert before - fit.read(folder, {}).weights == UP * 2


def test_where_the_processor_multiplies_bfloat16_the_output_layer_is_laid_out_beside_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sizes, "processor", lambda: frozenset({"avx512_bf16"}))
    folder = make(tmp_path, {**LLAMA, "tie_word_embeddings": True})
    assert fit.read(folder, {"dtype": "bfloat16"}).weights == (TABLE + ALL) * 2


def test_experts_stay_as_they_are_loaded_and_a_layer_for_guessing_ahead_is_not_made(tmp_path: Path) -> None:
    tensors = {
        "model.layers.0.mlp.experts.3.up_proj.weight": {"dtype": "BF16", "shape": [32, 8]},
        "model.layers.2.mlp.up_proj.weight": {"dtype": "BF16", "shape": [32, 8]},
    }
    folder = make(tmp_path, LLAMA, tensors)  # of two layers
    assert fit.read(folder, {"dtype": "int8"}).weights == 256 * 4


def test_a_load_from_bfloat16_takes_no_more_on_the_way_than_after_it(tmp_path: Path) -> None:
    for dtype in ("float32", "int8", "bfloat16"):
        plan = fit.read(make(tmp_path, {**LLAMA, "tie_word_embeddings": False}), {"dtype": dtype})
        assert plan.peak == plan.weights and plan.need(0) == plan.total(0)


def test_a_load_from_float32_into_bfloat16_has_all_weights_and_one_of_them_twice(tmp_path: Path) -> None:
    stored = {name: {**tensor, "dtype": "F32"} for name, tensor in TENSORS.items()}
    folder = make(tmp_path, {**LLAMA, "tie_word_embeddings": False}, stored)
    assert fit.read(folder, {"dtype": "bfloat16"}).peak == (ALL + UP) * 2
    plan = fit.read(folder, {"dtype": "int8"})  # stays in the file, as it is
    assert plan.peak == plan.weights


def test_the_experts_of_one_layer_are_there_twice_more_before_they_are_one_tensor(tmp_path: Path) -> None:
    tensors = {
        f"model.layers.{layer}.mlp.experts.{expert}.up_proj.weight": {"dtype": "BF16", "shape": [32, 8]}
        for layer in range(2) for expert in range(4)
    }  # fmt: skip
    plan = fit.read(make(tmp_path, LLAMA, tensors), {})
    assert plan.weights == 8 * 256 * 4 and plan.peak == plan.weights + 2 * 4 * 256 * 4


GIVEN = {
    "config": LLAMA,
    "tensors": [{"name": n, "dtype": t["dtype"], "shape": t["shape"]} for n, t in TENSORS.items()],
}


def test_facts_of_files_that_are_not_here_say_the_same_as_the_files(tmp_path: Path) -> None:
    folder = make(tmp_path, LLAMA)
    assert fit.foresee(fit.Facts.given(GIVEN), {}) == fit.read(folder, {})


def test_other_engines_hold_weights_as_they_are_stored_and_the_latent_of_mla() -> None:
    facts = fit.Facts.given({**GIVEN, "config": MLA})
    vllm = fit.foresee(facts, {}, "cpu", "vllm")
    assert (vllm.weights, vllm.kv_per_token) == (ALL * 2, 3 * (16 + 4) * 2)


def test_what_quantised_tensors_of_a_gguf_file_take() -> None:
    said = {
        "config": {"general.architecture": "llama", "llama.block_count": 2, "llama.attention.head_count": 4,
                   "llama.embedding_length": 256, "llama.context_length": 2048},
        "tensors": [{"name": "blk.0.attn_q.weight", "dtype": "Q4_K", "shape": [256, 256]}],
    }  # fmt: skip
    facts = fit.Facts.given(said)
    assert facts.gguf and fit.foresee(facts, {}, "cpu", "llama_cpp").weights == 256 * 144
    assert fit.foresee(facts, {}).weights == 256 * 256 * 4  # dequantised into our own engine


@pytest.mark.parametrize(
    "bad",
    [
        {"tensors": 3},
        {"tensors": [{"name": "w"}]},
        {"tensors": [{"name": "w", "dtype": "F32", "shape": [-1]}]},
    ],
)
def test_facts_that_are_none_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(InferenceError, match="invalid_request"):
        fit.Facts.given(bad)


def test_a_quantized_checkpoint_stays_as_it_is(tmp_path: Path) -> None:
    packed = {"q.qweight": {"dtype": "I32", "shape": [4, 4]}, "q.scales": {"dtype": "F16", "shape": [4]}}
    folder = make(tmp_path, {**LLAMA, "quantization_config": {"quant_method": "gptq"}}, packed)
    assert fit.read(folder, {}).weights == 16 * 4 + 4 * 2


@pytest.mark.parametrize(
    ("settings", "room", "expected"),
    [
        ({}, None, 32_768),
        ({}, 1 << 40, 32_768),
        ({}, 10_000 * 256, 10_000),
        ({}, 1, 4_096),
        ({"context_length": 6_000}, 1, 6_000),
        ({"context_length": 60_000}, 1 << 40, 60_000),
        ({"context_length": 600_000}, None, 131_072),
        ({"kv_tokens": 512}, 1, 512),
    ],
)
def test_how_many_tokens_a_cache_holds(settings: dict[str, Any], room: int | None, expected: int) -> None:
    config = {**LLAMA, "max_position_embeddings": 131_072}
    assert fit.kv_tokens(settings, config, room) == expected


def test_a_model_whose_context_is_short_asks_for_no_more_than_that(tmp_path: Path) -> None:
    plan = fit.read(make(tmp_path, {**LLAMA, "max_position_embeddings": 128}), {})
    assert plan.tokens(0) == 128 and plan.total(128) == plan.weights + plan.overhead + 128 * 256


def test_what_a_model_gets_of_a_room_fits_into_it(tmp_path: Path) -> None:
    plan = fit.read(make(tmp_path, {**LLAMA, "max_position_embeddings": 128}), {})
    room = plan.total(5_000) + 100
    assert plan.tokens(room) == 5_000 and plan.total(plan.tokens(room)) <= room


def test_a_damaged_folder_is_no_error_and_a_missing_one_is(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"\xff" * 20)
    assert fit.read(tmp_path, {}).weights == 20
    with pytest.raises(InferenceError, match="model_not_found"):
        fit.read(tmp_path / "nothing", {})
