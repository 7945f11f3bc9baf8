"""What a model's weights take once they are loaded, and at most while they are, by what our engine makes of
each tensor (`packed/weights.py`; a test holds this to it)."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import Any

from inference.engines import kept
from inference.engines.fit.facts import Facts, Stored
from inference.engines.fit.kv import WIDTH, number, text_config

#: The linears that are laid out anew on a CPU, or rounded to int8.
LINEARS = frozenset({
    "q_proj", "k_proj", "v_proj", "o_proj", "qkv_proj", "gate_proj", "up_proj", "gate_up_proj", "down_proj",
    "q_a_proj", "q_b_proj", "kv_a_proj_with_mqa", "kv_b_proj", "lm_head",
})  # fmt: skip
_EMBEDDINGS = ("embed_tokens", "wte", "embed_in", "word_embeddings", "token_embd")
#: GGUF's names of them.
_GGUF = {
    "attn_q": "q_proj", "attn_k": "k_proj", "attn_v": "v_proj", "attn_output": "o_proj", "output": "lm_head",
    "ffn_gate": "gate_proj", "ffn_up": "up_proj", "ffn_down": "down_proj", "attn_q_a": "q_a_proj",
    "attn_q_b": "q_b_proj", "attn_kv_a_mqa": "kv_a_proj_with_mqa", "attn_kv_b": "kv_b_proj",
}  # fmt: skip
_LAYER = re.compile(r"(?:layers|blk|h)\.(\d+)\.")
# Beside an output of an int8 linear: its scale, zero point and sum of weights.
_INT8_ROW = 20
# Rows that a norm made: some of their places stand twice (`linears.Int8`).
_SPLIT = {"q_proj", "k_proj", "v_proj", "gate_proj", "up_proj", "lm_head"}


def load_width(settings: Mapping[str, Any], kind: str) -> int:
    """Bytes of one number as the library loads it; int8 is made of float32, and only on a CPU."""
    dtype = str(settings.get("dtype") or "auto")
    return WIDTH.get(dtype, 4 if kind == "cpu" or dtype == "int8" else 2)


def weights_bytes(facts: Facts, settings: Mapping[str, Any], kind: str = "cpu") -> tuple[int, int]:
    """Once loaded, and at most on the way there."""
    tied = _is_tied(facts)
    tensors = [t for t in _loaded(facts) if not (tied and part_of(t.name) == "lm_head")]
    if facts.config.get("quantization_config"):
        stored = sum(tensor.bytes for tensor in tensors) + facts.stray
        return stored, stored
    width = load_width(settings, kind)
    plain = sum(tensor.numbers for tensor in tensors) * width + facts.stray
    if kind != "cpu" or settings.get("dtype") == "float16":
        return plain, plain
    of = _held(facts, width, settings.get("dtype") == "int8", tied)
    held = sum(of(tensor) for tensor in tensors) + facts.stray
    return held, max(held, plain)


def _is_tied(facts: Facts) -> bool:
    """Whether the output layer is the embedding's table. Where the config leaves it to the library's default,
    what is stored tells."""
    for config in (text_config(facts.config), facts.config):
        if isinstance(said := config.get("tie_word_embeddings"), bool):
            return said
    return not any(part_of(tensor.name) == "lm_head" for tensor in facts.tensors)


def _held(facts: Facts, width: int, int8: bool, tied: bool) -> Callable[[Stored], int]:
    """Bytes of a tensor once it is prepared for a CPU."""
    # It multiplies what it finds in its table, which is for that reason not replaced.
    scaled = str(text_config(facts.config).get("model_type", "")).startswith(("gemma3", "gemma4"))

    short_linears = width == 4 and has_kernels()

    def linear(tensor: Stored, part: str) -> int:
        if not int8:
            # Our own kernels keep what is a bfloat16 number as one.
            return tensor.numbers * (2 if short_linears and tensor.dtype == "BF16" else width)
        rows, columns = tensor.shape
        extra = min(32, columns // 8) if part in _SPLIT else 0
        return rows * (columns + extra) + _INT8_ROW * rows

    def held(tensor: Stored) -> int:
        part = part_of(tensor.name)
        if part in _EMBEDDINGS and len(tensor.shape) == 2:
            short = width == 4 and tensor.dtype == "BF16" and not scaled
            table = tensor.numbers * (2 if short else width)
            # The output layer has its own copy where the table has another dtype than it multiplies by; in
            # bfloat16 oneDNN lays it out no differently (measured).
            copied = tied and (int8 or short)
            return table + (linear(tensor, "lm_head") if copied else 0)
        is_linear = part in LINEARS and len(tensor.shape) == 2 and ".experts." not in tensor.name
        return linear(tensor, part) if is_linear else tensor.numbers * width

    return held


def has_kernels() -> bool:
    """Whether our own kernels were built here. Before the first load they are not: then the figure is once
    too high."""
    return os.environ.get("HEARTH_KERNELS") != "0" and any(kept.folder().glob("kernels-*.so"))


def part_of(name: str) -> str:
    """The module of a weight: "q_proj" of "model.layers.0.self_attn.q_proj.weight"; "" of a bias."""
    rest, _, kind = name.rpartition(".")
    part = rest.rpartition(".")[2]
    return _GGUF.get(part, part) if kind == "weight" else ""


def _loaded(facts: Facts) -> list[Stored]:
    """Without the layers that the library does not make: DeepSeek-V3 stores one more, for guessing ahead."""
    layers = number(text_config(facts.config), "num_hidden_layers", "n_layer")

    def is_made(tensor: Stored) -> bool:
        found = _LAYER.search(tensor.name) if layers else None
        return found is None or int(found[1]) < layers

    return [tensor for tensor in facts.tensors if is_made(tensor)]
