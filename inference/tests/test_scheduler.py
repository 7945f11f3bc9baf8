"""What goes through the model next: fairness, room, giving way. The cache is real, the model is not there."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from inference.engines.packed.cache import KVCache, LayerShape  # noqa: E402
from inference.engines.packed.params import SamplingParams  # noqa: E402
from inference.engines.packed.request import Phase, Sequence  # noqa: E402
from inference.engines.packed.sampler import Choice, SamplerRow  # noqa: E402
from inference.engines.packed.scheduler import LONGEST_STEP, UNKNOWN_PACE, Chunk, Pace, Scheduler  # noqa: E402


class Text:
    """A transcript of tokens that have no text."""

    kept, matched, healing, place = 0, False, False, "0.0"

    def __init__(self) -> None:
        self.ids: list[int] = []

    def append(self, token: int) -> str:
        self.ids.append(token)
        return ""

    def finish(self) -> str:
        return ""


def sequence(
    prompt: int, *, user: str = "u", max_tokens: int | None = 8, limit: int = 4096, first: int = 0
) -> Any:
    params = SamplingParams(max_tokens=max_tokens)
    events: list[dict[str, Any]] = []
    ids = list(range(first, first + prompt))
    made: Any = Sequence(
        id="s", user=user, prompt=ids, params=params, ends=frozenset(), transcript=Text(),  # type: ignore[arg-type]
        row=SamplerRow(params, ids), limit=limit, tell=events.append,
    )  # fmt: skip
    made.events = events
    return made


def scheduler_of(tokens: int, budget: int = 64, slots: int = 32) -> Scheduler:
    cache = KVCache([LayerShape(1, 1, 1)], tokens, torch.float32)
    return Scheduler(cache, budget=budget, slots=slots)


def step(scheduler: Scheduler) -> list[Chunk]:
    """As the engine does, with a model that always says token 1."""
    scheduler.release()
    chunks = scheduler.next()
    for chunk in chunks:
        samples = chunk.samples
        chunk.sequence.computed_to(chunk.begin + chunk.count)
        if samples:
            chunk.sequence.take(Choice(1), str)
    scheduler.release()
    return chunks


def drain(scheduler: Scheduler, most: int = 10_000) -> int:
    steps = 0
    while not scheduler.is_idle:
        step(scheduler)
        steps += 1
        assert steps < most
    return steps


def test_a_prompt_is_read_in_chunks_within_the_budget_and_then_answers() -> None:
    scheduler, one = scheduler_of(4096), sequence(150)
    scheduler.add(one)
    assert [[c.count for c in step(scheduler)] for _ in range(4)] == [[64], [64], [22], [1]]
    assert one.events[-1]["done"] == 128 and len(one.transcript.ids) == 2


def test_decodes_are_in_every_step_while_a_long_prompt_is_read() -> None:
    scheduler, short, long = scheduler_of(8192), sequence(10, max_tokens=40), sequence(1000, first=5000)
    scheduler.add(short)
    step(scheduler)
    scheduler.add(long)
    for _ in range(10):
        chunks = step(scheduler)
        assert chunks[0].sequence is short and chunks[0].count == 1
        assert chunks[1].sequence is long and sum(c.count for c in chunks) <= 64


def test_a_long_prompt_leaves_half_of_the_budget_to_those_behind_it() -> None:
    scheduler, long, short = scheduler_of(8192), sequence(1000), sequence(20, user="v", first=5000)
    scheduler.add(long)
    scheduler.add(short)
    chunks = step(scheduler)
    assert [c.sequence for c in chunks] == [long, short] and len(short.transcript.ids) == 1


def test_users_take_turns_for_the_slots() -> None:
    scheduler = scheduler_of(8192, budget=512, slots=2)
    many = [sequence(10, user="many", first=100 * i) for i in range(4)]
    one = sequence(10, user="one", first=900)
    for each in (*many, one):
        scheduler.add(each)
    step(scheduler)
    assert {s.user for s in scheduler._running} == {"many", "one"}


def test_an_answer_whose_length_is_known_is_never_pre_empted() -> None:
    scheduler = scheduler_of(256)
    for i in range(6):
        scheduler.add(sequence(60, max_tokens=60, first=1000 * i))
    drain(scheduler)
    assert scheduler.preempted == 0


def test_answers_of_unknown_length_give_way_and_all_come_to_their_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("inference.engines.packed.scheduler.RESERVE", 64)
    scheduler = scheduler_of(1024)
    made = [sequence(60, max_tokens=None, limit=700, first=1000 * i) for i in range(3)]
    for each in made:
        scheduler.add(each)
    drain(scheduler)
    assert scheduler.preempted > 0
    assert [len(each.tokens) for each in made] == [700, 700, 700]
    assert all(each.events[-1] == {"kind": "finished", "reason": "length"} for each in made)


def test_what_is_larger_than_all_memory_fails_and_the_rest_goes_on() -> None:
    scheduler, huge, small = scheduler_of(256), sequence(300, max_tokens=8), sequence(10, first=900)
    scheduler.add(huge)
    scheduler.add(small)
    drain(scheduler)
    assert huge.events[-1]["code"] == "context_too_long"
    assert small.events[-1]["kind"] == "finished"


def test_a_cancelled_one_is_gone_before_the_next_step_and_its_slot_is_free() -> None:
    scheduler, one, two = scheduler_of(4096, slots=1), sequence(10), sequence(10, first=900)
    scheduler.add(one)
    scheduler.add(two)
    step(scheduler)
    one.cancelled = True
    chunks = step(scheduler)
    assert [c.sequence for c in chunks] == [two] and one.phase is Phase.ENDED
    assert one.events[-1] == {"kind": "finished", "reason": "stopped"}


def test_a_cancelled_one_that_waits_ends_too() -> None:
    scheduler, one, two = scheduler_of(4096, slots=1), sequence(10), sequence(10, first=900)
    scheduler.add(one)
    scheduler.add(two)
    two.cancelled = True
    step(scheduler)
    assert two.phase is Phase.ENDED and scheduler.waiting == 0


def test_the_next_turn_says_how_much_was_reused() -> None:
    scheduler, first = scheduler_of(4096), sequence(100)
    scheduler.add(first)
    drain(scheduler)
    second = sequence(120)
    scheduler.add(second)
    drain(scheduler)
    usage = next(event for event in second.events if event["kind"] == "usage")
    assert usage["prompt_tokens"] == 120 and usage["reused_tokens"] == 96


def test_the_pace_lets_a_prompt_add_less_than_a_step_beside_many_and_all_it_needs_beside_few() -> None:
    pace = Pace()
    assert pace.room(8, 1) == UNKNOWN_PACE
    pace.took(0.05, 0)
    pace.took(0.25, 200)  # one millisecond a token
    assert pace.room(8, 1) == 25 and pace.room(8, 2) == 100
    assert pace.room(8, 8) == pace.room(0, 3) == int(LONGEST_STEP / 0.001)
