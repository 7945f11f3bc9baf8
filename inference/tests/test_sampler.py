"""The sampler: the right distribution, and no row touched by its company."""

from __future__ import annotations

import dataclasses
import math
import random
from typing import Any

import pytest
import torch

from inference.engines.packed.draw import _spread as spread
from inference.engines.packed.draw import first_max, noise
from inference.engines.packed.params import SamplingParams
from inference.engines.packed.sampler import Choice, SamplerRow, sample
from inference.errors import InferenceError

CPU = torch.device("cpu")


def row_of(place: str = "0.0", mask: Any = None, prompt: tuple[int, ...] = (), **params: Any) -> SamplerRow:
    row = SamplerRow(SamplingParams(**{"seed": "s", **params}), prompt, mask)
    row.place = place
    return row


def one(logits: torch.Tensor, row: SamplerRow) -> Choice:
    return sample(logits[None].clone(), [row])[0]


def logits_of(vocabulary: int, seed: int = 0, scale: float = 3.0, rows: int = 1) -> torch.Tensor:
    return torch.randn(rows, vocabulary, generator=torch.Generator().manual_seed(seed)) * scale


def allowed(logits: torch.Tensor, params: SamplingParams) -> torch.Tensor:
    """The probabilities after all filters, the slow way, in float64."""
    scaled = logits.double() / params.temperature
    if params.top_k:
        scaled[scaled < scaled.sort(descending=True).values[min(params.top_k, len(scaled)) - 1]] = -math.inf
    p = scaled.softmax(-1)
    p[p < params.min_p * p.max()] = 0
    p /= p.sum()
    if params.top_p < 1:
        above = torch.stack([p[p > each].sum() for each in p])
        p[(above >= params.top_p) & (above > 0)] = 0
    return p / p.sum()


FILTERS: list[dict[str, Any]] = [
    {"temperature": 1.0},
    {"temperature": 0.7},
    {"temperature": 1.0, "top_k": 5},
    {"temperature": 1.3, "top_p": 0.8},
    {"temperature": 1.0, "min_p": 0.1},
    {"temperature": 1.2, "top_k": 30, "top_p": 0.9, "min_p": 0.02},
]


@pytest.mark.parametrize("filters", FILTERS)
def test_tokens_come_as_often_as_the_softmax_says(filters: dict[str, Any]) -> None:
    draws, logits = 20_000, logits_of(200, scale=2.0)[0]
    expected = allowed(logits, SamplingParams(**filters)) * draws
    rows = [row_of(f"{i}.0", **filters) for i in range(500)]
    seen = torch.zeros(200)
    for start in range(0, draws, 500):
        for i, row in enumerate(rows):
            row.place = f"{start + i}.0"
        choices = sample(logits.expand(500, -1).clone(), rows)
        seen += torch.bincount(torch.tensor([c.token for c in choices]), minlength=200)
    assert seen[expected == 0].sum() == 0
    often = expected >= 5
    groups = [(seen[often], expected[often])]
    if (rest := expected[~often].sum()) > 0:
        groups.append((seen[~often].sum()[None], rest[None]))
    chi = sum(float(((s - e) ** 2 / e).sum()) for s, e in groups)
    freedom = sum(len(s) for s, _ in groups) - 1
    # Five standard deviations of a chi-square above its mean: one false alarm in some 100,000 runs, and the
    # draws are fixed by the seed, so not one that comes and goes.
    assert chi < freedom + 5 * math.sqrt(2 * max(1, freedom))


def test_the_noise_of_two_places_or_two_tokens_is_not_alike() -> None:
    words = torch.tensor([row_of(f"{i}.0").key for i in range(64)], dtype=torch.int32)
    drawn = torch.exp(-noise(words, spread(4096, CPU)))  # uniform again
    assert abs(float(drawn.mean()) - 0.5) < 0.003
    assert abs(float(drawn.var()) - 1 / 12) < 0.001
    assert drawn.corrcoef().fill_diagonal_(0).abs().max() < 0.1  # between places; sd 0.016
    neighbours = torch.stack([drawn[:, :-1].flatten(), drawn[:, 1:].flatten()]).corrcoef()[0, 1]
    assert abs(float(neighbours)) < 0.01  # between a token and the next; sd 0.002
    assert len(drawn.unique()) > 0.9 * drawn.numel()


