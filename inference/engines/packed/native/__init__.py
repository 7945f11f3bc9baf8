"""The kernels (*.c) for torch's tensors. Only float32 on a processor; `ready` says whether there are any.

Without them (no compiler, Windows, HEARTH_KERNELS=0) the same is done by torch's own operations.
"""

from __future__ import annotations

import ctypes
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from inference.engines.packed.native.build import built

log = logging.getLogger(__name__)

ready = False
_calls: Any = None  # keeps the interpreter's lock: these take microseconds
_long_calls: Any = None  # gives it to the other threads meanwhile

#: A product of so many rows takes milliseconds.
MANY_ROWS = 16

_P, _N, _F = ctypes.c_void_p, ctypes.c_int64, ctypes.c_float
_ARGUMENTS = {
    "rms_norm": [_P, _P, _P, _N, _N, _F],
    "rotate": [_P, _P, _P, _N, _N, _N, _N],
    "scale_rows": [_P, _P, _P, _P, _P, _N, _N, _N],
    "rescale_rows": [_P, _P, _P, _N, _N],
    "split_rows": [_P, _P, _P, _N, _N, _F],
    "join_rows": [_P, _P, _P, _N, _N, _F],
    "silu_gate": [_P, _P, _N, _N],
    "multiply": [_P, _P, _P, _N],
    "pack": [_P, _P, _P, _N, _N, _N],
    "panels_size": [_N, _N, _N],
    "store": [_P, _P, _N, _P, _N, _N, _P, _N, _N],
    "attend": [_P, _P, _N, _P, _N, _N, _P],
}


def open_kernels(cache: Path) -> bool:
    """Build and load them. Called once, before the model is prepared; the first time takes a second."""
    global ready, _calls, _long_calls
    if ready or os.environ.get("HEARTH_KERNELS") == "0":
        return ready
    library = built(cache)
    if library is None:
        return False
    try:
        calls, long_calls = ctypes.PyDLL(str(library)), ctypes.CDLL(str(library))
        for name, arguments in _ARGUMENTS.items():
            for calls_ in (calls, long_calls):
                function = getattr(calls_, name)
                function.argtypes, function.restype = arguments, _N if name == "panels_size" else None
    except (OSError, AttributeError) as error:
        log.warning("The kernels cannot be used: %s", error)
        return False
    _calls, _long_calls, ready = calls, long_calls, True
    return True


