"""What is foretold of a linear is what the engine makes of it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from inference.engines import kept
from inference.engines.packed import linears, native, sizes

SHAPES = [(64, 64), (100, 72), (33, 520), (288, 512), (1000, 576)]


@pytest.fixture(scope="module", autouse=True)
def kernels():
    if not native.open_kernels(kept.folder()):
        pytest.skip("there are no kernels here")


def linear(out: int, inputs: int, exact: bool) -> nn.Linear:
    made = nn.Linear(inputs, out, bias=False).requires_grad_(False)
    if exact:
        made.weight.data = made.weight.data.bfloat16().float()
    return made


@pytest.mark.parametrize(("out", "inputs"), SHAPES)
@pytest.mark.parametrize(("weights", "exact"), [("float32", False), ("float32", True), ("int8", False)])
def test_panels_of_our_kernels(out: int, inputs: int, weights: str, exact: bool) -> None:
    product: Any = linears.product([linear(out, inputs, exact)], weights)
    held = product._held[0].nbytes
    assert held == sizes.linear_bytes(out, inputs, sizes.layout(weights, True, exact))


@pytest.mark.parametrize(("out", "inputs"), SHAPES)
def test_int8_without_kernels(out: int, inputs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "ready", False)
    product: Any = linears.product([linear(out, inputs, False)], "int8")
    held = product._weight.nbytes + product._scale.nbytes
    assert held == sizes.linear_bytes(out, inputs, sizes.layout("int8", False, False))


@pytest.mark.parametrize(("out", "inputs"), SHAPES)
@pytest.mark.parametrize("weights", ["float32", "bfloat16"])
def test_blocks_of_onednn(out: int, inputs: int, weights: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if "avx512_bf16" not in sizes.processor():
        pytest.skip("the blocks of this processor were not looked at")
    monkeypatch.setattr(native, "ready", False)
    made = linear(out, inputs, True).to(getattr(torch, weights))
    product: Any = linears.product([made], weights)
    held = torch.ops.mkldnn._nbytes(product._weight)
    assert held == sizes.linear_bytes(out, inputs, sizes.layout(weights, False, True))
