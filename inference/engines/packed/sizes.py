"""How a linear is laid out, and how many bytes it takes then. No torch: who makes room asks, too."""

from __future__ import annotations

import platform
from functools import cache
from pathlib import Path
from typing import Literal

#: Linears of decoders whose rounding to int8 is harmless. A router's is not: it stays.
LINEARS = frozenset({
    "q_proj", "k_proj", "v_proj", "o_proj", "qkv_proj", "gate_proj", "up_proj", "gate_up_proj", "down_proj",
    "q_a_proj", "q_b_proj", "kv_a_proj_with_mqa", "kv_b_proj", "lm_head",
})  # fmt: skip
#: Names of the table of a model's tokens.
EMBEDDINGS = ("embed_tokens", "wte", "embed_in", "word_embeddings")

#: In panels of our kernels, in oneDNN's blocks, or (int8 without kernels) as it is.
Layout = Literal[
    "panels float32", "panels bfloat16", "panels int8", "blocks float32", "blocks bfloat16", "rows int8"
]
_WIDTH = {"float32": 4, "bfloat16": 2}
# Inputs of an int8 weight that share a scale; they are filled up to whole groups (DEEP of native/integers.c).
_GROUP = 64


def layout(weights: str, kernels: bool, exact: bool) -> Layout:
    """`weights`: "float32", "bfloat16" or "int8"; `kernels`: whether ours are there; `exact`: whether the
    float32 numbers are all bfloat16 numbers, as those of released checkpoints are."""
    if weights == "int8":
        return "panels int8" if kernels else "rows int8"
    if weights == "bfloat16":
        return "blocks bfloat16"
    if not kernels:
        return "blocks float32"
    return "panels bfloat16" if exact else "panels float32"


def linear_bytes(out: int, inputs: int, layout: Layout) -> int:
    """Bytes of a weight [out, inputs] and, for int8, its scales."""
    kind, _, dtype = layout.partition(" ")
    if layout == "panels int8":
        groups = _whole(inputs, _GROUP) // _GROUP
        return _whole(out, _columns()) * groups * (_GROUP + 4)
    if layout == "rows int8":
        return out * (inputs + 4)
    if kind == "panels":
        return _whole(out, _columns()) * inputs * _WIDTH[dtype]
    return _whole(out, 64) * _whole(inputs, 64 // _WIDTH[dtype]) * _WIDTH[dtype]


def _whole(number: int, of: int) -> int:
    return -(-number // of) * of


def _columns() -> int:
    """Outputs of a panel (COLUMNS of native/vectors.h)."""
    return 32 if "avx512f" in processor() else 16


def lays_out_bfloat16() -> bool:
    """Whether oneDNN multiplies bfloat16 by the processor's own instructions: then a weight gets its blocks.
    Elsewhere it stays as it is."""
    return not processor().isdisjoint({"avx512_bf16", "amx_bf16"})


@cache
def processor() -> frozenset[str]:
    """Names of the instructions it has, as Linux says them; nothing where nobody says."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return frozenset()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return frozenset()
    return frozenset(next((line for line in lines if line.startswith("flags")), "").split())
