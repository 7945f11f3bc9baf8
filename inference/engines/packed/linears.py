"""Matrix products with weights laid out once for the processor, and int8 ones with one scale per row.

All take x [..., in] and give [..., out]. A row of an int8 product does not depend on the rows beside it: its
scale is its own, the sum of integers is exact, and what follows is done number by number. (A float product
may add in another order when there are more rows.)
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from inference.engines import kept
from inference.engines.packed import native

Product = Callable[[Tensor], Tensor]
Weight = tuple[Tensor, Tensor | None]  # [out, in] and [out]

_onednn = torch.ops.mkldnn
_quantized = torch.ops.quantized
_int8_product = _quantized.linear_with_input_q_dq_qweight_dq_output_fp32
# What is below torch's look at each argument, which takes as long as the product of a small layer.
_int8_product = getattr(_int8_product, "_op", _int8_product)


def product(
    parts: Sequence[nn.Linear], weights: str, peaks: Tensor | None = None, fine: bool = False
) -> Product:
    """The linears `parts`, which read the same rows, as one product whose columns stand side by side.

    For int8 only: peaks [in], how large each number of a row was seen to be, for `Int8`; fine: `Int8Fine`.
    """
    weight = (
        torch.cat([part.weight.detach() for part in parts]) if len(parts) > 1 else parts[0].weight.detach()
    )
    biases = [part.bias.detach() for part in parts if part.bias is not None]
    bias = torch.cat(biases) if biases else None
    if native.ready and weights == "float32":
        # Released checkpoints are bfloat16: kept so they are the same numbers in half the memory.
        exact = torch.equal(weight.bfloat16().float(), weight)
        return native.Packed(weight, bias, "bfloat16" if exact else "float32")
    if native.ready and weights == "int8" and not _multiplies_int8():
        return native.Packed(weight, bias, "int8")
    if weights != "int8":
        return Float(weight, bias)
    return Int8Fine(weight, bias) if fine else Int8(weight, bias, peaks)


class Float:
    """A product in the weight's own type (float32 or bfloat16), its weight in oneDNN's blocks."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self._weight, self._bias = _onednn._reorder_linear_weight(weight, None), bias

    def __call__(self, x: Tensor) -> Tensor:
        y: Tensor = _onednn._linear_pointwise(x, self._weight, self._bias, "none", [], "")
        return y


class Int8:
    """A float32 product through int8: symmetric, one scale per row of x and one per column of the result.

    In a trained model a few places of x, always the same, hold numbers many times larger than the rest. They
    would set the row's scale and leave few steps to the others. So such a place is divided by a whole number
    and stands that many times in the row and in the weight (outlier channel splitting, Zhao et al. 2019).
    `peaks` tells where these places are.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, peaks: Tensor | None = None) -> None:
        self._extra: Tensor | None = None
        self._shrink: Tensor | None = None
        if peaks is not None:
            copies = _copies(peaks)
            self._extra = torch.repeat_interleave(copies - 1)
            self._shrink = 1 / torch.cat((copies, copies[self._extra])).float()
            weight = torch.cat((weight, weight[:, self._extra]), 1)
        self._weight, self._bias = _rounded(weight), bias
        levels = _levels()
        self._step, self._zero = 1 / levels, levels + 1

    def __call__(self, x: Tensor) -> Tensor:
        if native.ready:
            rows, most = native.scale_rows(x, self._extra, self._shrink)
            return native.rescale_rows(
                _int8_product(rows, self._step, self._zero, self._weight), most, self._bias
            )
        if self._extra is not None and self._shrink is not None:
            x = torch.cat((x, x.index_select(-1, self._extra)), -1).mul_(self._shrink)
        # A row of zeros becomes NaN here, then some integer, then zero again when it is multiplied below.
        largest = x.abs().amax(-1, keepdim=True)
        y: Tensor = _int8_product(x / largest, self._step, self._zero, self._weight)
        return y.mul_(largest) if self._bias is None else torch.addcmul(self._bias, y, largest)


class Int8Fine:
    """The same with rows of 15 bits: each number is a whole step and a rest, both int8, and the rests are
    multiplied as rows of their own. The weight is read once; what is multiplied doubles."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self._weight, self._bias = _rounded(weight), bias
        self._levels = _levels()

    def __call__(self, x: Tensor) -> Tensor:
        if native.ready:
            both, steps_ = native.split_rows(x, self._levels)
            y = _int8_product(both, 1.0, self._levels + 1, self._weight)
            return native.join_rows(y, steps_, self._bias, self._levels)
        step = x.abs().amax(-1, keepdim=True).div_(self._levels)
        rows = x / step
        both = rows.new_empty(2, *rows.shape)
        steps, rests = both.unbind()
        torch.round(rows, out=steps)
        torch.sub(rows, steps, out=rests).mul_(2 * self._levels)
        y, y_rests = _int8_product(both, 1.0, self._levels + 1, self._weight).unbind()
        y.add_(y_rests, alpha=0.5 / self._levels)
        return y.mul_(step) if self._bias is None else torch.addcmul(self._bias, y, step)


def _copies(peaks: Tensor) -> Tensor:
    """How often each place stands in the row: as even as some more places than there were allow."""
    room, low, high = min(32, len(peaks) // 8), 0.0, float(peaks.max())
    for _ in range(30):
        middle = (low + high) / 2
        if int((peaks / middle).ceil().clamp_(min=1).sum()) - len(peaks) <= room:
            high = middle
        else:
            low = middle
    return (peaks / high).ceil().clamp_(min=1).long()


@cache
def int8_works() -> bool:
    """Whether there is an int8 product: our own, or FBGEMM's (x86)."""
    if native.open_kernels(kept.folder()):
        return True
    try:
        return _levels() > 0
    except (RuntimeError, AttributeError):
        return False


@cache
def bfloat16_works() -> bool:
    """Whether oneDNN has a bfloat16 product for this processor (x86: from AVX-512 on)."""
    try:
        Float(torch.zeros(16, 16, dtype=torch.bfloat16), None)(torch.zeros(1, 16, dtype=torch.bfloat16))
        return True
    except RuntimeError:
        return False


@cache
def _multiplies_int8() -> bool:
    """Whether the processor multiplies int8 so much faster than float32 (VNNI) that the rows are worth
    rounding; without it only the weights are."""
    try:
        return _levels() == 127
    except (RuntimeError, AttributeError):
        return False


@cache
def _levels() -> int:
    """How many steps of a row's scale there are on each side: 127, or 63 where the processor adds two
    products in 16 bits and cuts what is larger (AVX2 without VNNI)."""
    y = _int8_product(torch.ones(4, 64), 1 / 127, 128, _rounded(torch.ones(16, 64)))
    return 127 if bool((y - 64).abs().max() < 0.01) else 63


def _rounded(weight: Tensor) -> Any:
    """A weight [out, in] as int8 in FBGEMM's blocks."""
    scale = weight.abs().amax(1).clamp_(min=1e-12).div_(127)
    whole = (weight / scale[:, None]).round_().to(torch.int8)
    zeros = torch.zeros(len(scale), dtype=torch.long)
    with warnings.catch_warnings():  # says that quantised tensors will leave torch one day
        warnings.simplefilter("ignore", UserWarning)
        tensor = torch._make_per_channel_quantized_tensor(whole, scale.double(), zeros, 0)
    return _quantized.linear_prepack(tensor, None)


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


def parts(linears: Sequence[nn.Linear], weights: str, peaks: Tensor | None = None) -> list[Part]:
    """One for each of `linears`, which read the same rows."""
    shared = _Shared(product(linears, weights, peaks), [linear.out_features for linear in linears])
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
