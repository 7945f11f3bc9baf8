"""What is done between the matrix products, in fewer steps than the library takes. float32 only."""

from __future__ import annotations

import math
import sys
from typing import Any

import torch
from torch import Tensor, nn

from inference.engines.packed import native

_vector_norm = torch.linalg.vector_norm


class RMSNorm(nn.Module):
    """x * weight / sqrt(mean(x²) + eps) over the last axis (Zhang and Sennrich 2019)."""

    def __init__(self, weight: nn.Parameter, factor: Tensor, eps: float) -> None:
        super().__init__()
        self.weight = weight  # the library asks a model's first parameter for its type and device
        size = factor.numel()
        self._plain, self._eps = factor.contiguous(), eps
        self._factor, self._floor = factor * math.sqrt(size), torch.tensor(math.sqrt(size * eps))

    def forward(self, x: Tensor) -> Tensor:
        if native.ready:
            return native.rms_norm(x, self._plain, self._eps)
        length = torch.hypot(_vector_norm(x, 2, -1, True), self._floor)
        return (x / length).mul_(self._factor)


def rms_norm(norm: nn.Module) -> RMSNorm | None:
    """The same as `norm`, of whatever family; None where it is no RMSNorm that we know."""
    weight, eps = getattr(norm, "weight", None), getattr(norm, "variance_epsilon", getattr(norm, "eps", None))
    if not type(norm).__name__.endswith("RMSNorm") or not isinstance(weight, nn.Parameter) or not eps:
        return None
    if weight.dtype != torch.float32 or dict(norm.named_children()) or len(list(norm.parameters())) != 1:
        return None
    x = torch.randn(3, weight.numel(), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = norm(x)
        for factor in (weight.detach(), 1 + weight.detach()):  # Gemma stores what is added to one
            ours = RMSNorm(weight, factor, float(eps))
            if torch.allclose(ours(x), expected, rtol=1e-5, atol=1e-6):
                return ours
    return None


class _Rotary:
    """Llama's apply_rotary_pos_emb, q * cos + rotate_half(q) * sin, for queries and keys at once."""

    def __init__(self, original: Any) -> None:
        self.original = original
        self._sin: Tensor | None = None
        self._signed: Tensor | None = None

    def __call__(
        self, q: Tensor, k: Tensor, cos: Tensor, sin: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        if args or kwargs or q.dtype != torch.float32 or cos.dim() != 3 or q.shape[-1] != cos.shape[-1]:
            rotated: tuple[Tensor, Tensor] = self.original(q, k, cos, sin, *args, **kwargs)
            return rotated
        together = _joined(q, k)
        if native.ready and together is not None and q.shape[0] == 1:
            native.rotate(together, cos, sin)
            return q, k
        half = q.shape[-1] // 2
        if self._sin is not sin:  # the same for all layers of a forward
            self._signed = torch.cat((-sin[..., :half], sin[..., half:]), -1).unsqueeze(1)
            self._sin = sin
        signed, cos = self._signed, cos.unsqueeze(1)
        assert signed is not None
        if together is not None:
            out = torch.roll(together, half, -1).mul_(signed).addcmul_(together, cos)
            heads = q.shape[1]
            return out[:, :heads], out[:, heads:]
        return (
            torch.roll(q, half, -1).mul_(signed).addcmul_(q, cos),
            torch.roll(k, half, -1).mul_(signed).addcmul_(k, cos),
        )


def _joined(q: Tensor, k: Tensor) -> Tensor | None:
    """Queries and keys [batch, heads, rows, size] as one tensor, where one product made them side by side."""
    batch, heads, rows, size = q.shape
    start = q.storage_offset()
    if (
        q.stride(1) != size
        or k.stride(1) != size
        or (rows > 1 and q.stride(2) != k.stride(2))
        or k.storage_offset() != start + heads * size
        or q.untyped_storage().data_ptr() != k.untyped_storage().data_ptr()
    ):
        return None
    return q.as_strided((batch, heads + k.shape[1], rows, size), q.stride(), start)


def replace_rotary(model: nn.Module) -> None:
    """In the library's module of this model, where its function computes the same as ours."""
    for name in {type(module).__module__ for module in model.modules()}:
        place = sys.modules.get(name)
        original = getattr(place, "apply_rotary_pos_emb", None)
        if original is None or isinstance(original, _Rotary) or not name.startswith("transformers.models."):
            continue
        ours, random = _Rotary(original), torch.Generator().manual_seed(1)
        shapes = [(1, 3, 5, 8), (1, 2, 5, 8), (1, 5, 8), (1, 5, 8)]
        tensors = [torch.randn(shape, generator=random) for shape in shapes]
        try:
            same = all(
                torch.allclose(a, b, atol=1e-6)
                for a, b in zip(ours(*tensors), original(*tensors), strict=True)
            )
        except (RuntimeError, TypeError, ValueError):
            continue
        if same:
            vars(place)["apply_rotary_pos_emb"] = ours