def test_the_noise_is_the_same_wherever_the_token_stands() -> None:
    words = torch.tensor([[1, 2], [-3, 4]], dtype=torch.int32)
    whole = noise(words, spread(49_152, CPU))
    some = torch.randint(0, 49_152, (2, 77), generator=torch.Generator().manual_seed(1))
    assert torch.equal(whole.gather(1, some), noise(words, spread(49_152, CPU)[some]))
    assert torch.equal(whole[:, :1000], noise(words, spread(1000, CPU)))


def test_the_noise_stays_what_it_is() -> None:
    """Answers that a new version interrupted go on as they would have. The definition, in integers."""

    def mixed(word: int, key: int) -> int:
        word = word * 0x7FEB352D % 2**32
        return ((word ^ word >> 15) + key) * (2**32 - 2073319413) % 2**32

    low, high = row_of("12.1", seed="42").key
    assert (low, high) == (486319013, -1639145067)
    expected = []
    for token in range(100):
        word = token * (2**32 - 1640531527) % 2**32
        bits = mixed(mixed(word ^ word >> 16, 0x3C6EF372) ^ low % 2**32, high % 2**32)
        signed = bits - 2**32 if bits >= 2**31 else bits
        expected.append(-math.log1p(-abs(signed + 0.5) / 2**31))
    drawn = noise(torch.tensor([[low, high]], dtype=torch.int32), spread(100, CPU))
    assert drawn[0].tolist() == pytest.approx(expected, rel=1e-5)


def random_params(dice: random.Random) -> dict[str, Any]:
    return {
        "temperature": dice.choice([0, 0.01, 0.7, 1.0, 2.0, 5.0]),
        "top_k": dice.choice([0, 0, 1, 3, 50, 64, 65, 300, 10_000]),
        "top_p": dice.choice([1, 1, 0, 0.3, 0.9, 0.999]),
        "min_p": dice.choice([0, 0, 0.05, 0.5, 1]),
        "repetition_penalty": dice.choice([1, 1, 0.8, 1.3]),
        "presence_penalty": dice.choice([0, 0, 1.5]),
        "logit_bias": dice.choice([{}, {}, {1: 5.0, 2: -100.0}]),
        "logprobs": dice.choice([None, None, 0, 3]),
        "seed": str(dice.randrange(100)),
    }


@pytest.mark.parametrize("vocabulary", [40, 260, 5003, 49_152])
@pytest.mark.parametrize("rounded", [False, True])
def test_a_row_gets_the_same_choice_in_every_batch(vocabulary: int, rounded: bool) -> None:
    dice = random.Random(vocabulary + rounded)
    scale = torch.tensor([[dice.choice([0.1, 1, 3, 10])] for _ in range(40)])
    logits = logits_of(vocabulary, 3, 1.0, rows=40) * scale
    if rounded:
        logits = logits.bfloat16().float()  # full of ties, as the logits of a model in bfloat16 are
    rows = []
    for i in range(40):
        row = row_of(f"{i}.0", prompt=tuple(dice.sample(range(vocabulary), 20)), **random_params(dice))
        for token in dice.sample(range(vocabulary), dice.randrange(8)):
            row.took(token)
        rows.append(row)
    alone = [one(logits[i], row) for i, row in enumerate(rows)]
    for _ in range(12):
        company = dice.sample(range(40), dice.randrange(1, 40))
        together = sample(logits[company].clone(), [rows[i] for i in company])
        for i, choice in zip(company, together, strict=True):
            assert choice.token == alone[i].token
            assert choice.logprob == pytest.approx(alone[i].logprob, abs=1e-5)


