"""What a KV cache takes: bytes of a token, and how many tokens it holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: A KV cache holds this many tokens where nothing else is set and there is room.
KV_TOKENS = 32_768
#: ... and no fewer than these (or the model's context) where memory is short.
LEAST_TOKENS = 4_096
WIDTH = {"float32": 4, "bfloat16": 2, "float16": 2}


def kv_tokens(
    settings: Mapping[str, Any], config: Mapping[str, Any], room: int | None = None, device: str = "cpu"
) -> int:
    """How many tokens the KV cache holds: the setting `kv_tokens`, else KV_TOKENS or the context that was
    set, bounded by `room` (bytes for the cache alone) but no fewer than LEAST_TOKENS or the context.

    `config` is what config.json says. A context that is longer than this has to be cut to it.
    """
    wanted, least = bounds(settings, config)
    per_token = kv_bytes_per_token(config, kv_width(settings, device.partition(":")[0]))
    if room is None or not per_token:
        return wanted
    return max(least, min(wanted, room // per_token))


def kv_width(settings: Mapping[str, Any], kind: str = "cpu") -> int:
    """Bytes of one number of the KV cache: `kv_dtype`, else what the model computes in (int8: bfloat16)."""
    for name in (settings.get("kv_dtype"), settings.get("dtype")):
        if name in WIDTH:
            return WIDTH[str(name)]
    return 4 if kind == "cpu" and settings.get("dtype") != "int8" else 2


def kv_bytes_per_token(config: Mapping[str, Any], width: int, *, compressed: bool = False) -> int:
    """Keys and values of one token in all layers, `width` bytes a number; 0 when `config` does not say.

    Sliding layers count in full, as the packed engine's cache holds them (docs/memory.md says why), and MLA
    (DeepSeek-V2, arXiv 2405.04434) as the library expands it: per head a key of nope + rope and a value.
    `compressed`: as engines hold it that keep the latent instead.
    """
    text = text_config(config)
    layers = number(text, "num_hidden_layers", "n_layer", "num_layers")
    heads = number(text, "num_attention_heads", "n_head")
    if text.get("kv_lora_rank"):
        rope = number(text, "qk_rope_head_dim")
        if compressed:
            return layers * (number(text, "kv_lora_rank") + rope) * width
        return layers * heads * (number(text, "qk_nope_head_dim") + rope + number(text, "v_head_dim")) * width
    kv_heads = number(text, "num_key_value_heads") or heads
    size = number(text, "head_dim") or number(text, "hidden_size", "n_embd", "d_model") // max(1, heads)
    return layers * kv_heads * size * 2 * width


def longest(settings: Mapping[str, Any], config: Mapping[str, Any]) -> int:
    """Tokens of one answer at most, its prompt among them; 0 when neither the settings nor `config` say."""
    known = number(text_config(config), "max_position_embeddings", "n_positions", "max_seq_len")
    asked = int(settings.get("context_length") or 0)
    return min(asked, known) if asked and known else asked or known


def bounds(settings: Mapping[str, Any], config: Mapping[str, Any]) -> tuple[int, int]:
    """How many tokens the cache should hold, and has to."""
    if fixed := int(settings.get("kv_tokens") or 0):
        return fixed, fixed
    if settings.get("context_length"):
        context = longest(settings, config)
        return max(KV_TOKENS, context), context
    return KV_TOKENS, min(longest(settings, config) or LEAST_TOKENS, LEAST_TOKENS)


def text_config(config: Mapping[str, Any]) -> Mapping[str, Any]:
    inner = config.get("text_config")
    return inner if isinstance(inner, Mapping) else config


def number(config: Mapping[str, Any], *names: str) -> int:
    """The first of these that is there, never below 0: a stranger wrote it."""
    for name in names:
        if type(value := config.get(name)) is int:
            return max(0, value)
    return 0
