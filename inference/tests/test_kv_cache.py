"""The KV cache: what is placed where, what is reused, what has to go."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

torch = pytest.importorskip("torch")

from inference.engines.packed.cache import GRAIN, KVCache, LayerShape, Region  # noqa: E402

LAYERS = [LayerShape(2, 4, 3), LayerShape(1, 2, 2)]


def cache_of(grains: int) -> KVCache:
    return KVCache(LAYERS, grains * GRAIN, torch.float32)


def write(cache: KVCache, region: Region, tokens: list[int]) -> None:
    """As a forward does: the KV of a token is the token itself, so that a reader can tell whose it is."""
    done = len(region.tokens)
    new = torch.tensor(tokens[done:], dtype=torch.float32)
    for memory in (*cache.keys, *cache.values):
        cache.view(memory, region)[:, done : len(tokens)] = new[:, None]
    region.tokens += tokens[done:]


def holds(cache: KVCache, region: Region) -> bool:
    tokens = torch.tensor(region.tokens, dtype=torch.float32)[:, None]
    return all(
        bool((cache.view(memory, region, len(region.tokens)) == tokens).all())
        for memory in (cache.keys[0], cache.values[1])
    )


def filled(cache: KVCache, tokens: list[int], capacity: int = 0) -> Region:
    region = cache.place(tokens, capacity or len(tokens))
    assert region is not None
    write(cache, region, tokens)
    return region


def test_a_later_turn_takes_over_what_the_earlier_computed() -> None:
    cache = cache_of(8)
    first = filled(cache, list(range(100)))
    cache.keep(first)
    second = cache.place([*range(100), 7, 8, 9], 200)
    assert second is not None and second.tokens == list(range(96)) and holds(cache, second)
    assert cache.kept_tokens == 0  # not held twice


def test_the_last_token_of_a_prompt_is_computed_again() -> None:
    cache = cache_of(8)
    cache.keep(filled(cache, list(range(100))))
    again = cache.place(list(range(96)), 128)
    assert again is not None and len(again.tokens) == 80  # in whole blocks


def test_a_beginning_that_runs_for_somebody_is_copied_and_stays_his() -> None:
    cache = cache_of(8)
    running = filled(cache, list(range(100)))
    other = cache.place([*range(60), *range(500, 540)], 128)
    assert other is not None and other.start != running.start
    assert other.tokens == list(range(48)) and holds(cache, other) and len(running.tokens) == 100


def test_a_short_common_beginning_leaves_the_long_conversation_alone() -> None:
    cache = cache_of(8)
    cache.keep(filled(cache, list(range(200))))
    other = cache.place([*range(20), *range(500, 520)], 64)
    assert other is not None and other.tokens == list(range(16))
    assert cache.kept_tokens == 200


def test_the_least_recently_used_goes_first() -> None:
    cache = cache_of(3)
    regions = [filled(cache, [base + i for i in range(GRAIN)]) for base in (1000, 2000, 3000)]
    for region in regions:
        cache.keep(region)
    again = cache.place([1000 + i for i in range(GRAIN)], GRAIN)  # the oldest is used anew
    assert again is not None
    cache.keep(again)
    filled(cache, [9] * GRAIN)
    kept = sorted(region.tokens[0] for region in cache._regions if not region.busy)
    assert kept == [1000, 3000]


def test_no_room_is_said_and_nothing_that_runs_is_touched() -> None:
    cache = cache_of(2)
    running = filled(cache, list(range(GRAIN + 1)))
    assert cache.place([5, 6], GRAIN) is None
    assert holds(cache, running)


def test_a_region_grows_in_place_or_moves_and_keeps_its_content() -> None:
    cache = cache_of(8)
    first, second = filled(cache, list(range(50))), filled(cache, list(range(500, 550)))
    assert cache.grow(first, 2 * GRAIN) and first.start > second.start and holds(cache, first)
    cache.keep(first)
    start = second.start
    assert cache.grow(second, 3 * GRAIN) and second.start == start and holds(cache, second)
    assert not cache.grow(second, 9 * GRAIN) and holds(cache, second)


def test_what_is_dropped_is_cleared() -> None:
    cache = cache_of(2)
    region = filled(cache, [1, 2, 3])
    for memory in (*cache.keys, *cache.values):
        cache.view(memory, region)[-1, 0] = float("nan")
    cache.drop(region)
    assert all(bool((memory == 0).all()) for memory in (*cache.keys, *cache.values))


@pytest.mark.parametrize("seed", range(12))
def test_any_order_of_use_keeps_regions_apart_and_their_content_right(seed: int) -> None:
    rng = random.Random(seed)
    cache = cache_of(24)
    busy: list[Region] = []
    texts = [[rng.randrange(50) for _ in range(rng.randrange(1, 300))] for _ in range(6)]
    for _ in range(150):
        action = rng.random()
        if action < 0.5:
            base = rng.choice(texts)
            tokens = base[: rng.randrange(1, len(base) + 1)] + [rng.randrange(50) for _ in range(5)]
            region = cache.place(tokens, len(tokens) + rng.randrange(100))
            if region is not None:
                assert region.tokens == tokens[: len(region.tokens)] and len(region.tokens) < len(tokens)
                write(cache, region, tokens)
                busy.append(region)
        elif busy and action < 0.7:
            region = rng.choice(busy)
            if cache.grow(region, region.capacity + rng.randrange(150)):
                write(cache, region, [*region.tokens, *(rng.randrange(50) for _ in range(3))])
        elif busy:
            region = busy.pop(rng.randrange(len(busy)))
            (cache.keep if rng.random() < 0.8 else cache.drop)(region)
        regions = cache._regions
        assert all(region in regions for region in busy)
        assert all(a.end <= b.start for a, b in pairwise(regions))
        assert not regions or regions[-1].end <= cache.size
        assert all(len(r.tokens) <= r.capacity and holds(cache, r) for r in regions)
