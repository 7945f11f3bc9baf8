"""Models that are stored in 16 bits and computed in float32."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

from inference.engines import checkpoint
from inference.engines.packed import linears, stored, weights
from inference.protocol import ModelSpec
from inference.tests import tiny_models


def short(make: Any, folder: Path, dtype: torch.dtype = torch.bfloat16) -> Path:
    """The model of `make`, stored in `dtype`."""
    made = make(folder / "made")
    kind: Any = AutoModelForSeq2SeqLM if make is tiny_models.make_t5 else AutoModelForCausalLM
    kind.from_pretrained(made, dtype=dtype).save_pretrained(folder / "short")
    AutoTokenizer.from_pretrained(made).save_pretrained(folder / "short")
    return folder / "short"


def load(folder: Path, **settings: Any) -> Any:
    spec = ModelSpec("t", "t", "transformers", {"kind": "folder", "path": str(folder)}, settings)
    return checkpoint.load(spec, lambda progress: None).model


def logits(model: Any) -> torch.Tensor:
    ids = torch.randint(0, 250, (1, 40), generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        found: torch.Tensor = model(input_ids=ids, use_cache=False).logits
    return found


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("make", tiny_models.PACKED, ids=lambda make: make.__name__[5:])
def test_a_model_computes_what_its_numbers_give_in_float32(make, dtype, tmp_path: Path) -> None:
    folder = short(make, tmp_path, dtype)
    expected = logits(AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval())
    model = load(folder)
    assert model.dtype == torch.float32
    kinds = {type(module) for module in model.modules()}
    assert stored.Linear in kinds and not any(p.dtype == dtype for p in model.parameters())
    assert (logits(model) - expected).abs().max() < 1e-5
    weights.prepare(model, "float32")
    kinds = {type(module) for module in model.modules()}
    assert linears.Linear in kinds and stored.Linear not in kinds
    assert (logits(model) - expected).abs().max() < 1e-4


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_the_file_is_let_go_when_all_is_laid_out(dtype: str, tmp_path: Path) -> None:
    maps = Path("/proc/self/maps")
    if not maps.exists():
        pytest.skip("only Linux tells what is mapped")
    folder = short(tiny_models.make_llama, tmp_path)
    model = load(folder, dtype=dtype)
    assert str(folder) in maps.read_text()
    weights.prepare(model, dtype)
    assert isinstance(model.get_input_embeddings(), stored.Table)
    assert str(folder) not in maps.read_text()


def test_a_linear_that_is_stored_in_two_types_is_left_to_the_library() -> None:
    types = {
        "model.layers.0.self_attn.q_proj.weight": "BF16",
        "model.layers.1.self_attn.q_proj.weight": "F32",
        "model.layers.0.self_attn.k_proj.weight": "F16",
        "model.layers.0.self_attn.k_proj.bias": "F32",
        "model.layers.0.mlp.experts.0.up_proj.weight": "F32",
        "lm_head.weight": "BF16",
    }
    assert stored.kept(types) == {
        r"\bk_proj\.weight$": torch.float16, r"\blm_head\.weight$": torch.bfloat16,
    }  # fmt: skip


def test_the_library_is_left_as_it_was() -> None:
    owner: Any = transformers.PreTrainedModel
    before = owner._get_dtype_plan, os.environ.get("HF_DEACTIVATE_ASYNC_LOAD")
    with pytest.raises(ValueError, match="broken"), stored.loading({"x": torch.bfloat16}):
        raise ValueError("broken")
    assert (owner._get_dtype_plan, os.environ.get("HF_DEACTIVATE_ASYNC_LOAD")) == before
