"""Flags of other engines' servers that an administrator may set besides the named settings: an allow-list, so
that a setting is never a path, an address, or code (vLLM and SGLang can be told to import some).

Standard library only: the web process checks them before they are stored, the model service once more.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}")
# By engine: the flag without its dashes, and what its value is ("switch": true puts the flag).
FLAGS: dict[str, dict[str, str]] = {
    "llama_cpp": {
        "batch-size": "count", "ubatch-size": "count", "flash-attn": "word", "mlock": "switch",
        "no-mmap": "switch", "split-mode": "word", "main-gpu": "count", "cache-reuse": "count",
        "cache-ram": "count", "rope-scaling": "word", "rope-scale": "number", "rope-freq-base": "number",
        "yarn-orig-ctx": "count", "swa-full": "switch", "kv-unified": "switch", "cpu-moe": "switch",
        "n-cpu-moe": "count", "numa": "word",
    },
    "vllm": {
        "max-num-batched-tokens": "count", "block-size": "count", "swap-space": "number",
        "cpu-offload-gb": "number", "data-parallel-size": "count", "enable-expert-parallel": "switch",
        "enforce-eager": "switch", "enable-prefix-caching": "switch", "no-enable-prefix-caching": "switch",
        "enable-chunked-prefill": "switch", "no-enable-chunked-prefill": "switch", "quantization": "word",
        "load-format": "safetensors", "tokenizer-mode": "tokenizer", "seed": "count",
        "distributed-executor-backend": "backend", "max-parallel-loading-workers": "count",
        "disable-custom-all-reduce": "switch", "attention-backend": "word", "generation-config": "source",
    },
    "sglang": {
        "chunked-prefill-size": "count", "max-prefill-tokens": "count", "max-total-tokens": "count",
        "schedule-conservativeness": "number", "cpu-offload-gb": "count", "ep-size": "count",
        "enable-dp-attention": "switch", "disable-radix-cache": "switch", "disable-cuda-graph": "switch",
        "cuda-graph-max-bs": "count", "quantization": "word", "attention-backend": "word",
        "reasoning-parser": "word", "tool-call-parser": "word", "random-seed": "count",
    },
}  # fmt: skip
_WORDS = {
    "safetensors": ("auto", "safetensors"),
    "tokenizer": ("auto", "slow", "mistral"),
    "backend": ("ray", "mp"),
    "source": ("auto", "vllm"),
}


def wrong_flag(engine: str, flags: Any) -> str | None:
    """The name of the first flag that is not known or whose value is not of its kind; None: all are well."""
    if not isinstance(flags, Mapping):
        return "flags"
    known = FLAGS.get(engine, {})
    for name, value in flags.items():
        if name not in known or not _fits(known[name], value):
            return str(name)[:64]
    return None


def flags_of(engine: str, flags: Any) -> list[str]:
    """The flags as a command line has them. Raises ValueError: one is not allowed."""
    if flags is None:
        return []
    if (wrong := wrong_flag(engine, flags)) is not None:
        raise ValueError(f"the flag {wrong} is not allowed")
    command: list[str] = []
    for name, value in flags.items():
        if FLAGS[engine][name] == "switch":
            command += [f"--{name}"] if value else []
        else:
            command += [f"--{name}", str(value)]
    return command


def _fits(kind: str, value: Any) -> bool:
    if kind == "switch":
        return isinstance(value, bool)
    if kind == "count":
        return type(value) is int and 0 <= value < 1 << 40
    if kind == "number":
        return type(value) in (int, float) and 0 <= value < 1e12
    if not isinstance(value, str):
        return False
    return value in _WORDS[kind] if kind in _WORDS else _WORD.fullmatch(value) is not None
