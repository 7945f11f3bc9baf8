"""The random draw: a race of all tokens of a row, run by noise that is a function of key and token id.

Token i needs the time E_i / p_i, E_i exponentially distributed; the first one home is a draw from p (the
Gumbel-max trick without the logarithm). E_i hangs on nothing but the key and i, so it is the same whatever
else is in the batch and whichever tokens a filter leaves. All arithmetic is by element, or exact in any
order (maxima, sums of whole numbers in float64): a row's result does not change with the rows beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch

from inference.engines.packed.params import SamplingParams

Tensor = torch.Tensor
_BLOCK = 256  # torch's argmax over long rows is slow on CPU: 8 ms for [32, 49152], by blocks 0.2 ms
_COLDEST = 1e-5  # a temperature below this counts as this: the quotient stays finite
_WHOLE = 2.0**34  # weights <= 1 as whole numbers: 2**19 of them add up exactly in float64
_FEW = 256  # top_k up to this is found for all rows at once


def first_max(scores: Tensor) -> tuple[Tensor, Tensor]:
    """The greatest of each row of [n, vocabulary] and its lowest id, as torch.argmax; NaN is greatest."""
    whole = scores.shape[1] // _BLOCK * _BLOCK
    if whole == 0:
        ids = scores.argmax(-1, keepdim=True)
        return scores.gather(1, ids)[:, 0], ids[:, 0]
    blocks = scores.unfold(1, _BLOCK, _BLOCK)
    best = blocks.amax(-1)
    block = best.argmax(-1)
    rows = torch.arange(len(scores), device=scores.device)
    ids = block * _BLOCK + blocks[rows, block].argmax(-1)
    if whole < scores.shape[1]:
        rest = scores[:, whole:].argmax(-1) + whole
        values, others = scores[rows, ids], scores[rows, rest]
        ids = torch.where((others > values) | (others.isnan() & ~values.isnan()), rest, ids)
    return scores[rows, ids], ids


def noise(keys: Sequence[tuple[int, int]], vocabulary: int, device: torch.device) -> Tensor:
    """Exponentially distributed numbers [keys, vocabulary] float32 > 0, by two 32-bit words and token id."""
    words = torch.tensor(keys, dtype=torch.int32, device=device)
    bits = _mixed(_spread(vocabulary, device) ^ words[:, :1], words[:, 1:])
    # Folded round zero, because a float is finest there, and a small E is what wins.
    uniform = bits.float().add_(0.5).abs_().mul_(2.0**-31).clamp_(max=1 - 2.0**-24)
    return uniform.neg_().log1p_().neg_()


def draw(
    logits: Tensor, params: Sequence[SamplingParams], keys: Sequence[tuple[int, int]]
) -> tuple[Tensor, Tensor]:
    """A token id per row of finite-topped logits [n, vocabulary] float32, and all tokens' scores (0: filtered
    out) of which the drawn one's is the highest."""
    device = logits.device
    temperature = torch.tensor([max(p.temperature, _COLDEST) for p in params], device=device)[:, None]
    weights = logits.sub(first_max(logits)[0][:, None]).div_(temperature).exp_()
    if any(p.top_k for p in params):
        weights.masked_fill_(logits < _kth(logits, [p.top_k for p in params]), 0)
    if any(p.min_p for p in params):
        weights.masked_fill_(weights < torch.tensor([p.min_p for p in params], device=device)[:, None], 0)
    scores = weights / noise(keys, logits.shape[1], device)
    ids = first_max(scores)[1]
    if rows := [i for i, p in enumerate(params) if p.top_p < 1]:
        _keep_nucleus(weights, scores, ids, rows, [params[i].top_p for i in rows])
    return ids, scores


def _keep_nucleus(weights: Tensor, scores: Tensor, ids: Tensor, rows: list[int], top_p: list[float]) -> None:
    """Run the race again, for `rows`, until the winner is inside top_p; changes `scores` and `ids`.

    Nothing is sorted: a token is inside when the mass above it is below top_p, and when one is outside, all
    that are no more likely are outside with it.
    """
    at = torch.tensor(rows, device=weights.device)
    weights = weights[at]
    whole = weights.mul(_WHOLE).round_()
    limit = whole.sum(-1, dtype=torch.float64) * torch.tensor(top_p, dtype=torch.float64, device=at.device)
    while True:
        bar = weights.gather(1, ids[at][:, None])
        above = whole.masked_fill(weights <= bar, 0).sum(-1, dtype=torch.float64)
        outside = (above > 0) & (above >= limit)
        if not bool(outside.any()):
            return
        at, weights, whole, bar, limit = (each[outside] for each in (at, weights, whole, bar, limit))
        left = scores[at].masked_fill_(weights <= bar, 0)
        scores[at] = left
        ids[at] = first_max(left)[1]


def _kth(logits: Tensor, top_k: list[int]) -> Tensor:
    """The top_k-th greatest of each row, [n, 1]; -inf where top_k leaves all."""
    kth = torch.full((len(logits), 1), -torch.inf, device=logits.device)
    if few := [i for i, k in enumerate(top_k) if 0 < k <= min(_FEW, logits.shape[1])]:
        place = torch.tensor([[top_k[i] - 1] for i in few], device=logits.device)
        part = logits if len(few) == len(logits) else logits[few]
        kth[few] = part.topk(max(top_k[i] for i in few)).values.gather(1, place)
    for i, k in enumerate(top_k):
        if _FEW < k < logits.shape[1]:
            kth[i] = logits[i].topk(k).values[-1]
    return kth


@lru_cache(maxsize=8)
def _spread(vocabulary: int, device: torch.device) -> Tensor:
    """Token ids [vocabulary] as words without a pattern; made once."""
    ids = torch.arange(vocabulary, dtype=torch.int32, device=device)
    return _mixed(ids * -1640531527, torch.tensor(0x3C6EF372, dtype=torch.int32, device=device))


def _mixed(words: Tensor, key: Tensor) -> Tensor:
    """Words [..., vocabulary] int32, changed in place: each bit then hangs on each bit of them and of `key`.

    Rounds of multiply and shift, as the finalisers of murmur3 and splitmix do. int32, because it is half the
    memory of int64 and CPUs multiply it eight at a time; the masks make the shifts unsigned.
    """
    words.bitwise_xor_((words >> 16).bitwise_and_(0xFFFF)).mul_(0x7FEB352D)
    words.bitwise_xor_((words >> 15).bitwise_and_(0x1FFFF)).add_(key).mul_(-2073319413)
    words.bitwise_xor_((words >> 13).bitwise_and_(0x7FFFF)).mul_(0x297A2D39)
    return words.bitwise_xor_((words >> 16).bitwise_and_(0xFFFF))
