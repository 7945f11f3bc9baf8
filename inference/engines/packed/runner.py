"""One forward of an unmodified transformers model over the chunks of many sequences, packed in one row.

The model calls `_attention` through the library's attention registry; there the new keys and values go into
the cache, and each sequence attends over its own region. Everything else in a decoder works on single tokens
and needs no change. One thread runs one forward at a time; the step it runs is that thread's.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence as Items
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from inference.engines.packed import native
from inference.engines.packed.cache import BLOCK, KVCache, Region
from inference.engines.packed.scheduler import Chunk

ATTENTION = "hearth_packed"
#: What the library hands to an attention function and what is honoured or without effect here. A model that
#: passes anything else (softcap, sinks, position bias, ...) is not packed.
SERVED = frozenset({"scaling", "sliding_window", "dropout"})
NEUTRAL = frozenset({"position_ids", "use_cache", "cache_position", "is_causal"})
#: Decodes are read as one batch while the longest is at most this many times the shortest.
_SPREAD = 2

#: `step` of the forward that this thread runs, or `probe`, which looks at what attention gets instead.
current = threading.local()


@dataclass(frozen=True)
class Row:
    """Rows [begin, end) of the pack: tokens of one sequence, whose KV lies in `region`. The first of them has
    position `position`."""

    begin: int
    end: int
    region: Region
    position: int

    @property
    def length(self) -> int:
        """Tokens that the last of them attends over."""
        return self.position + self.end - self.begin


@dataclass
class Run:
    """Decodes whose regions follow each other at one distance: their KV is one strided view."""

    rows: list[Row]
    distance: int = 0

    @property
    def length(self) -> int:
        return max(row.length for row in self.rows)

    def takes(self, row: Row) -> bool:
        last = self.rows[-1]
        distance = row.region.start - last.region.start
        longest = max(self.length, row.length)
        return (
            row.begin == last.end
            and row.region.capacity == last.region.capacity
            and distance == (self.distance or distance)
            and longest <= _SPREAD * min(row.length, *(r.length for r in self.rows))
        )

    def add(self, row: Row) -> None:
        self.distance = row.region.start - self.rows[-1].region.start
        self.rows.append(row)


@dataclass
class Step:
    """What the attention of one forward has to know."""

    cache: KVCache
    places: torch.Tensor  # [3, tokens]: start of the region, place in it, capacity
    decodes: list[Run]
    prompts: list[Row]
    pack: torch.Tensor | None  # what native.attend is told, for all rows
    masks: dict[Any, torch.Tensor | None] = field(default_factory=dict)
    _rows: dict[int, torch.Tensor] = field(default_factory=dict)

    def rows(self, heads: int) -> torch.Tensor:
        """[tokens x heads]: the row of the cache for each head of each token."""
        if heads not in self._rows:
            start, token, apart = self.places[:, :, None]
            head = torch.arange(heads, device=self.places.device)
            self._rows[heads] = (start * heads + token + head * apart).reshape(-1)
        return self._rows[heads]

    def decode_mask(self, index: int, window: int | None, like: torch.Tensor) -> torch.Tensor | None:
        """[rows, 1, 1, length], 0 or -inf; None when every row attends over all of it."""
        key = ("decode", index, window)
        if key not in self.masks:
            run = self.decodes[index]
            lengths = torch.tensor([row.length for row in run.rows], device=like.device)[:, None]
            at = torch.arange(run.length, device=like.device)[None]
            seen = at < lengths
            if window is not None:
                seen &= at >= lengths - window
            self.masks[key] = None if bool(seen.all()) else _additive(seen, like)[:, None, None]
        return self.masks[key]

    def prompt_mask(self, index: int, window: int | None, like: torch.Tensor) -> torch.Tensor | None:
        """[tokens, length], 0 or -inf; None for plain causal attention from the first token on."""
        row = self.prompts[index]
        if window is not None and window >= row.length:
            window = None
        if row.position == 0 and window is None:
            return None
        key = ("prompt", index, window)
        if key not in self.masks:
            query = torch.arange(row.position, row.length, device=like.device)[:, None]
            at = torch.arange(row.length, device=like.device)[None]
            seen = at <= query
            if window is not None:
                seen &= at > query - window
            self.masks[key] = _additive(seen, like)
        return self.masks[key]


class ModelRunner:
    """From now on `model` runs packed only. One thread calls it."""

    def __init__(self, model: Any, cache: KVCache, device: str) -> None:
        self._model, self._cache, self._device = model, cache, device
        model.set_attn_implementation(ATTENTION)

    @torch.inference_mode()
    def forward(self, chunks: Items[Chunk]) -> torch.Tensor:
        """Runs `chunks`, those of one token first, and writes their KV. Returns float32 logits
        [samples, vocabulary], one row per chunk that samples, in their order; at least one row."""
        ids: list[int] = []
        positions: list[int] = []
        starts: list[int] = []
        apart: list[int] = []
        sampled: list[int] = []
        rows: list[Row] = []
        for chunk in chunks:
            region = chunk.sequence.region
            assert region is not None
            first = len(ids)
            ids += chunk.tokens
            positions += range(chunk.begin, chunk.begin + chunk.count)
            starts += [region.start] * chunk.count
            apart += [region.capacity] * chunk.count
            rows.append(Row(first, len(ids), region, chunk.begin))
            if chunk.samples:
                sampled.append(len(ids) - 1)
        decodes = [row for row in rows if row.end - row.begin == 1]
        prompts = [block for row in rows if row.end - row.begin > 1 for block in self._blocks(row)]
        step = Step(
            self._cache,
            torch.tensor([starts, positions, apart], device=self._device),
            _runs(decodes),
            prompts,
            _pack(decodes + prompts) if native.ready and self._device == "cpu" else None,
        )
        current.step = step
        try:
            logits = self._model(
                input_ids=self._tensor(ids)[None],
                position_ids=self._tensor(positions)[None],
                use_cache=False,
                logits_to_keep=self._tensor(sampled or [len(ids) - 1]),
            ).logits
        finally:
            current.step = None
        return cast(torch.Tensor, logits[0].float())

    def _blocks(self, row: Row) -> list[Row]:
        """A chunk in the blocks that its attention is computed in, which begin at fixed positions. On a CPU
        each is a task for a thread; without the kernels torch's sums may depend on a block's rows."""
        if self._device != "cpu":
            return [row]
        blocks, begin, position = [], row.begin, row.position
        while begin < row.end:
            count = min(row.end - begin, BLOCK - position % BLOCK)
            blocks.append(Row(begin, begin + count, row.region, position))
            begin, position = begin + count, position + count
        return blocks

    def _tensor(self, values: list[int]) -> torch.Tensor:
        return torch.tensor(values, device=self._device)


def _pack(rows: list[Row]) -> torch.Tensor:
    return native.blocks(
        [
            (row.begin, row.end - row.begin, row.position, row.region.start, row.region.capacity)
            for row in rows
        ]
    )


def _runs(rows: list[Row]) -> list[Run]:
    runs: list[Run] = []
    for row in rows:
        if runs and runs[-1].takes(row):
            runs[-1].add(row)
        else:
            runs.append(Run([row]))
    return runs


def _attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: Any,
    scaling: float | None = None,
    sliding_window: int | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """query [1, heads, tokens, key_dim], key and value [1, kv heads, tokens, dim]; returns
    [1, tokens, heads, value_dim]."""
    if (probe := getattr(current, "probe", None)) is not None:
        return probe(module, query, key, value, sliding_window=sliding_window, **kwargs), None
    step: Step = current.step
    keys, values = step.cache.keys[module.layer_idx], step.cache.values[module.layer_idx]
    if step.pack is not None and native.can_attend(keys, values) and query.dtype == torch.float32:
        scale = query.shape[-1] ** -0.5 if scaling is None else scaling
        return native.attend(query, key, value, (keys, values), step.pack, scale, sliding_window), None
    places = step.rows(key.shape[1])
    keys.index_copy_(0, places, key[0].transpose(0, 1).reshape(-1, key.shape[-1]).to(keys.dtype))
    values.index_copy_(0, places, value[0].transpose(0, 1).reshape(-1, value.shape[-1]).to(values.dtype))
    rows = query[0].transpose(0, 1).to(keys.dtype)  # [tokens, heads, key_dim]
    parts = [
        _decode(step, run, rows, keys, values, step.decode_mask(index, sliding_window, rows), scaling)
        for index, run in enumerate(step.decodes)
    ]
    parts += [
        _prefill(step, row, rows, keys, values, step.prompt_mask(index, sliding_window, rows), scaling)
        for index, row in enumerate(step.prompts)
    ]
    out = parts[0] if len(parts) == 1 else torch.cat(parts)
    return out.to(query.dtype)[None], None


def _decode(
    step: Step,
    run: Run,
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    mask: torch.Tensor | None,
    scaling: float | None,
) -> torch.Tensor:
    """One query token per sequence; returns [sequences, heads, value_dim]. The heads of a KV group ride on
    the query axis, so that KV is not repeated."""
    begin, count = run.rows[0].begin, len(run.rows)
    k, v = (_view(step.cache, run, memory) for memory in (keys, values))
    grouped = query[begin : begin + count].reshape(count, k.shape[1], -1, query.shape[-1])
    attended = scaled_dot_product_attention(grouped, k, v, attn_mask=mask, scale=scaling)
    return attended.reshape(count, -1, values.shape[-1])


def _prefill(
    step: Step,
    row: Row,
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    mask: torch.Tensor | None,
    scaling: float | None,
) -> torch.Tensor:
    """The tokens of one chunk; returns [tokens, heads, value_dim]."""
    k, v = (step.cache.view(memory, row.region, row.length)[None] for memory in (keys, values))
    q = query[row.begin : row.end].transpose(0, 1)[None]
    grouped = q.shape[1] != k.shape[1]
    if grouped and q.device.type != "cpu":
        # With a mask, CUDA's fused kernels do not group heads themselves (not run: no GPU was at hand).
        k, v = (t.repeat_interleave(q.shape[1] // k.shape[1], dim=1) for t in (k, v))
        grouped = False
    attended = scaled_dot_product_attention(
        q, k, v, attn_mask=mask, is_causal=mask is None, scale=scaling, enable_gqa=grouped
    )
    return attended[0].transpose(0, 1)


def _view(cache: KVCache, run: Run, memory: torch.Tensor) -> torch.Tensor:
    """[rows, heads, length, dim] of one of the cache's memories, without a copy."""
    first = run.rows[0].region
    one = cache.view(memory, first, run.length)
    shape = (len(run.rows), *one.shape)
    return memory.as_strided(
        shape,
        (run.distance * memory.shape[0] // cache.size * memory.shape[1], *one.stride()),
        one.storage_offset(),
    )


def _additive(seen: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return torch.zeros(seen.shape, dtype=like.dtype, device=like.device).masked_fill_(~seen, -torch.inf)


cast(Any, AttentionInterface).register(ATTENTION, _attention)
