"""The random draw: a race of the tokens of a row, run by noise that is a function of key and token id.

Token i needs the time E_i / p_i, E_i exponentially distributed; the first one home is a draw from p (the
Gumbel-max trick without the logarithm). E_i hangs on nothing but the key and i, so it is the same whatever
else is in the batch and whichever tokens a filter leaves. All arithmetic is by element, or exact in any
order (maxima, sums of whole numbers in float64): a row's result does not change with the rows beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch

from inference.engines.packed.params import SamplingParams

Tensor = torch.Tensor
_COLDEST = 1e-5  # a temperature below this counts as this: the quotient stays finite
_WHOLE = 2.0**34  # weights <= 1 as whole numbers: 2**19 of them add up exactly in float64
_BLOCK = 64  # the best of each block is found fast; argmax and topk then look into few blocks
_LIKELIEST = 64  # as many candidates are mostly enough for a row with a filter ...
_MORE = 256  # ... and with a top_k above that, as many as it, up to this
_TILE = 8  # rows at a time on a CPU: what is made on the way stays in its caches


@dataclass(frozen=True)
class Race:
    """Rows of logits [n, vocabulary] float32, each with a finite maximum; and [n, 1] of each param."""

    logits: Tensor
    words: Tensor  # [n, 2] int32
    temperature: Tensor
    top_k: Tensor  # int64
    min_p: Tensor
    top_p: Tensor  # float64, as the masses that it is compared with

    @classmethod
    def of(cls, logits: Tensor, params: Sequence[SamplingParams], keys: Sequence[tuple[int, int]]) -> Race:
        device, vocabulary = logits.device, logits.shape[1]
        return cls(
            logits,
            torch.tensor(keys, dtype=torch.int32, device=device),
            torch.tensor([[max(p.temperature, _COLDEST)] for p in params], device=device),
            torch.tensor([[min(p.top_k, vocabulary) or vocabulary] for p in params], device=device),
            torch.tensor([[p.min_p] for p in params], device=device),
            torch.tensor([[p.top_p] for p in params], dtype=torch.float64, device=device),
        )

    def only(self, rows: Tensor) -> Race:
        """These rows, by number."""
        if len(rows) == len(self.logits):
            return self
        parts = (self.logits, self.words, self.temperature, self.top_k, self.min_p, self.top_p)
        return Race(*(part[rows] for part in parts))

    def run(self) -> Tensor:
        """The winner of each row, [n]."""
        cut = self.top_k < self.logits.shape[1]
        ids = torch.full((len(self.logits),), -1, device=self.logits.device)
        filtered = (cut | (self.min_p > 0) | (self.top_p < 1))[:, 0].nonzero()[:, 0]
        if len(filtered):
            ids[filtered] = self.only(filtered)._among_likeliest()
        left = (ids < 0).nonzero()[:, 0]
        for rows in _tiles(left):
            ids[rows] = self.only(rows).among_all()[0]
        return ids

    def among_all(self) -> tuple[Tensor, Tensor]:
        """The winners [n], and the scores [n, vocabulary] of which theirs are the highest; 0 is ruled out."""
        weights = self._weights(self.logits.amax(-1, keepdim=True))
        scores = (
            noise(self.words, _spread(self.logits.shape[1], self.logits.device)).reciprocal_().mul_(weights)
        )
        if bool((self.top_k < self.logits.shape[1]).any()):
            out = self.logits < self._kth()
            weights.masked_fill_(out, 0)
            scores.masked_fill_(out, 0)
        if bool((self.min_p > 0).any()):
            out = weights < self.min_p
            weights.masked_fill_(out, 0)
            scores.masked_fill_(out, 0)
        winners = first_max(scores)[1]
        if bool((some := self.top_p[:, 0] < 1).any()):
            limit = self.top_p * _mass(weights)
            _into_nucleus(weights, scores, winners, limit, some)
        return winners, scores

    def _among_likeliest(self) -> Tensor:
        """The winners [n], found among few candidates; -1 where not even the last of them is filtered out."""
        wanted = int(self.top_k.masked_fill(self.top_k >= _MORE, 0).amax()) + 1
        values, ids = _top(self.logits, max(_LIKELIEST, wanted))
        weights = values.sub(values[:, :1]).div_(self.temperature).exp_()
        kth = values.gather(1, (self.top_k - 1).clamp_(max=values.shape[1] - 1))
        weights.masked_fill_((values < kth) | (weights < self.min_p), 0)
        complete = weights[:, -1:] == 0
        open_ = ~complete & (self.top_k >= self.logits.shape[1]) & (self.min_p == 0) & (self.top_p < 1)
        mass = _mass(weights)
        for rows in _tiles(open_.nonzero()[:, 0]):
            mass[rows] = _mass(self.only(rows)._weights(values[rows, :1]))
        limit = self.top_p * mass
        above = _mass(weights.masked_fill(weights <= weights[:, -1:], 0))
        enough = complete | (open_ & (above >= limit) & (above > 0))
        spread = _spread(self.logits.shape[1], self.logits.device)
        scores = noise(self.words, spread[ids]).reciprocal_().mul_(weights)
        at = scores.argmax(-1)
        _into_nucleus(weights, scores, at, limit, enough[:, 0])
        # Of equal scores the lowest id, as among all.
        best = scores.gather(1, at[:, None])
        winners = ids.masked_fill(scores < best, self.logits.shape[1]).amin(-1)
        return winners.masked_fill_(~enough[:, 0], -1)

    def _weights(self, best: Tensor) -> Tensor:
        return self.logits.sub(best).div_(self.temperature).exp_()

    def _kth(self) -> Tensor:
        """The top_k-th greatest logit of each row, [n, 1]."""
        return torch.stack(
            [row.topk(int(k)).values[-1:] for row, k in zip(self.logits, self.top_k, strict=True)]
        )


def _tiles(rows: Tensor) -> Iterator[Tensor]:
    size = _TILE if rows.device.type == "cpu" else max(1, len(rows))
    return (rows[start : start + size] for start in range(0, len(rows), size))


def first_max(scores: Tensor) -> tuple[Tensor, Tensor]:
    """The greatest of each row of [n, vocabulary] and its lowest id, as torch.argmax; NaN is greatest.

    torch's own argmax over long rows is slow on a CPU: 8 ms for [32, 49152].
    """
    whole = scores.shape[1] // _BLOCK * _BLOCK
    rows = torch.arange(len(scores), device=scores.device)
    if not whole:
        ids = scores.argmax(-1)
        return scores[rows, ids], ids
    blocks = scores.unfold(1, _BLOCK, _BLOCK)
    block = blocks.amax(-1).argmax(-1)
    ids = block * _BLOCK + blocks[rows, block].argmax(-1)
    if whole < scores.shape[1]:
        best, rest = scores[rows, ids], scores[:, whole:].argmax(-1) + whole
        other = scores[rows, rest]
        ids = torch.where((other > best) | (other.isnan() & ~best.isnan()), rest, ids)
    return scores[rows, ids], ids


def noise(words: Tensor, spread: Tensor) -> Tensor:
    """Exponentially distributed numbers [n, m] float32 > 0 by keys [n, 2] int32 and tokens [m] or [n, m]."""
    bits = _mixed(spread ^ words[:, :1], words[:, 1:])
    # Folded round zero, because a float is finest there, and a small number is what wins.
    folded = bits.float().add_(0.5).abs_().mul_(-(2.0**-31)).clamp_(min=2.0**-24 - 1)
    return folded.log1p_().neg_()


def _into_nucleus(weights: Tensor, scores: Tensor, winners: Tensor, limit: Tensor, rows: Tensor) -> None:
    """Runs the race again, for `rows`, until the winner is inside top_p; changes `scores` and `winners`.

    Nothing is sorted: a token is inside while the mass above it is below `limit`, and when one is outside,
    all that are no more likely are outside with it.
    """
    at = rows.nonzero()[:, 0]
    weights, limit = weights[at], limit[at]
    while len(at):
        bar = weights.gather(1, winners[at][:, None])
        above = _mass(weights.masked_fill(weights <= bar, 0))
        outside = ((above > 0) & (above >= limit))[:, 0]
        at, weights, bar, limit = (each[outside] for each in (at, weights, bar, limit))
        left = scores[at].masked_fill_(weights <= bar, 0)
        scores[at] = left
        winners[at] = first_max(left)[1]


def _mass(weights: Tensor) -> Tensor:
    """The sum of each row as a whole number, [n, 1] float64."""
    return weights.mul(_WHOLE).round_().sum(-1, keepdim=True, dtype=torch.float64)


def _top(logits: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The `count` greatest of each row and their ids, the greatest first; which of equal ones is open."""
    vocabulary = logits.shape[1]
    if count * _BLOCK * 2 > vocabulary:
        values, ids = logits.topk(min(count, vocabulary))
        return values, ids
    # The greatest are in the blocks with the greatest maxima.
    blocks = logits.unfold(1, _BLOCK, _BLOCK)
    best = blocks.amax(-1).topk(count, sorted=False).indices
    inside = torch.arange(_BLOCK, device=logits.device)
    ids = (best[:, :, None] * _BLOCK + inside).flatten(1)
    if rest := vocabulary % _BLOCK:
        tail = torch.arange(vocabulary - rest, vocabulary, device=logits.device)
        ids = torch.cat([ids, tail.expand(len(ids), rest)], 1)
    values, at = logits.gather(1, ids).topk(count)
    return values, ids.gather(1, at)


@lru_cache(maxsize=8)
def _spread(vocabulary: int, device: torch.device) -> Tensor:
    """Token ids [vocabulary] as words without a pattern; made once."""
    words = torch.arange(vocabulary, dtype=torch.int32, device=device).mul_(-1640531527)
    words.bitwise_xor_((words >> 16).bitwise_and_(0xFFFF))
    return _mixed(words, torch.tensor(0x3C6EF372, dtype=torch.int32, device=device))


def _mixed(words: Tensor, key: Tensor) -> Tensor:
    """Words [..., m] int32, changed in place: each bit then hangs on all bits of them and of `key`.

    Multiply and shift, as the finalisers of murmur3 and splitmix do. int32, because it is half the memory of
    int64 and CPUs multiply it eight at a time; the masks make the shifts unsigned.
    """
    words.mul_(0x7FEB352D)
    return words.bitwise_xor_((words >> 15).bitwise_and_(0x1FFFF)).add_(key).mul_(-2073319413)
