"""How much memory a model will take, told from its folder alone: no torch, nothing loaded.

The manager makes room by it before a load; the engine sizes its KV cache by the same rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from inference.bounded import Refused, read_header, read_json
from inference.errors import InferenceError

#: A KV cache holds this many tokens where nothing else is set and there is room.
KV_TOKENS = 32_768
#: ... and no fewer than these (or the model's context) where memory is short.
LEAST_TOKENS = 4_096
_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
_WIDTH = {"float32": 4, "bfloat16": 2, "float16": 2}
# Beside weights and KV: tokenizer, activations of a step, what a forked child touches of its parent; on a
# GPU the driver's context and workspaces.
_OVERHEAD = {"cpu": 256 << 20, "cuda": 1 << 30}


@dataclass(frozen=True)
class Fit:
    """Bytes of `weights` and `overhead`, bytes of KV per token, and how many tokens the cache should and has
    to hold."""

    weights: int
    overhead: int
    kv_per_token: int
    wanted_tokens: int
    least_tokens: int
    context: int = KV_TOKENS  # tokens of one answer where nobody asks for another number
    longest: int = 0  # tokens of one answer at most; 0: not known

    def need(self, tokens: int) -> int:
        """Bytes that have to be there for a load with a cache of `tokens`."""
        return self.total(tokens)

    def largest_context(self, room: int, answers: int = 1) -> int:
        """Tokens that each of `answers` may have where the model may take `room` bytes; 0: not one."""
        left = room - self.weights - self.overhead
        if left < 0:
            return 0
        most = left // self.kv_per_token // answers if self.kv_per_token else self.longest or self.context
        return min(most, self.longest) if self.longest else most

    def tokens(self, room: int) -> int:
        """How many tokens of KV a model gets that may take `room` bytes in all."""
        if not self.kv_per_token:
            return self.wanted_tokens
        left = (room - self.weights - self.overhead) // self.kv_per_token
        return max(self.least_tokens, min(self.wanted_tokens, left))

    def total(self, tokens: int) -> int:
        return self.weights + self.overhead + tokens * self.kv_per_token


def read(folder: Path, settings: Mapping[str, Any], device: str = "cpu") -> Fit:
    """What the model in `folder` will take on `device` ("cpu", "cuda:0").

    A folder that is damaged gives too small a figure, not an error: its load says what is wrong with it.
    Raises InferenceError("model_not_found") when it is not there.
    """
    if not folder.is_dir():
        raise InferenceError("model_not_found", f"There is no folder {folder}.")
    try:
        config = dict(read_json(folder / "config.json"))
    except (Refused, ValueError, TypeError):
        config = {}
    kind = device.partition(":")[0]
    weights = sum(_file_bytes(file, config, settings, kind) for file in sorted(folder.glob("*.safetensors")))
    wanted, least = _tokens(settings, config)
    longest = _longest(settings, config)
    return Fit(
        weights=weights,
        overhead=_OVERHEAD.get(kind, _OVERHEAD["cuda"]),
        kv_per_token=kv_bytes_per_token(config, kv_width(settings, kind)),
        wanted_tokens=wanted,
        least_tokens=least,
        context=min(longest, KV_TOKENS) if longest else LEAST_TOKENS,
        longest=longest,
    )


def kv_tokens(
    settings: Mapping[str, Any], config: Mapping[str, Any], room: int | None = None, device: str = "cpu"
) -> int:
    """How many tokens the KV cache holds: the setting `kv_tokens`, else KV_TOKENS or the context that was
    set, bounded by `room` (bytes for the cache alone) but no fewer than LEAST_TOKENS or the context.

    `config` is what config.json says. A context that is longer than this has to be cut to it.
    """
    wanted, least = _tokens(settings, config)
    per_token = kv_bytes_per_token(config, kv_width(settings, device.partition(":")[0]))
    if room is None or not per_token:
        return wanted
    return max(least, min(wanted, room // per_token))


def kv_width(settings: Mapping[str, Any], kind: str = "cpu") -> int:
    """Bytes of one number of the KV cache: `kv_dtype`, else what the model computes in."""
    for name in (settings.get("kv_dtype"), settings.get("dtype")):
        if name in _WIDTH:
            return _WIDTH[str(name)]
    return 4 if kind == "cpu" else 2


def kv_bytes_per_token(config: Mapping[str, Any], width: int) -> int:
    """Keys and values of one token in all layers, `width` bytes a number; 0 when `config` does not say.

    Sliding layers count in full, and MLA (DeepSeek-V2, arXiv 2405.04434) as the library expands it: per head
    a key of nope + rope and a value.
    """
    text = _text_config(config)
    layers = _number(text, "num_hidden_layers", "n_layer", "num_layers")
    heads = _number(text, "num_attention_heads", "n_head")
    if text.get("kv_lora_rank"):
        key = _number(text, "qk_nope_head_dim") + _number(text, "qk_rope_head_dim")
        return layers * heads * (key + _number(text, "v_head_dim")) * width
    kv_heads = _number(text, "num_key_value_heads") or heads
    size = _number(text, "head_dim") or _number(text, "hidden_size", "n_embd", "d_model") // max(1, heads)
    return layers * kv_heads * size * 2 * width


def _longest(settings: Mapping[str, Any], config: Mapping[str, Any]) -> int:
    """Tokens of one answer at most, its prompt among them; 0 when neither the settings nor `config` say."""
    known = _number(_text_config(config), "max_position_embeddings", "n_positions", "max_seq_len")
    asked = int(settings.get("context_length") or 0)
    return min(asked, known) if asked and known else asked or known


def _tokens(settings: Mapping[str, Any], config: Mapping[str, Any]) -> tuple[int, int]:
    """How many tokens the cache should hold, and has to."""
    if fixed := int(settings.get("kv_tokens") or 0):
        return fixed, fixed
    known = _number(_text_config(config), "max_position_embeddings", "n_positions", "max_seq_len")
    asked = int(settings.get("context_length") or 0)
    if asked:
        context = min(asked, known) if known else asked
        return max(KV_TOKENS, context), context
    return KV_TOKENS, min(known or LEAST_TOKENS, LEAST_TOKENS)


def _file_bytes(file: Path, config: Mapping[str, Any], settings: Mapping[str, Any], kind: str) -> int:
    """The memory of one file's tensors in the dtype that they will have."""
    try:
        tensors = _header(file)
    except Refused:
        return file.stat().st_size if file.exists() else 0
    if config.get("quantization_config"):
        return sum(_BYTES.get(dtype, 1) * prod(shape) for _, dtype, shape in tensors)
    dtype = str(settings.get("dtype") or "auto")
    width = _WIDTH.get(dtype, 4 if kind == "cpu" else 2)
    tied = bool(_text_config(config).get("tie_word_embeddings", config.get("tie_word_embeddings", False)))
    total = 0
    for name, _, shape in tensors:
        count, embedding = prod(shape), "embed" in name or ".wte" in name
        if dtype == "int8" and len(shape) > 1:
            # One byte a weight and a scale a row; an embedding stays, and a tied one is also the last linear.
            total += count + 4 * shape[0] if not embedding or tied else 0
            total += count * width if embedding else 0
        else:
            # On the CPU a tied embedding is there twice: the last linear is packed for its product.
            total += count * width * (2 if embedding and tied and kind == "cpu" else 1)
    return total


def _header(file: Path) -> list[tuple[str, str, list[int]]]:
    """Name, dtype and shape of each tensor (https://huggingface.co/docs/safetensors)."""
    return [
        (name, tensor.dtype, list(tensor.shape)) for name, tensor in read_header(file, whole=False).items()
    ]


def _text_config(config: Mapping[str, Any]) -> Mapping[str, Any]:
    inner = config.get("text_config")
    return inner if isinstance(inner, Mapping) else config


def _number(config: Mapping[str, Any], *names: str) -> int:
    for name in names:
        if isinstance(value := config.get(name), int):
            return value
    return 0