@pytest.mark.parametrize("scale", [0.5, 3.0])
def test_few_candidates_give_what_all_would_give(scale: float, monkeypatch: pytest.MonkeyPatch) -> None:
    from inference.engines.packed.draw import Race

    logits = logits_of(5003, 5, scale, rows=60).mul(8).round().div(8)  # with ties
    dice = random.Random(1)
    rows = []
    for i in range(60):
        params = random_params(dice)
        rows.append(row_of(f"{i}.0", **{**params, "temperature": max(0.3, params["temperature"])}))
    few = [choice.token for choice in sample(logits.clone(), rows)]
    monkeypatch.setattr(Race, "_among_likeliest", lambda race: race.top_k.new_full((len(race.top_k),), -1))
    assert [choice.token for choice in sample(logits.clone(), rows)] == few


def test_another_seed_or_place_draws_anew_and_the_same_does_not() -> None:
    logits = logits_of(5000, scale=0.1)[0]
    draws = {
        (seed, place): one(logits, row_of(place, seed=seed, temperature=1)).token
        for seed in "ab"
        for place in ("0.0", "1.0", "1.1")
    }
    assert len(set(draws.values())) == 6
    assert one(logits, row_of("1.0", seed="b", temperature=1)).token == draws["b", "1.0"]


@pytest.mark.parametrize("vocabulary", [10, 64, 100, 4096])
def test_greedy_is_argmax_and_the_lowest_id_of_equals(vocabulary: int) -> None:
    logits = logits_of(vocabulary, 7, 1.0, rows=200).round()
    choices = sample(logits.clone(), [row_of(temperature=0)] * 200)
    assert [c.token for c in choices] == [int((row == row.max()).nonzero()[0]) for row in logits]


@pytest.mark.parametrize("params", [{"top_p": 0.0}, {"min_p": 1.0}, {"top_k": 1}, {"temperature": 1e-9}])
def test_the_narrowest_filter_leaves_the_likeliest_token(params: dict[str, Any]) -> None:
    logits = logits_of(500, 2)[0]
    assert one(logits, row_of(**{"temperature": 1.0, **params})).token == int(logits.argmax())


def test_first_max_sees_nan_first_as_argmax_does() -> None:
    logits = logits_of(130, rows=4)
    logits[0, 100], logits[1, 129], logits[2, 5], logits[3, 5] = math.nan, math.nan, math.nan, math.inf
    values, ids = first_max(logits)
    assert ids.tolist() == [100, 129, 5, 5]
    assert values.isfinite().sum() == 0


def test_the_repetition_penalty_is_that_of_transformers() -> None:
    from transformers.generation.logits_process import RepetitionPenaltyLogitsProcessor

    logits = logits_of(300, 4)[0]
    row = row_of(prompt=(1, 2, 2, 3), temperature=0, repetition_penalty=1.4)
    for token in (7, 7, 250):
        row.took(token)
    expected = RepetitionPenaltyLogitsProcessor(1.4)(
        torch.tensor([[1, 2, 2, 3, 7, 7, 250]]), logits[None].clone()
    )
    changed = logits.clone()
    row.adjust(changed)
    assert torch.equal(changed, expected[0])


def test_the_presence_penalty_counts_once_and_only_the_answer() -> None:
    row = row_of(prompt=(1,), presence_penalty=2.0)
    for token in (5, 5):
        row.took(token)
    changed = torch.zeros(10)
    row.adjust(changed)
    assert changed.nonzero().tolist() == [[5]]
    assert changed[5] == -2


def test_a_bias_is_added() -> None:
    logits = logits_of(50)[0]
    assert one(logits, row_of(temperature=0, logit_bias={13: 100.0})).token == 13


def test_logprobs_are_the_models_own() -> None:
    logits = logits_of(400, 9)[0]
    own = logits.log_softmax(-1)
    choice = one(logits, row_of(temperature=0.2, top_k=3, logprobs=5, logit_bias={13: 100.0}))
    assert choice.token == 13
    assert choice.logprob == pytest.approx(float(own[13]), abs=1e-5)
    best = own.topk(5)
    assert [token for token, _ in choice.top] == best.indices.tolist()
    assert [logprob for _, logprob in choice.top] == pytest.approx(best.values.tolist(), abs=1e-5)
    assert one(logits, row_of(logprobs=0)).top == ()
    assert one(logits, row_of()).logprob is None