def rms_norm(x: Tensor, factor: Tensor, eps: float) -> Tensor:
    x, size = x.contiguous(), factor.numel()
    y = torch.empty_like(x)
    _calls.rms_norm(x.data_ptr(), factor.data_ptr(), y.data_ptr(), x.numel() // size, size, eps)
    return y


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> None:
    """In place. x [1, heads, tokens, size], head beside head; cos and sin [1, tokens, size]."""
    _, heads, tokens, size = x.shape
    _calls.rotate(x.data_ptr(), cos.data_ptr(), sin.data_ptr(), tokens, x.stride(2), heads, size)


def scale_rows(x: Tensor, extra: Tensor | None, shrink: Tensor | None) -> tuple[Tensor, Tensor]:
    """Rows in [-1, 1] with the places `extra` once more, and what they were divided by [rows]."""
    x, size = x.contiguous(), x.shape[-1]
    rows, more = x.numel() // size, 0 if extra is None else extra.numel()
    y, most = x.new_empty(*x.shape[:-1], size + more), x.new_empty(rows)
    _calls.scale_rows(x.data_ptr(), _at(extra), _at(shrink), y.data_ptr(), most.data_ptr(), rows, size, more)
    return y, most


def rescale_rows(y: Tensor, most: Tensor, bias: Tensor | None) -> Tensor:
    """In place."""
    _calls.rescale_rows(y.data_ptr(), most.data_ptr(), _at(bias), most.numel(), y.shape[-1])
    return y


def split_rows(x: Tensor, levels: float) -> tuple[Tensor, Tensor]:
    """[2, *x.shape]: whole steps and what is left of each; and the step of each row [rows]."""
    x, size = x.contiguous(), x.shape[-1]
    rows = x.numel() // size
    both, step = x.new_empty(2, *x.shape), x.new_empty(rows)
    _calls.split_rows(x.data_ptr(), both.data_ptr(), step.data_ptr(), rows, size, levels)
    return both, step


def join_rows(y: Tensor, step: Tensor, bias: Tensor | None, levels: float) -> Tensor:
    _calls.join_rows(y.data_ptr(), step.data_ptr(), _at(bias), step.numel(), y.shape[-1], levels)
    return y[0]


def silu_gate(x: Tensor) -> Tensor:
    """silu of the first half of each row, times the second."""
    size = x.shape[-1] // 2
    y = x.new_empty(*x.shape[:-1], size)
    _calls.silu_gate(x.data_ptr(), y.data_ptr(), x.numel() // (2 * size), size)
    return y


class _Weight(ctypes.Structure):
    _fields_ = [("panels", _P), ("scale", _P), ("bias", _P), ("in", _N), ("out", _N), ("kind", _N)]


class Packed:
    """A product with a weight [out, in] that is kept as "float32", "bfloat16" or "int8" (one scale per
    output). x and the sums are float32, and each row of the result is the same in any company."""

    def __init__(self, weight: Tensor, bias: Tensor | None, kind: str) -> None:
        weight, number = weight.float().contiguous(), ("float32", "bfloat16", "int8").index(kind)
        self._out, inputs = weight.shape
        panels = torch.empty(_calls.panels_size(self._out, inputs, number), dtype=torch.uint8)
        scale = torch.empty(self._out) if kind == "int8" else None
        _long_calls.pack(weight.data_ptr(), panels.data_ptr(), _at(scale), self._out, inputs, number)
        self._held = (panels, scale, bias)
        self._weight = _Weight(panels.data_ptr(), _at(scale), _at(bias), inputs, self._out, number)
        self._at = ctypes.addressof(self._weight)

    def __call__(self, x: Tensor) -> Tensor:
        x = x.contiguous()
        y = x.new_empty(*x.shape[:-1], self._out)
        rows = y.numel() // self._out
        calls = _calls if rows < MANY_ROWS else _long_calls
        calls.multiply(self._at, x.data_ptr(), y.data_ptr(), rows)
        return y


class _Layer(ctypes.Structure):
    _fields_ = [
        ("keys", _P), ("values", _P), ("kv_heads", _N), ("group", _N), ("key_dim", _N), ("value_dim", _N),
        ("half", _N), ("window", _N), ("scale", _F),
    ]  # fmt: skip


#: What `attend` can be given as numbers of a head: multiples of the widest vector.
LANES = 16


def can_attend(keys: Tensor, values: Tensor) -> bool:
    return (
        ready
        and keys.device.type == "cpu"
        and keys.dtype in (torch.float32, torch.bfloat16)
        and keys.shape[1] % LANES == 0
        and values.shape[1] % LANES == 0
    )


def blocks(rows: Sequence[tuple[int, int, int, int, int]]) -> Tensor:
    """Of each block of query tokens: its place in the pack, its length, the position of the first, where its
    region starts, and the region's capacity."""
    return torch.tensor(rows, dtype=torch.int64)


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    memory: tuple[Tensor, Tensor],
    pack: Tensor,
    scaling: float,
    window: int | None,
) -> Tensor:
    """Writes key and value [1, kv heads, tokens, dim] to their places in `memory`, then each query
    [1, heads, tokens, dim] attends over its sequence up to itself. Returns [1, tokens, heads, value_dim]."""
    query, key, value = (t if t.stride(-1) == 1 else t.contiguous() for t in (query, key, value))
    keys, values = memory
    kv_heads, heads = key.shape[1], query.shape[1]
    layer = _Layer(
        keys.data_ptr(), values.data_ptr(), kv_heads, heads // kv_heads, key.shape[-1], value.shape[-1],
        int(keys.dtype == torch.bfloat16), window or 0, scaling,
    )  # fmt: skip
    at, count = pack.data_ptr(), pack.shape[0]
    _calls.store(
        ctypes.byref(layer), at, count,
        key.data_ptr(), key.stride(2), key.stride(1), value.data_ptr(), value.stride(2), value.stride(1),
    )  # fmt: skip
    out = query.new_empty(1, query.shape[2], heads, value.shape[-1])
    _long_calls.attend(
        ctypes.byref(layer), at, count, query.data_ptr(), query.stride(2), query.stride(1), out.data_ptr()
    )
    return out


def _at(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()
