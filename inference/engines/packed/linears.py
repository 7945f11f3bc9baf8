"""Matrix products with weights laid out once for the processor.

All take x [..., in] and give [..., out]. With the kernels a row of the result does not depend on the rows
beside it; torch's products may add in another order when there are more rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from inference.engines.packed import native, sizes

Product = Callable[[Tensor], Tensor]

_onednn = torch.ops.mkldnn


def product(parts: Sequence[Any], weights: str) -> Product:
    """The linears `parts` (nn.Linear or stored.Linear), which read the same rows, as one product whose
    columns stand side by side."""
    weight = parts[0].weight.detach()
    if len(parts) > 1:
        weight = torch.cat([part.weight.detach() for part in parts])
    biases = [part.bias.detach() for part in parts if part.bias is not None]
    bias = torch.cat(biases) if biases else None
    layout = sizes.layout(weights, native.ready, weights == "float32" and is_exact(weight))
    if layout == "panels int8":
        return native.PackedInt8(weight, bias)
    if layout == "rows int8":
        return Int8(weight, bias)
    if layout.startswith("panels"):
        return native.Packed(weight, bias, layout.split()[1])
    return Float(weight.bfloat16() if weights == "bfloat16" else weight.float(), bias)


def is_exact(weight: Tensor) -> bool:
    """Whether all are bfloat16 numbers, as those of released checkpoints are: kept so they take half."""
    if weight.dtype == torch.bfloat16:
        return True
    return all(torch.equal(piece.bfloat16().float(), piece.float()) for piece in native.pieces(weight))


class Float:
    """A product in the weight's own type (float32 or bfloat16), its weight in oneDNN's blocks."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self._weight, self._bias = _onednn._reorder_linear_weight(weight, None), bias

    def __call__(self, x: Tensor) -> Tensor:
        y: Tensor = _onednn._linear_pointwise(x, self._weight, self._bias, "none", [], "")
        return y


class Int8:
    """Without kernels: a weight of int8, one scale per output, made float32 for each product. That saves
    memory, not time."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        pieces = native.pieces(weight)
        self._scale = torch.cat([piece.float().abs().amax(1).clamp_(min=1e-12).div_(127) for piece in pieces])
        rounded = zip(pieces, torch.split(self._scale, len(pieces[0])), strict=True)
        self._weight = torch.cat([(p / scale[:, None]).round_().to(torch.int8) for p, scale in rounded])
        self._bias = bias

    def __call__(self, x: Tensor) -> Tensor:
        y = nn.functional.linear(x, self._weight.float()).mul_(self._scale)
        return y if self._bias is None else y.add_(self._bias)


@cache
def bfloat16_works() -> bool:
    """Whether oneDNN has a bfloat16 product for this processor (x86: from AVX-512 on)."""
    try:
        Float(torch.zeros(16, 16, dtype=torch.bfloat16), None)(torch.zeros(1, 16, dtype=torch.bfloat16))
        return True
    except RuntimeError:
        return False


class Linear(nn.Module):
    """Stands where an nn.Linear stood."""

    def __init__(self, product: Product) -> None:
        super().__init__()
        self._product = product

    def forward(self, x: Tensor) -> Tensor:
        return self._product(x)


class _Shared:
    """One product for several linears: whoever is asked first computes for all."""

    def __init__(self, product: Product, widths: list[int]) -> None:
        self._product, self._widths = product, widths
        self._x: Tensor | None = None
        self._left: list[Tensor | None] = [None] * len(widths)

    def take(self, x: Tensor, part: int) -> Tensor:
        # The same tensor object, which is held, not one at the same place; each part once per product.
        if self._x is not x or self._left[part] is None:
            self._left = list(torch.split(self._product(x), self._widths, -1))
            self._x = x
        y, self._left[part] = self._left[part], None
        if not any(left is not None for left in self._left):
            self._x = None
        assert y is not None
        return y


class Part(nn.Module):
    """Stands where one of several linears stood that read the same rows."""

    def __init__(self, shared: _Shared, part: int) -> None:
        super().__init__()
        self._shared, self._part = shared, part

    def forward(self, x: Tensor) -> Tensor:
        return self._shared.take(x, self._part)


def parts(linears: Sequence[nn.Linear], weights: str) -> list[Part]:
    """One for each of `linears`, which read the same rows."""
    shared = _Shared(product(linears, weights), [linear.out_features for linear in linears])
    return [Part(shared, part) for part in range(len(linears))]


class GatedMLP(nn.Module):
    """down(act(gate(x)) * up(x)) with gate and up in one product."""

    def __init__(self, gate_up: Product, down: Product, act: nn.Module) -> None:
        super().__init__()
        self._gate_up, self._down = gate_up, down
        self._act: Any = _silu if _is_silu(act) else act

    def forward(self, x: Tensor) -> Tensor:
        both = self._gate_up(x)
        if native.ready and self._act is _silu and both.dtype == torch.float32:
            return self._down(native.silu_gate(both))
        gate, up = both.chunk(2, -1)
        return self._down(self._act(gate).mul_(up))


def _silu(x: Tensor) -> Tensor:
    return nn.functional.silu(x, inplace=True)


def _is_silu(act: nn.Module) -> bool:
    x = torch.linspace(-20, 20, 99)
    return torch.equal(act(x.clone()), nn.functional.silu(x))
