"""What a load would take, and how much of it is the cache's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference.engines.fit.facts import Facts, of_folder
from inference.engines.fit.kv import KV_TOKENS, LEAST_TOKENS, bounds, kv_bytes_per_token, kv_width, longest
from inference.engines.fit.weights import weights_bytes

# Beside weights and KV: tokenizer, activations of a step, what a forked child touches of its parent; on a
# GPU the driver's context and workspaces. vLLM and SGLang are several processes with a torch each.
_OVERHEAD = {"cpu": 256 << 20, "cuda": 1 << 30}
# Products in bfloat16 leave more behind, part of it in oneDNN's cache (measured: up to 86 MB).
_BFLOAT16 = 96 << 20
_SERVER_OVERHEAD = {"llama_cpp": 192 << 20, "vllm": 2 << 30, "sglang": 2 << 30}


@dataclass(frozen=True)
class Fit:
    """Bytes of `weights` and `overhead`, bytes of KV per token, and how many tokens the cache should and has
    to hold. `peak`: bytes of the weights at most while they are loaded."""

    weights: int
    overhead: int
    kv_per_token: int
    wanted_tokens: int
    least_tokens: int
    context: int = KV_TOKENS  # tokens of one answer where nobody asks for another number
    longest: int = 0  # tokens of one answer at most; 0: not known
    peak: int = 0

    def tokens(self, room: int) -> int:
        """How many tokens of KV a model gets that may take `room` bytes in all."""
        if not self.kv_per_token:
            return self.wanted_tokens
        left = (room - self.weights - self.overhead) // self.kv_per_token
        return max(self.least_tokens, min(self.wanted_tokens, left))

    def total(self, tokens: int) -> int:
        return self.weights + self.overhead + tokens * self.kv_per_token

    def need(self, tokens: int) -> int:
        """Bytes that have to be there for a load with a cache of `tokens`, which fills after the load."""
        return max(self.total(tokens), self.peak + self.overhead)

    def largest_context(self, room: int, answers: int = 1) -> int:
        """Tokens that each of `answers` may have where the model may take `room` bytes; 0: not one."""
        left = room - self.weights - self.overhead
        if left < 0 or room < self.peak + self.overhead:
            return 0
        most = left // self.kv_per_token // answers if self.kv_per_token else self.longest or self.context
        return min(most, self.longest) if self.longest else most


def read(folder: Path, settings: Mapping[str, Any], device: str = "cpu") -> Fit:
    """What the model in `folder` will take on `device` ("cpu", "cuda:0") in our own engine.

    A folder that is damaged gives too small a figure, not an error. Raises InferenceError("model_not_found").
    """
    return foresee(of_folder(folder), settings, device)


def foresee(
    facts: Facts, settings: Mapping[str, Any], device: str = "cpu", engine: str = "transformers"
) -> Fit:
    """What a model of which `facts` are known will take, by the engine that is to run it."""
    kind = device.partition(":")[0]
    wanted, least = bounds(settings, facts.config)
    most = longest(settings, facts.config)
    overhead = _SERVER_OVERHEAD.get(engine) or _OVERHEAD.get(kind, _OVERHEAD["cuda"])
    if engine in _SERVER_OVERHEAD:
        weights, peak, per_token = _server(facts, settings, engine)
    else:
        overhead += _BFLOAT16 if kind == "cpu" and settings.get("dtype") == "bfloat16" else 0
        weights, peak = weights_bytes(facts, settings, kind)
        per_token = kv_bytes_per_token(facts.config, kv_width(settings, kind))
    return Fit(
        weights=weights,
        overhead=overhead,
        kv_per_token=per_token,
        wanted_tokens=wanted,
        least_tokens=least,
        context=min(most, KV_TOKENS) if most else LEAST_TOKENS,
        longest=most,
        peak=peak,
    )


def _server(facts: Facts, settings: Mapping[str, Any], engine: str) -> tuple[int, int, int]:
    """Weights as they are stored, the KV cache in 16 bits: what llama-server, vLLM and SGLang do unless they
    are told otherwise. The last two keep MLA's latent."""
    stored = sum(tensor.bytes for tensor in facts.tensors) + facts.stray
    dtype = str(settings.get("dtype") or "auto")
    if dtype in ("float32", "bfloat16", "float16") and not facts.gguf:
        stored = sum(tensor.numbers for tensor in facts.tensors) * (4 if dtype == "float32" else 2)
    compressed = engine in ("vllm", "sglang")
    return stored, stored, kv_bytes_per_token(facts.config, 2, compressed=compressed)
