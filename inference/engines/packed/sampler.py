"""Rows of logits to tokens: one call for all requests of a step, no row touched by its company.

Order, and whose meaning each has: repetition_penalty (transformers: tokens of prompt and answer), presence_
penalty (OpenAI: tokens of the answer), logit_bias (OpenAI), the mask; then temperature, top_k (transformers:
tokens as likely as the k-th stay), min_p (vLLM: before top_p), top_p (the mass above a token is below it).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Protocol

import torch

from inference.engines.faults import typed
from inference.engines.packed.draw import Race, first_max
from inference.engines.packed.params import SamplingParams
from inference.errors import InferenceError

Tensor = torch.Tensor
_CANDIDATES = 1000


class Mask(Protocol):
    """What a grammar allows next. An exception of either call ends this request alone."""

    def __call__(self, logits_row: Tensor) -> None:
        """Set what is ruled out to -inf, in place."""

    def took(self, token: int) -> None:
        """`token` was chosen, or is kept from a prefix."""


@dataclass(frozen=True)
class Choice:
    """`logprob` and `top` (token, logprob) are of the model's own softmax: before penalties, bias, mask and
    temperature. With an `error` the token is -1 and the request ends."""

    token: int
    logprob: float | None = None
    top: tuple[tuple[int, float], ...] = ()
    error: InferenceError | None = None


class SamplerRow:
    """What the sampler has to know of one request; lives as long as it. `place` is set before each call."""

    def __init__(self, params: SamplingParams, prompt: Sequence[int], mask: Mask | None = None) -> None:
        self.params = params
        self.place = ""
        self.accepts: Callable[[int], bool] | None = None
        self.fallback: Sequence[int] = ()
        self._mask = mask
        self._seen = _Distinct(prompt) if params.repetition_penalty != 1 else None
        self._said = _Distinct(()) if params.presence_penalty else None
        self._bias = (list(params.logit_bias), list(params.logit_bias.values()))
        self._error: InferenceError | None = None

    @property
    def key(self) -> tuple[int, int]:
        """Two words of 32 bits, signed: the noise of this place in the text."""
        digest = hashlib.blake2b(f"{self.params.seed}/{self.place}".encode(), digest_size=8).digest()
        low, high = digest[:4], digest[4:]
        return int.from_bytes(low, "little", signed=True), int.from_bytes(high, "little", signed=True)

    def took(self, token: int) -> None:
        """`token` is part of the answer now. Never raises: an error of the mask comes with the next one."""
        if self._seen:
            self._seen.add(token)
        if self._said:
            self._said.add(token)
        if self._mask:
            try:
                self._mask.took(token)
            except Exception as error:
                self._error = self._error or typed(error)

    def adjust(self, row: Tensor) -> None:
        """Penalties, bias and mask on this row of logits [vocabulary], in place."""
        if self._error:
            raise self._error
        if self._seen:
            ids, penalty = self._seen.on(row), self.params.repetition_penalty
            values = row[ids]
            row[ids] = torch.where(values < 0, values * penalty, values / penalty)
        if self._said:
            row[self._said.on(row)] -= self.params.presence_penalty
        if self._bias[0]:
            row[torch.tensor(self._bias[0], device=row.device)] += torch.tensor(
                self._bias[1], device=row.device
            )
        if self._mask:
            self._mask(row)


class _Distinct:
    """Token ids without repeats, as a tensor that is made again only after a new one came."""

    def __init__(self, ids: Sequence[int]) -> None:
        self._ids = set(ids)
        self._tensor: Tensor | None = None

    def __bool__(self) -> bool:
        return True

    def add(self, token: int) -> None:
        if token not in self._ids:
            self._ids.add(token)
            self._tensor = None

    def on(self, row: Tensor) -> Tensor:
        if self._tensor is None:
            self._tensor = torch.tensor(list(self._ids), dtype=torch.long, device=row.device)
        return self._tensor


@torch.inference_mode()
def sample(logits: Tensor, rows: Sequence[SamplerRow], alone: bool = False) -> list[Choice]:
    """One token for each of `rows` from logits [rows, vocabulary] float32, which may be changed.

    A row's choice is a function of its logits, params, history and place: the same in every batch.
    What goes wrong with one row (no finite logit, an exception of its mask) is in its Choice alone.
    `alone`: no other thread computes with torch, so this may be done on one core (see `_one_thread`).
    """
    with _one_thread() if alone and logits.device.type == "cpu" else nullcontext():
        return _sample(logits, rows)


def _sample(logits: Tensor, rows: Sequence[SamplerRow]) -> list[Choice]:
    asked = [i for i, row in enumerate(rows) if row.params.logprobs is not None]
    own = dict(zip(asked, logits[asked].log_softmax(-1), strict=True)) if asked else {}
    errors = _adjust(logits, rows)
    tops, best = first_max(logits)
    tokens = best.tolist()
    for i, finite in enumerate(tops.isfinite().tolist()):
        if not finite and i not in errors:
            errors[i] = InferenceError("engine_error", "The model gave no finite score for the next token.")
    good = [i for i in range(len(rows)) if i not in errors]
    healing = {i for i in good if rows[i].accepts}
    warm = [i for i in good if rows[i].params.temperature > 0 and i not in healing]
    if warm:
        part = logits if len(warm) == len(rows) else logits[warm]
        race = Race.of(part, [rows[i].params for i in warm], [rows[i].key for i in warm])
        for i, token in zip(warm, race.run().tolist(), strict=True):
            tokens[i] = token
    for i in healing:
        try:
            tokens[i] = _accepted(rows[i], logits[i], tokens[i])
        except Exception as error:
            errors[i] = typed(error)
    return [
        Choice(-1, error=errors[i]) if i in errors else _choice(token, own.get(i), rows[i].params.logprobs)
        for i, token in enumerate(tokens)
    ]


@contextmanager
def _one_thread() -> Iterator[None]:
    """These are many short steps: waiting at each of them for a second core that somebody else uses costs far
    more than the core gives. The setting is this thread's, but a thread that begins meanwhile inherits it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _adjust(logits: Tensor, rows: Sequence[SamplerRow]) -> dict[int, InferenceError]:
    """Each row's penalties, bias and mask; the errors of those that failed, whose logits become 0."""
    errors = {}
    for i, row in enumerate(rows):
        try:
            row.adjust(logits[i])
        except Exception as error:
            errors[i] = typed(error)
            logits[i] = 0
    return errors


def _accepted(row: SamplerRow, scores: Tensor, best: int) -> int:
    """The best token with which the text still becomes the prefix: what was chosen the first time."""
    assert row.accepts is not None
    if row.params.temperature > 0:
        winners, raced = Race.of(scores[None], [row.params], [row.key]).among_all()
        best, scores = int(winners[0]), raced[0].log()
    likely = scores.topk(min(_CANDIDATES, len(scores)))
    for token in (best, *likely.indices[likely.values > -torch.inf].tolist(), *row.fallback):
        if row.accepts(token):
            return int(token)
    raise InferenceError("cannot_continue", "The text to go on from is not made of this model's tokens.")


def _choice(token: int, logprobs: Tensor | None, count: int | None) -> Choice:
    if logprobs is None or count is None:
        return Choice(token)
    best = logprobs.topk(min(count, len(logprobs)))
    top = tuple(zip(best.indices.tolist(), best.values.tolist(), strict=True))
    return Choice(token, float(logprobs[token]), top)
