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

# Numbers of a weight that are made float32 at a time: the second cache holds them.
_PIECE = 1 << 18
# What is laid out at a time is whole panels.
_PANEL = 32

#: A product of so many rows takes milliseconds.
MANY_ROWS = 16

_P, _N, _F = ctypes.c_void_p, ctypes.c_int64, ctypes.c_float
_ARGUMENTS = {
    "rms_norm": [_P, _P, _P, _N, _N, _F],
    "rotate": [_P, _P, _P, _N, _N, _N, _N],
    "silu_gate": [_P, _P, _N, _N],
    "multiply": [_P, _P, _P, _N],
    "pack": [_P, _P, _N, _N, _N],
    "panels_size": [_N, _N, _N],
    "multiply_int8": [_P, _P, _P, _N, _P],
    "pack_int8": [_P, _P, _N, _N],
    "int8_size": [_N, _N],
    "int8_room": [_N, _N],
    "store": [_P, _P, _N, _P, _N, _N, _P, _N, _N],
    "attend": [_P, _P, _N, _P, _N, _N, _P],
}
_SIZES = ("panels_size", "int8_size", "int8_room")  # these return a number


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
                function.argtypes, function.restype = arguments, _N if name in _SIZES else None
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


def silu_gate(x: Tensor) -> Tensor:
    """silu of the first half of each row, times the second."""
    size = x.shape[-1] // 2
    y = x.new_empty(*x.shape[:-1], size)
    _calls.silu_gate(x.data_ptr(), y.data_ptr(), x.numel() // (2 * size), size)
    return y


def pieces(weight: Tensor) -> tuple[Tensor, ...]:
    """A weight [out, in] by its outputs, as many as may be there twice: a load has no room for all of it."""
    return tuple(torch.split(weight, max(1, _PIECE // max(1, weight.shape[1]) // _PANEL) * _PANEL))


def _plain(piece: Tensor) -> Tensor:
    return piece.float().contiguous()


class _Weight(ctypes.Structure):
    _fields_ = [("panels", _P), ("bias", _P), ("in", _N), ("out", _N), ("kind", _N)]


class Packed:
    """A product with a weight [out, in] that is kept as "float32" or "bfloat16". x and the sums are float32,
    and each row of the result is the same in any company."""

    def __init__(self, weight: Tensor, bias: Tensor | None, kind: str) -> None:
        number = ("float32", "bfloat16").index(kind)
        self._out, inputs = weight.shape
        panels = torch.empty(_calls.panels_size(self._out, inputs, number), dtype=torch.uint8)
        done = 0
        for piece in map(_plain, pieces(weight)):
            to = panels.data_ptr() + _calls.panels_size(done, inputs, number)
            _long_calls.pack(piece.data_ptr(), to, len(piece), inputs, number)
            done += len(piece)
        self._held = (panels, bias)
        self._weight = _Weight(panels.data_ptr(), _at(bias), inputs, self._out, number)
        self._at = ctypes.addressof(self._weight)

    def __call__(self, x: Tensor) -> Tensor:
        x = x.contiguous()
        y = x.new_empty(*x.shape[:-1], self._out)
        rows = y.numel() // self._out
        calls = _calls if rows < MANY_ROWS else _long_calls
        calls.multiply(self._at, x.data_ptr(), y.data_ptr(), rows)
        return y


class _Int8Weight(ctypes.Structure):
    _fields_ = [("panels", _P), ("bias", _P), ("in", _N), ("out", _N)]


class PackedInt8:
    """A product with a weight [out, in] rounded to int8, and with rows of float32 that are rounded as they
    come. Each row of the result is the same in any company."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self._out, self._in = weight.shape
        panels = torch.empty(_calls.int8_size(self._out, self._in), dtype=torch.uint8)
        done = 0
        for piece in map(_plain, pieces(weight)):
            to = panels.data_ptr() + _calls.int8_size(done, self._in)
            _long_calls.pack_int8(piece.data_ptr(), to, len(piece), self._in)
            done += len(piece)
        self._held = (panels, bias)
        self._weight = _Int8Weight(panels.data_ptr(), _at(bias), self._in, self._out)
        self._at = ctypes.addressof(self._weight)

    def __call__(self, x: Tensor) -> Tensor:
        x = x.contiguous()
        y = x.new_empty(*x.shape[:-1], self._out)
        rows = y.numel() // self._out
        room = torch.empty(_calls.int8_room(self._in, rows), dtype=torch.uint8)
        calls = _calls if rows < MANY_ROWS else _long_calls
        calls.multiply_int8(self._at, x.data_ptr(), y.data_ptr(), rows, room.data_ptr())
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
