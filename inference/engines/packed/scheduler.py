"""Which tokens go through the model in the next step.

Every running sequence that only misses its newest token is in every step (decode); what is left of the budget
goes to prompts (prefill), a chunk at a time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from inference.engines.packed.cache import KVCache
from inference.engines.packed.request import Phase, Sequence
from inference.errors import InferenceError

#: What an answer of unknown length gets beyond its prompt at first, and each time it needs more (tokens).
RESERVE = 512
#: Prompts are cut so that a step takes about this long (seconds), once it is known how long steps take.
LONGEST_STEP = 0.25
UNKNOWN_PACE = 128
#: The least that is read of a prompt in a step, and what chunks are multiples of (tokens).
LEAST_CHUNK = 8
#: What one prompt may add to a step of decodes, as a share of its time. Late tokens of a long prompt cost
#: more than the pace that was seen: half is planned, so that it stays below one.
_SHARE = 0.5


@dataclass(frozen=True)
class Chunk:
    """`count` tokens of `sequence` from position `begin` on."""

    sequence: Sequence
    begin: int
    count: int

    @property
    def samples(self) -> bool:
        """Whether the next token can be chosen after it."""
        return self.begin + self.count == len(self.sequence.tokens)

    @property
    def start(self) -> int:
        """The slot where the KV of its sequence begins."""
        assert self.sequence.region is not None
        return self.sequence.region.start

    @property
    def tokens(self) -> list[int]:
        return self.sequence.tokens[self.begin : self.begin + self.count]


class Scheduler:
    """`budget`: most tokens of one step; `slots`: most sequences that run at a time."""

    def __init__(self, cache: KVCache, *, budget: int, slots: int) -> None:
        self._pace = Pace()
        self._cache, self._budget, self._slots = cache, budget, slots
        self._waiting: list[Sequence] = []  # first come, first served among a user's own
        self._running: list[Sequence] = []  # by admission
        self.preempted = 0

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def running(self) -> int:
        return len(self._running)

    @property
    def is_idle(self) -> bool:
        return not self._waiting and not self._running

    def add(self, sequence: Sequence) -> None:
        if len(sequence.transcript.ids) >= sequence.most:  # a prefix that is as long as the answer may be
            sequence.finish("length")
        else:
            self._waiting.append(sequence)

    def everyone(self) -> list[Sequence]:
        return [*self._running, *self._waiting]

    def next(self) -> list[Chunk]:
        """The chunks of the next step, those of one token first, in the order of their KV; may be empty."""
        self._admit()
        self._make_room()
        chunks = [Chunk(s, len(s.tokens) - 1, 1) for s in self._running if s.missing == 1]
        chunks += self._prefill([s for s in self._running if s.missing > 1], len(chunks))
        return sorted(chunks, key=lambda chunk: (chunk.count > 1, chunk.count == 1 and chunk.start))

    def took(self, seconds: float, chunks: list[Chunk]) -> None:
        """How long the step of `chunks` was."""
        decoding = sum(chunk.count == 1 for chunk in chunks)
        self._pace.took(seconds, sum(chunk.count for chunk in chunks) - decoding)

    def release(self) -> None:
        """Let go of those that ended or were cancelled; what they computed is kept for the next turn."""
        for sequence in self.everyone():
            if sequence.cancelled and sequence.phase is not Phase.ENDED:
                sequence.finish("stopped")
        for sequence in [s for s in self._running if s.phase is Phase.ENDED]:
            self._running.remove(sequence)
            if sequence.region is not None:
                self._cache.keep(sequence.region)
                sequence.region = None
        self._waiting = [s for s in self._waiting if s.phase is Phase.WAITING]

    def poisoned(self, sequence: Sequence) -> None:
        """What it computed must not be used again."""
        if sequence.region is not None:
            self._cache.drop(sequence.region)
            sequence.region = None

    def _admit(self) -> None:
        while self._waiting and len(self._running) < self._slots:
            sequence = self._fairest()
            if not self._place(sequence):
                if self._running:
                    return  # nobody overtakes: the first in the queue would wait for ever
                self._cache.clear()
                if not self._place(sequence):
                    self._waiting.remove(sequence)
                    sequence.fail(too_long(sequence, self._cache.size))
                    continue
            self._waiting.remove(sequence)
            self._running.append(sequence)

    def _fairest(self) -> Sequence:
        """Of the user with the fewest running answers, the one that waits longest."""
        running = Counter(s.user for s in self._running)
        return min(self._waiting, key=lambda s: running[s.user])

    def _place(self, sequence: Sequence) -> bool:
        # The worst case where it is known: then the answer is never pre-empted for want of room.
        need = sequence.worst_case
        if sequence.params.max_tokens is None:
            need = min(need, len(sequence.tokens) + RESERVE)
        region = self._cache.place(sequence.tokens, need)
        if region is not None:
            sequence.placed(region)
        return region is not None

    def _make_room(self) -> None:
        """Answers that outgrew their region get more; where there is none, the newest gives way."""
        for sequence in list(self._running):
            while sequence.region is not None and len(sequence.tokens) > sequence.region.capacity:
                need = min(sequence.worst_case, len(sequence.tokens) + RESERVE)
                if self._cache.grow(sequence.region, need):
                    break
                self._preempt(self._running[-1])

    def _preempt(self, victim: Sequence) -> None:
        """It is computed again later, as far as what it leaves is thrown out meanwhile."""
        assert victim.region is not None
        self._cache.keep(victim.region)
        victim.region, victim.phase = None, Phase.WAITING
        self._running.remove(victim)
        self._waiting.insert(0, victim)
        self.preempted += 1

    def _prefill(self, prompts: list[Sequence], decoding: int) -> list[Chunk]:
        left = min(self._budget - decoding, self._pace.room(decoding, len(prompts) + len(self._waiting)))
        left = max(left, LEAST_CHUNK)  # however slow the model is
        order = list(_in_turns(prompts))
        chunks = []
        for place, sequence in enumerate(order):
            if left <= 0:
                break
            # A long prompt leaves half to those behind it.
            most = left if place == len(order) - 1 else max(left // 2, LEAST_CHUNK)
            count = min(sequence.missing, _to_border(sequence.computed, most))
            if sequence.missing <= left:
                count = sequence.missing
            chunks.append(Chunk(sequence, sequence.computed, count))
            left -= count
        return chunks


class Pace:
    """How long steps take here, to keep those who read from waiting for those who begin.

    A step of decodes takes `base` seconds, each prompt token adds `per_token`; both are followed.
    """

    def __init__(self) -> None:
        self._base = self._per_token = 0.0

    def took(self, seconds: float, prompt_tokens: int) -> None:
        if not prompt_tokens:
            self._base = _follow(self._base, seconds)
        elif seconds > self._base:
            self._per_token = _follow(self._per_token, (seconds - self._base) / prompt_tokens)

    def room(self, decoding: int, beginning: int) -> int:
        """How many prompt tokens a step may carry beside `decoding` answers while `beginning` wait for their
        first token. One prompt adds about half of a step's time, for those who read; where several begin at
        once, they come first. No step takes so long that a cancellation waits."""
        if not self._per_token:
            return UNKNOWN_PACE
        seconds = LONGEST_STEP
        if decoding and self._base:
            seconds = min(seconds, _SHARE * self._base * max(1, 4 * (beginning - 1)))
        return int(seconds / self._per_token)


def too_long(sequence: Sequence, limit: int) -> InferenceError:
    message = f"The conversation has {len(sequence.tokens)} tokens, there is memory for {limit}."
    return InferenceError("context_too_long", message, extra={"tokens": len(sequence.tokens), "limit": limit})


def _to_border(begin: int, most: int) -> int:
    """How many tokens from `begin` on end at a multiple of LEAST_CHUNK; at least up to the next one."""
    return (
        max((begin + most) // LEAST_CHUNK * LEAST_CHUNK, begin // LEAST_CHUNK * LEAST_CHUNK + LEAST_CHUNK)
        - begin
    )


def _follow(average: float, value: float) -> float:
    return value if not average else 0.8 * average + 0.2 * value


def _in_turns(prompts: list[Sequence]) -> Iterator[Sequence]:
    """First come, first served, but each user's first prompt before anybody's second."""
    ranks: Counter[str] = Counter()
    ranked = []
    for arrival, sequence in enumerate(prompts):
        ranked.append((ranks[sequence.user], arrival))
        ranks[sequence.user] += 1
    for _, arrival in sorted(ranked):
        yield prompts[arrival]