class _Mask:
    """Rules out all but `allowed`, or fails where it is told to."""

    def __init__(self, allowed: list[int], fails: str = "") -> None:
        self.allowed, self.fails, self.taken = allowed, fails, list[int]()

    def __call__(self, row: torch.Tensor) -> None:
        if self.fails == "call":
            row.fill_(math.nan)  # half done
            raise KeyError("a bug")
        ruled_out = torch.ones(len(row), dtype=torch.bool)
        ruled_out[self.allowed] = False
        row[ruled_out] = -math.inf

    def took(self, token: int) -> None:
        self.taken.append(token)
        if self.fails == "took":
            raise InferenceError("cannot_continue", "no such word")


@pytest.mark.parametrize("filters", [{"temperature": 0}, *FILTERS])
def test_a_mask_rules_tokens_out_and_is_told_what_came(filters: dict[str, Any]) -> None:
    mask = _Mask([3, 77])
    row = row_of(mask=mask, **filters)
    for i in range(20):
        row.place = f"{i}.0"
        choice = one(logits_of(100, i)[0], row)
        assert choice.token in (3, 77)
        row.took(choice.token)
    assert len(mask.taken) == 20


@pytest.mark.parametrize("temperature", [0, 1.0])
def test_what_goes_wrong_with_a_row_is_that_rows_alone(temperature: float) -> None:
    logits = logits_of(300, 6, rows=8)
    logits[1, 7], logits[2], logits[3, 299] = math.nan, -math.inf, math.inf
    broken = row_of(mask=_Mask([1], fails="took"))
    broken.took(1)
    rows = [row_of(f"{i}.0", temperature=temperature, logprobs=2) for i in range(8)]
    rows[4:7] = [row_of(mask=_Mask([1], fails="call")), broken, row_of(mask=_Mask([]))]
    codes = ["", *["engine_error"] * 4, "cannot_continue", "engine_error", ""]
    choices = sample(logits.clone(), rows)
    assert [choice.error.code if choice.error else "" for choice in choices] == codes
    assert [choice.token for choice in choices[1:7]] == [-1] * 6
    for i in (0, 7):
        assert choices[i].token == one(logits[i], rows[i]).token


@pytest.mark.parametrize("temperature", [0, 0.8])
def test_while_a_prefix_is_made_again_the_best_fitting_token_is_taken(temperature: float) -> None:
    logits = logits_of(3000, 11)[0]
    free = row_of(temperature=temperature)
    best = one(logits, free).token
    healing = row_of(temperature=temperature)
    healing.accepts, healing.fallback = lambda token: token == best, [1]
    assert one(logits, healing).token == best
    asked: list[int] = []
    healing.accepts = lambda token: asked.append(token) or False  # type: ignore[func-returns-value]
    choice = one(logits, healing)
    assert choice.error is not None and choice.error.code == "cannot_continue"
    assert asked[0] == best and asked[-1] == 1 and len(asked) == 1002
    if temperature == 0:
        assert asked[1:1001] == logits.topk(1000).indices.tolist()
    outside = next(token for token in range(3000) if token not in asked)
    healing.accepts, healing.fallback = lambda token: token == outside, [2, outside]
    assert one(logits, healing).token == outside


def test_a_fit_that_fails_ends_its_row_alone() -> None:
    def fails(token: int) -> bool:
        raise ValueError("half a character")

    healing = row_of()
    healing.accepts = fails
    logits = logits_of(100, rows=2)
    first, second = sample(logits.clone(), [healing, row_of()])
    assert first.error is not None and first.error.code == "engine_error"
    assert second == one(logits[1], row_of())


def test_nobody_to_sample_for_is_no_error() -> None:
    assert sample(torch.empty(0, 100), []) == []


def test_a_choice_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Choice(1).token = 2  # type: ignore[misc]
