"""What goes wrong with one request in the pack stays with it: no other fails, changes or waits for it."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from inference.engines.packed.loop import EngineLoop  # noqa: E402
from inference.engines.packed.request import Phase  # noqa: E402
from inference.engines.packed.sampler import SamplerRow  # noqa: E402
from inference.tests import schedules, tiny_models  # noqa: E402

FAULTS = 100  # for each dtype
CANCELS = 500


class Bomb:
    """A grammar that fails at its n-th token, in one of the ways in which code fails."""

    def __init__(self, at: int, way: str) -> None:
        self.left, self.way = at, way

    def __call__(self, logits_row: Any) -> None:
        if self.left > 0:
            return
        if self.way == "raise":
            raise RuntimeError("the grammar is broken")
        logits_row.fill_(float("nan") if self.way == "nan" else -torch.inf)

    def took(self, token: int) -> None:
        self.left -= 1
        if self.left <= 0 and self.way == "took":
            raise ValueError("the grammar does not know this token")


@pytest.fixture(scope="module", params=["float32", "int8"])
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> schedules.Loaded:
    folder: Path = tiny_models.make_qwen3(tmp_path_factory.mktemp("faults"))
    return schedules.load(folder, request.param)


def clean(loaded: schedules.Loaded) -> list[int]:
    """The prompts without the token that is poisoned."""
    return [i for i, prompt in enumerate(loaded.prompts) if loaded.model.config.vocab_size - 1 not in prompt]


def poisoned_prompt(loaded: schedules.Loaded, rng: random.Random) -> list[int]:
    """A prompt with a token whose embedding is not a number: everything computed from it is none, too."""
    poison = loaded.model.config.vocab_size - 1
    with torch.inference_mode():
        loaded.model.get_input_embeddings().weight[poison] = float("nan")
    prompt = [token for token in rng.choice(loaded.prompts) if token != poison]
    prompt.insert(rng.randrange(len(prompt) + 1), poison)
    return prompt


def fault(loaded: schedules.Loaded, rng: random.Random, breaking: set[int]) -> Any:
    kind = rng.choice(("nan", "raise", "took", "ruled out", "poison", "forward", "gone", "too long"))
    prompt = loaded.prompts[rng.choice(clean(loaded))]
    if kind == "poison":
        return loaded.sequence(poisoned_prompt(loaded, rng), 12)
    if kind == "too long":
        return loaded.sequence([1] * 2100, 12, limit=4096)
    sequence = loaded.sequence(prompt, 20)
    if kind == "gone":
        sequence.cancelled = True
    elif kind == "forward":
        breaking.add(id(sequence))
    else:
        sequence.row = SamplerRow(sequence.params, prompt, Bomb(rng.randrange(4), kind))
    return sequence


def break_forward(loop: EngineLoop, breaking: set[int]) -> None:
    """The model's own code fails whenever one of `breaking` is in the pack."""
    forward = loop._runner.forward

    def run(chunks: Any) -> Any:
        if any(id(chunk.sequence) in breaking for chunk in chunks):
            raise RuntimeError("a kernel failed")
        return forward(chunks)

    loop._runner.forward = run  # type: ignore[method-assign]


def test_random_faults_touch_nobody_else(loaded: schedules.Loaded) -> None:
    rng, loop, breaking = random.Random(11), loaded.loop(tokens=2048, budget=48), set[int]()
    break_forward(loop, breaking)
    good: list[tuple[int, Any]] = []
    bad: list[Any] = []
    steps = 0
    while len(bad) < FAULTS or not loop.scheduler.is_idle:
        if len(bad) < FAULTS and rng.random() < 0.5:
            bad.append(fault(loaded, rng, breaking))
            loop.scheduler.add(bad[-1])
        if len(bad) < FAULTS and rng.random() < 0.3:
            which = rng.choice(clean(loaded))
            good.append((which, loaded.sequence(loaded.prompts[which], rng.randrange(1, schedules.ANSWER))))
            loop.scheduler.add(good[-1][1])
        before = {id(s): len(s.tokens) for _, s in good if s.phase is Phase.RUNNING and s.missing == 1}
        loop.step()
        steps += 1
        # Nobody waits for a fault: whoever was decoding has one more token after the very step.
        assert all(len(s.tokens) == before[id(s)] + 1 for _, s in good if id(s) in before)
        assert steps < 5000
    for which, sequence in good:
        right = loaded.references[which]
        made = sequence.transcript.ids
        assert sequence.events[-1] == {"kind": "finished", "reason": "length"}
        for token, expected, gap in zip(made, right.tokens, right.gaps, strict=False):
            if token != expected:
                assert gap < schedules.GAP
                break
    for sequence in bad:
        ends = [event for event in sequence.events if event["kind"] in ("finished", "failed")]
        assert len(ends) == 1 and sequence.events[-1] is ends[0]
        assert ends[0]["kind"] == "failed" or sequence.cancelled
    assert loop.scheduler._cache.busy_tokens == 0
    assert all(bool(memory.isfinite().all()) for memory in loop.scheduler._cache.keys)


def test_a_cancelled_answer_leaves_its_slot_before_the_next_step(loaded: schedules.Loaded) -> None:
    rng, loop = random.Random(5), loaded.loop(budget=48, slots=4)
    cancelled = 0
    running: list[Any] = []
    while cancelled < CANCELS:
        while len(running) < 6:
            running.append(loaded.sequence(loaded.prompts[rng.choice(clean(loaded))], 400))
            loop.scheduler.add(running[-1])
        for _ in range(rng.randrange(2)):
            loop.step()
        victim = rng.choice(running)
        victim.cancelled = True
        loop.step()
        assert victim.phase is Phase.ENDED and victim.region is None
        assert victim not in loop.scheduler.everyone() and loop.scheduler.running == 4
        running = [s for s in running if s.phase is not Phase.ENDED]
        cancelled += 1
    for sequence in running:
        sequence.cancelled = True
    loop.step()
    assert loop.scheduler.is_idle and loop.scheduler._cache.busy_tokens == 0


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_when_memory_ends_all_of_that_step_are_told_and_the_next_are_served(
    loaded: schedules.Loaded, error: Exception
) -> None:
    loop = loaded.loop()
    forward = loop._runner.forward

    def fails(chunks: Any) -> Any:
        raise error

    one, two = (loaded.sequence(loaded.prompts[i], 5) for i in clean(loaded)[:2])
    loop.scheduler.add(one)
    loop.scheduler.add(two)
    loop._runner.forward = fails  # type: ignore[method-assign]
    loop.step()
    for sequence in (one, two):
        assert sequence.events[-1]["code"] == "out_of_memory" and sequence.events[-1]["retryable"]
    loop._runner.forward = forward  # type: ignore[method-assign]
    after = loaded.sequence(loaded.prompts[clean(loaded)[0]], 5)
    loop.scheduler.add(after)
    schedules.run(loop)
    assert after.events[-1]["kind"] == "finished"
