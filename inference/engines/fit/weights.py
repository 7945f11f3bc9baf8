"""What a model's weights take once they are loaded, and at most while they are, by what our engine makes of
each tensor (`packed/weights.py`; a test holds this to it)."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from inference.engines import kept
from inference.engines.fit.facts import Facts, Stored
from inference.engines.fit.kv import WIDTH, number, text_config
from inference.engines.packed import sizes

#: GGUF's names of them.
_GGUF = {
    "attn_q": "q_proj", "attn_k": "k_proj", "attn_v": "v_proj", "attn_output": "o_proj", "output": "lm_head",
    "token_embd": "embed_tokens",
    "ffn_gate": "gate_proj", "ffn_up": "up_proj", "ffn_down": "down_proj", "attn_q_a": "q_a_proj",
    "attn_q_b": "q_b_proj", "attn_kv_a_mqa": "kv_a_proj_with_mqa", "attn_kv_b": "kv_b_proj",
}  # fmt: skip
_LAYER = re.compile(r"(?:layers|blk|h)\.(\d+)\.")
_HALF = ("BF16", "F16")
_LAID_OUT = sizes.LINEARS | set(sizes.EMBEDDINGS)


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
    of = _held(facts, settings, width, tied)
    held = sum(of(tensor) for tensor in tensors) + facts.stray
    return held, max(held, _copied(tensors, width) + _passing(tensors, width))


def load_width(settings: Mapping[str, Any], kind: str) -> int:
    """Bytes of one number as the library loads it; int8 is made of float32, and only on a CPU."""
    dtype = str(settings.get("dtype") or "auto")
    return WIDTH.get(dtype, 4 if kind == "cpu" or dtype == "int8" else 2)


def _copied(tensors: list[Stored], width: int) -> int:
    """Bytes of what the load copies: the rest stays in the mapped file until it is laid out."""
    return sum(tensor.numbers for tensor in tensors if not _stays(tensor, width)) * width


def _stays(tensor: Stored, width: int) -> bool:
    if _is_experts(tensor):
        return False
    if width == 2:
        return tensor.dtype == "BF16"
    return tensor.dtype == "F32" or (tensor.dtype in _HALF and part_of(tensor.name) in _LAID_OUT)


def _passing(tensors: list[Stored], width: int) -> int:
    """Bytes that are there for a moment: the experts of a layer before they become one tensor, or a weight
    beside what is made of it."""
    layers: dict[str, int] = defaultdict(int)
    for tensor in tensors:
        if _is_experts(tensor):
            layers[tensor.name.partition(".experts.")[0]] += 2 * tensor.numbers * width
        elif width == 2 and part_of(tensor.name) in sizes.LINEARS:
            layers[tensor.name] = tensor.numbers * width
    return max(layers.values(), default=0)


def _is_experts(tensor: Stored) -> bool:
    return ".experts." in tensor.name


def _is_tied(facts: Facts) -> bool:
    """Whether the output layer is the embedding's table. Where the config leaves it to the library's default,
    what is stored tells."""
    for config in (text_config(facts.config), facts.config):
        if isinstance(said := config.get("tie_word_embeddings"), bool):
            return said
    return not any(part_of(tensor.name) == "lm_head" for tensor in facts.tensors)


def _held(facts: Facts, settings: Mapping[str, Any], width: int, tied: bool) -> Callable[[Stored], int]:
    """Bytes of a tensor once it is prepared for a CPU."""
    int8, kernels = settings.get("dtype") == "int8", has_kernels()
    weights = "int8" if int8 else "float32" if width == 4 else "bfloat16"
    # It multiplies what it finds in its table, which is for that reason not replaced.
    scaled = str(text_config(facts.config).get("model_type", "")).startswith(("gemma3", "gemma4"))

    def linear(tensor: Stored) -> int:
        out, inputs = tensor.shape
        return sizes.linear_bytes(out, inputs, sizes.layout(weights, kernels, tensor.dtype == "BF16"))

    def held(tensor: Stored) -> int:
        part = part_of(tensor.name)
        if len(tensor.shape) != 2 or _is_experts(tensor):
            return tensor.numbers * width
        if part in sizes.EMBEDDINGS:
            short = width == 4 and tensor.dtype in _HALF and not scaled
            # The output layer has its own copy where the table has another form than it multiplies by.
            own = tied and (int8 or short or (width == 2 and sizes.lays_out_bfloat16()))
            return tensor.numbers * (2 if short else width) + (linear(tensor) if own else 0)
        return linear(tensor) if part in sizes.LINEARS else tensor.numbers * width

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
    # A GGUF file is dequantised into a folder of bfloat16 first.
    tensors = [replace(t, dtype="BF16") for t in facts.tensors] if facts.gguf else facts.tensors

    def is_made(tensor: Stored) -> bool:
        found = _LAYER.search(tensor.name) if layers else None
        return found is None or int(found[1]) < layers

    return [tensor for tensor in tensors if is_made(tensor)]
