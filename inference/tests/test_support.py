"""Which models are packed is found out by trying, and those that are not say why."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from inference.engines import checkpoint  # noqa: E402
from inference.engines.packed import support  # noqa: E402
from inference.protocol import ModelSpec  # noqa: E402
from inference.tests import tiny_models  # noqa: E402

Make = Callable[[Path], Path]

REASONS = {
    "make_qwen3_next": "1 of its 2 layers are no attention",
    "make_gemma2": "softcap",
    "make_gpt_oss": "s_aux",
    "make_phi3_longrope": "longrope",
    "make_llama_dynamic": "dynamic",
    "make_t5": "encoder-decoder",
}


def model_of(folder: Path) -> Any:
    spec = ModelSpec("m", "m", "transformers", {"kind": "folder", "path": str(folder)})
    return checkpoint.load(spec, lambda progress: None).model


@pytest.mark.parametrize("make", tiny_models.PACKED, ids=lambda make: make.__name__[5:])
def test_the_listed_families_take_the_packed_path(make: Make, tmp_path: Path) -> None:
    verdict = support.examine(model_of(make(tmp_path)), "cpu")
    assert verdict.packs, verdict.reason


def test_the_expanded_keys_and_values_of_mla_are_counted(tmp_path: Path) -> None:
    verdict = support.examine(model_of(tiny_models.make_deepseek_v3(tmp_path)), "cpu")
    assert [(s.heads, s.key_dim, s.value_dim) for s in verdict.layers] == [(4, 16, 16)] * 2


@pytest.mark.parametrize("make", tiny_models.NOT_PACKED, ids=lambda make: make.__name__[5:])
def test_the_others_say_why_and_are_left_as_they_were(make: Make, tmp_path: Path) -> None:
    model = model_of(make(tmp_path))
    before = model.config._attn_implementation
    verdict = support.examine(model, "cpu")
    assert not verdict.packs and REASONS[make.__name__] in verdict.reason
    assert model.config._attn_implementation == before


def test_a_model_that_mixes_rows_in_an_unknown_way_is_found_out(tmp_path: Path) -> None:
    model = model_of(tiny_models.make_llama(tmp_path))
    layer = model.get_submodule("model.layers.1")

    def leak(module: Any, args: Any, output: Any) -> Any:
        return output + output.mean(dim=1, keepdim=True)

    layer.register_forward_hook(leak)
    verdict = support.examine(model, "cpu")
    assert not verdict.packs and "differ" in verdict.reason
