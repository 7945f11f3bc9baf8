"""Modules that the engine puts in the place of the library's."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer

from inference.engines import kept
from inference.engines.packed import elementwise, linears, native, stored, weights
from inference.tests import tiny_models


@pytest.fixture(params=["kernels", "torch alone"])
def way(request, monkeypatch):
    """The two ways of a product: by our kernels, and without."""
    assert native.open_kernels(kept.folder())
    if request.param == "torch alone":
        monkeypatch.setattr(native, "ready", False)
        monkeypatch.setattr(native, "open_kernels", lambda cache: False)
    return request.param


def _model(make: Any, folder: Any) -> Any:
    return AutoModelForCausalLM.from_pretrained(make(folder), dtype=torch.float32).eval()


def _logits(model: Any, ids: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        logits: torch.Tensor = model(input_ids=ids, use_cache=False).logits
        return logits


def _kinds(model: nn.Module) -> set[type[nn.Module]]:
    return {type(module) for module in model.modules()}


def _ids(rows: int) -> torch.Tensor:
    return torch.randint(0, 250, (1, rows), generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("make", tiny_models.PACKED, ids=lambda make: make.__name__[5:])
def test_the_logits_of_each_family_are_the_librarys(tmp_path, make, way):
    model = _model(make, tmp_path)
    ids = _ids(40)
    expected = _logits(model, ids)
    weights.prepare(model, "float32")
    assert (_logits(model, ids) - expected).abs().max() < 1e-4
    assert {elementwise.RMSNorm, linears.Linear} <= _kinds(model)


@pytest.mark.parametrize("make", tiny_models.PACKED, ids=lambda make: make.__name__[5:])
def test_generate_gives_the_same_tokens_with_the_new_modules(tmp_path, make):
    model = _model(make, tmp_path)
    options = {"max_new_tokens": 24, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
    expected = model.generate(_ids(20), **options)
    weights.prepare(model, "float32")
    assert torch.equal(model.generate(_ids(20), **options), expected)


def test_queries_keys_and_values_are_one_product_and_so_are_gate_and_up(tmp_path):
    model = _model(tiny_models.make_llama, tmp_path)
    weights.prepare(model, "float32")
    assert {linears.Part, linears.GatedMLP} <= _kinds(model)
    assert nn.Linear not in _kinds(model)


def test_a_router_keeps_its_weights(tmp_path):
    model = _model(tiny_models.make_qwen3_moe, tmp_path)
    router = model.model.layers[0].mlp.gate
    weights.prepare(model, "int8")
    assert model.model.layers[0].mlp.gate is router and router.weight.dtype == torch.float32


def test_parts_asked_in_any_order_or_for_other_rows_give_their_own_result():
    torch.manual_seed(0)
    layers = [nn.Linear(16, width) for width in (24, 8, 8)]
    new = linears.parts(layers, "float32")
    with torch.no_grad():
        x, other = torch.randn(5, 16), torch.randn(7, 16)
        for order in ([0, 1, 2], [2, 0, 1], [1, 1, 0]):
            for i in order:
                torch.testing.assert_close(new[i](x), layers[i](x))
        torch.testing.assert_close(new[0](x), layers[0](x))
        torch.testing.assert_close(new[1](other), layers[1](other))
        torch.testing.assert_close(new[2](x), layers[2](x))


@pytest.mark.parametrize("bias", [False, True])
def test_a_row_of_an_int8_product_does_not_depend_on_the_rows_beside_it(bias):
    assert native.open_kernels(kept.folder())
    torch.manual_seed(0)
    product = linears.product([nn.Linear(576, 320, bias=bias)], "int8")
    x = torch.randn(257, 576) * torch.logspace(-3, 3, 257)[:, None]
    with torch.inference_mode():
        alone = torch.cat([product(row[None]) for row in x])
        for size in (2, 3, 16, 31, 100, 257):
            together = torch.cat([product(rows) for rows in x.split(size)])
            assert torch.equal(together, alone), size


def test_a_poisoned_row_of_an_int8_product_poisons_no_other_and_zeros_stay_zeros(way):
    torch.manual_seed(0)
    product = linears.product([nn.Linear(64, 48, bias=False)], "int8")
    x = torch.randn(4, 64)
    with torch.inference_mode():
        expected = product(x)
        x[1, 3], x[2] = torch.nan, 0
        y = product(x)
    assert torch.equal(y[[0, 3]], expected[[0, 3]])
    assert y[1].isnan().all() and not y[2].any()


def test_a_row_of_a_norm_does_not_depend_on_the_rows_beside_it():
    torch.manual_seed(0)
    norm = elementwise.RMSNorm(nn.Parameter(torch.rand(576)), torch.rand(576), 1e-5)
    x = torch.randn(1, 300, 576)
    with torch.inference_mode():
        alone = torch.cat([norm(x[:, i : i + 1]) for i in range(300)], 1)
        assert torch.equal(norm(x), alone)


def test_int8_keeps_the_answer_of_each_family_near(tmp_path):
    for make in tiny_models.PACKED:
        model = _model(make, tmp_path / make.__name__)
        expected = _logits(model, _ids(40))
        weights.prepare(model, "int8")
        logits = _logits(model, _ids(40))
        # Far from nothing: with weights this random, a rounded row may go to another expert.
        assert (logits - expected).norm() / expected.norm() < 0.25, make.__name__
        assert torch.equal(_logits(model, _ids(40)), logits)


def test_int8_is_near_to_float(way):
    torch.manual_seed(0)
    layers = [nn.Linear(256, 128), nn.Linear(256, 64)]
    x = torch.randn(9, 256)
    with torch.inference_mode():
        expected = torch.cat([layer(x) for layer in layers], -1)
        error = (linears.product(layers, "int8")(x) - expected).norm() / expected.norm()
    assert error < 0.02


def test_a_module_that_only_looks_like_a_known_one_stays(tmp_path):
    class OddRMSNorm(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight, self.eps = nn.Parameter(torch.rand(8)), 1e-6

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * self.weight

    class OddMLP(nn.Module):
        def __init__(self, known: Any) -> None:
            super().__init__()
            self.gate_proj, self.up_proj, self.down_proj = known.gate_proj, known.up_proj, known.down_proj
            self.act_fn = known.act_fn

        def forward(self, x: torch.Tensor) -> Any:
            return self.down_proj(self.act_fn(self.gate_proj(x) + self.up_proj(x)))

    model = _model(tiny_models.make_llama, tmp_path)
    odd = OddMLP(model.model.layers[0].mlp)
    model.model.layers[0].mlp = odd
    expected = _logits(model, _ids(9))
    weights.prepare(model, "float32")
    assert model.model.layers[0].mlp is odd
    torch.testing.assert_close(_logits(model, _ids(9)), expected, rtol=1e-4, atol=1e-5)
    assert elementwise.rms_norm(OddRMSNorm()) is None


def test_a_table_of_bfloat16_numbers_is_kept_as_such(tmp_path):
    model = _model(tiny_models.make_llama, tmp_path)
    with torch.no_grad():
        table = model.get_input_embeddings().weight
        table.copy_(table.bfloat16())
    expected = model.get_input_embeddings()(_ids(9))
    weights.prepare(model, "int8")
    assert isinstance(model.get_input_embeddings(), stored.Table)
    assert torch.equal(model.get_input_embeddings()(_ids(9)), expected)
    assert model.dtype == torch.float32


_TEXT = [*(f"decisions/00{n:02}-*.md" for n in range(1, 11)), "timeouts.md", "reference/frames.md"]


@pytest.mark.real_model
@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get("HEARTH_TEST_MODEL"), reason="HEARTH_TEST_MODEL is not set")
def test_int8_costs_less_than_one_percent_of_perplexity():
    folder = os.environ["HEARTH_TEST_MODEL"]
    docs = Path(__file__).parents[2] / "docs"
    text = "\n".join(file.read_text() for name in _TEXT for file in sorted(docs.glob(name)))
    ids = torch.tensor(AutoTokenizer.from_pretrained(folder)(text).input_ids)[:4608]
    assert len(ids) == 4608
    perplexity, likely = {}, {}
    for kind in ("float32", "int8"):
        model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        weights.prepare(model, kind)
        rows = [(row, _logits(model, row[None])[0]) for row in ids.split(512)]
        losses = [nn.functional.cross_entropy(logits[:-1], row[1:]) for row, logits in rows]
        perplexity[kind] = math.exp(sum(losses) / len(losses))
        likely[kind] = torch.cat([logits.argmax(-1) for _, logits in rows])
    same = (likely["int8"] == likely["float32"]).double().mean().item()
    print(f"perplexity {perplexity}, the same most likely token {same:.1%}")
    assert perplexity["int8"] < perplexity["float32"] * 1.01
    assert same > 0.92
