"""One token from the logits, as a pure function of (logits, params, seed, position)."""

from __future__ import annotations

import hashlib
from typing import Any

import torch


def scores(logits: torch.Tensor, params: dict[str, Any], seed: str, position: str) -> torch.Tensor:
    """Logits [vocabulary] to scores of which the highest is the token to take; -inf is ruled out.

    Sampling is the Gumbel-max trick: argmax of logits plus noise is a draw from the softmax. The noise comes
    from (seed, position) alone, so an answer that is gone on from draws what it would have drawn.
    """
    temperature = float(params.get("temperature", 0.7))
    if temperature <= 0:
        return logits.float()
    logits = _filtered(logits.float() / temperature, params)
    digest = hashlib.blake2b(f"{seed}/{position}".encode(), digest_size=7).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest, "big"))
    uniform = torch.rand(logits.shape, generator=generator).clamp_min(1e-20).to(logits.device)
    return logits - torch.log(-torch.log(uniform))


def _filtered(logits: torch.Tensor, params: dict[str, Any]) -> torch.Tensor:
    if top_k := int(params.get("top_k") or 0):
        kept = logits.topk(min(top_k, logits.numel())).values[-1]
        logits = logits.masked_fill(logits < kept, -torch.inf)
    if min_p := float(params.get("min_p") or 0):
        probabilities = logits.softmax(-1)
        logits = logits.masked_fill(probabilities < min_p * probabilities.max(), -torch.inf)
    top_p = float(params.get("top_p") or 1)
    if top_p < 1:
        ordered, indices = logits.softmax(-1).sort(descending=True)
        out = indices[ordered.cumsum(-1) - ordered >= top_p]
        logits = logits.index_fill(0, out, -torch.inf)
    return logits
