"""The KV cache: one arena of token slots per layer, cut into regions, one region per sequence.

A region is contiguous, head after head, so that attention reads it as a view: on a CPU, gathering blocks is
slower than attention itself (docs/decisions/0012). What a finished sequence leaves stays until its room is
needed; a new prompt takes over the longest common beginning, by copy or in place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count

import numpy
import torch

#: Capacities are multiples of this many tokens, and of more when they are large: there are few sizes, so that
#: neighbours of one size can be read as one batch, and a conversation seldom outgrows its region.
GRAIN = 64
#: A beginning is reused in whole blocks, and attention is computed in them: each begins at a fixed position.
BLOCK = 16


@dataclass(frozen=True)
class LayerShape:
    """What one layer keeps per token: key [heads, key_dim] and value [heads, value_dim]."""

    heads: int
    key_dim: int
    value_dim: int

    @property
    def numbers(self) -> int:
        return self.heads * (self.key_dim + self.value_dim)


@dataclass(eq=False)
class Region:
    """Token slots [start, start + capacity). `tokens` are those whose KV is written, from `start` on."""

    start: int
    capacity: int
    tokens: list[int] = field(default_factory=list)
    busy: bool = True
    used: int = 0

    @property
    def end(self) -> int:
        return self.start + self.capacity


class KVCache:
    """`size` token slots. Not thread-safe: it belongs to the engine's thread."""

    def __init__(
        self, layers: Sequence[LayerShape], size: int, dtype: torch.dtype, device: str = "cpu"
    ) -> None:
        self.size = max(GRAIN, size // GRAIN * GRAIN)
        # [slots x heads, dim]: a region's first head for all its tokens, then its second, and so on.
        self.keys = [_zeros((self.size * s.heads, s.key_dim), dtype, device) for s in layers]
        self.values = [_zeros((self.size * s.heads, s.value_dim), dtype, device) for s in layers]
        self._regions: list[Region] = []  # by start
        self._clock = count(1)

    @property
    def busy_tokens(self) -> int:
        return sum(region.capacity for region in self._regions if region.busy)

    @property
    def kept_tokens(self) -> int:
        return sum(len(region.tokens) for region in self._regions if not region.busy)

    def place(self, tokens: Sequence[int], capacity: int) -> Region | None:
        """A busy region for `capacity` tokens that holds the beginning of `tokens` as far as another one has
        it, in whole blocks and without the last token, whose logits are needed. None: no room now."""
        source, common = self._longest(tokens)
        if source is None:
            return self._allocate(capacity)
        superseded = not source.busy and common * 2 > len(source.tokens)
        if superseded and self._extend(source, self._capacity(capacity)):
            source.busy = True
            del source.tokens[common:]
            return source
        held, source.busy = source.busy, True  # not thrown out for its own successor
        region = self._allocate(capacity)
        source.busy = held
        if region is None:
            # With nothing else to give, what was computed has to go.
            return self._allocate(capacity)
        self._copy(source, region, common)
        if superseded:
            self._regions.remove(source)
        return region

    def grow(self, region: Region, capacity: int) -> bool:
        """Make room for `capacity` tokens in all, in place or elsewhere. False: there is none now."""
        if self._extend(region, self._capacity(capacity)):
            return True
        wider = self._allocate(capacity)
        if wider is None:
            return False
        self._copy(region, wider, len(region.tokens))
        # The sequence goes on holding its own object.
        self._regions.remove(wider)
        region.start, region.capacity = wider.start, wider.capacity
        self._regions.sort(key=lambda r: r.start)
        return True

    def keep(self, region: Region) -> None:
        """The sequence has ended: what it computed stays until the room is needed."""
        region.busy, region.used = False, next(self._clock)
        if len(region.tokens) < BLOCK:
            self._regions.remove(region)
        elif (enough := self._capacity(len(region.tokens))) <= region.capacity // 2:
            self._lay_out(region, enough)

    def drop(self, region: Region) -> None:
        """What is in it is not to be trusted. It is cleared, because padding reads it: 0 x NaN is NaN."""
        for memory in (*self.keys, *self.values):
            self.view(memory, region).zero_()
        self._regions.remove(region)

    def view(self, memory: torch.Tensor, region: Region, length: int | None = None) -> torch.Tensor:
        """[heads, length, dim] of one of `keys` or `values`; all of the region without `length`."""
        heads = memory.shape[0] // self.size
        rows = memory[region.start * heads : region.end * heads]
        whole = rows.view(heads, region.capacity, memory.shape[1])
        return whole if length is None else whole[:, :length]

    def clear(self) -> None:
        """Forget all that is kept."""
        self._regions = [region for region in self._regions if region.busy]

    def _longest(self, tokens: Sequence[int]) -> tuple[Region | None, int]:
        best, length = None, BLOCK - 1
        for region in self._regions:
            common = min(_common(region.tokens, tokens), len(tokens) - 1) // BLOCK * BLOCK
            # Of equals the idle one: it may be taken over without a copy.
            if common > length or (common == length and best is not None and best.busy and not region.busy):
                best, length = region, common
        if best is not None:
            best.used = next(self._clock)
        return best, length if best is not None else 0

    def _allocate(self, capacity: int) -> Region | None:
        capacity = self._capacity(capacity)
        place = self._find(capacity)
        if place is None:
            return None
        start, victims = place
        for victim in victims:
            self._regions.remove(victim)
        region = Region(start, capacity, used=next(self._clock))
        self._regions.append(region)
        self._regions.sort(key=lambda r: r.start)
        return region

    def _find(self, capacity: int) -> tuple[int, list[Region]] | None:
        """Where `capacity` slots are free or held by idle regions, with the least recently used loss."""
        best: tuple[int, int] | None = None
        found: tuple[int, list[Region]] | None = None
        for first, start in self._starts():
            victims: list[Region] = []
            for region in self._regions[first:]:
                if region.start >= start + capacity:
                    break
                victims.append(region)
            if start + capacity > self.size or any(victim.busy for victim in victims):
                continue
            loss = (max((victim.used for victim in victims), default=0), len(victims))
            if best is None or loss < best:
                best, found = loss, (start, victims)
                if not victims:
                    break
        return found

    def _capacity(self, tokens: int) -> int:
        """The next size of a region: a multiple of 64, of 128 from 512 on, of 256 from 1,024 on, ..."""
        grain = max(GRAIN, (1 << max(0, tokens - 1).bit_length()) >> 3)
        capacity = max(1, -(-tokens // grain)) * grain
        return capacity if tokens > self.size else min(capacity, self.size)

    def _starts(self) -> Iterator[tuple[int, int]]:
        """(index of the first region at or after it, slot) of each place where a region may begin."""
        yield 0, 0
        for index, region in enumerate(self._regions):
            if not region.busy:
                yield index, region.start
            yield index + 1, region.end

    def _extend(self, region: Region, capacity: int) -> bool:
        """Grow in place, over free slots and idle neighbours."""
        end = region.start + capacity
        index = self._regions.index(region)
        over = [r for r in self._regions[index + 1 :] if r.start < end]
        if end > self.size or any(r.busy for r in over):
            return False
        for victim in over:
            self._regions.remove(victim)
        if capacity > region.capacity:
            self._lay_out(region, capacity)
        return True

    def _lay_out(self, region: Region, capacity: int) -> None:
        """The same tokens with another distance between the heads."""
        length, before = _whole_grains(len(region.tokens)), region.capacity
        for memory in (*self.keys, *self.values):
            region.capacity = before
            held = self.view(memory, region, length).clone()
            region.capacity = capacity
            self.view(memory, region, length).copy_(held)

    def _copy(self, source: Region, target: Region, length: int) -> None:
        whole = _whole_grains(length)
        for memory in (*self.keys, *self.values):
            self.view(memory, target, whole).copy_(self.view(memory, source, whole))
        target.tokens[:] = source.tokens[:length]


def _whole_grains(tokens: int) -> int:
    """What is copied is whole grains: within one, the kernels lay the keys out in their own way."""
    return -(-tokens // GRAIN) * GRAIN


def _common(left: Sequence[int], right: Sequence[int]) -> int:
    """Length of the common beginning."""
    limit = min(len(left), len(right))
    at, step = 0, 16
    while at < limit:
        end = min(at + step, limit)
        if left[at:end] == right[at:end]:
            at, step = end, step * 2
        elif step > 1:
            step = max(1, (end - at) // 2)
        else:
            break
    return at


def _zeros(shape: tuple[int, ...], dtype: torch.dtype, device: str) -> torch.Tensor:
    """Zeros, on CPU of pages that cost nothing before they are written."""
    if device != "cpu":
        return torch.zeros(shape, dtype=dtype, device=device)
    size = int(numpy.prod(shape)) * dtype.itemsize
    return torch.from_numpy(numpy.zeros(size, dtype=numpy.uint8)).view(dtype).view(shape)
