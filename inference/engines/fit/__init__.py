"""How much memory a model will take, told from what its files say: no torch, nothing loaded.

The manager makes room by it before a load; the engine sizes its KV cache by the same rules.
"""

from inference.engines.fit.facts import Facts, Stored
from inference.engines.fit.kv import KV_TOKENS, LEAST_TOKENS, kv_bytes_per_token, kv_tokens, kv_width
from inference.engines.fit.plan import Fit, foresee, read
from inference.engines.fit.weights import weights_bytes

__all__ = [
    "KV_TOKENS",
    "LEAST_TOKENS",
    "Facts",
    "Fit",
    "Stored",
    "foresee",
    "kv_bytes_per_token",
    "kv_tokens",
    "kv_width",
    "read",
    "weights_bytes",
]
