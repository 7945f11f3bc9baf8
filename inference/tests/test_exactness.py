"""The packed engine's tokens are the library's own whatever else runs (int8: the engine's own when alone)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from inference.engines.packed import native  # noqa: E402
from inference.tests import schedules, tiny_models  # noqa: E402

Make = Callable[[Path], Path]
#: Seven families: 301 schedules in float32, and 84 in int8.
SCHEDULES, SCHEDULES_INT8 = 43, 12
FAMILIES = pytest.mark.parametrize("make", tiny_models.PACKED, ids=lambda make: make.__name__[5:])


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[Make, Path]:
    return {make: make(tmp_path_factory.mktemp(make.__name__)) for make in tiny_models.PACKED}


def run(folder: Path, dtype: str, count: int) -> None:
    loaded = schedules.load(folder, dtype)
    results = [schedules.random_schedule(loaded, seed) for seed in range(count)]
    compared, ties = (sum(column) for column in zip(*results, strict=True))
    print(f"{count} schedules, {compared} tokens, {ties} ties taken the other way")
    assert compared > 10 * count and ties <= 0.001 * compared


@FAMILIES
def test_greedy_answers_are_those_of_generate(make: Make, folders: dict[Make, Path]) -> None:
    run(folders[make], "float32", SCHEDULES)


@FAMILIES
def test_int8_answers_are_those_of_the_engine_alone(make: Make, folders: dict[Make, Path]) -> None:
    run(folders[make], "int8", SCHEDULES_INT8)


@pytest.mark.parametrize("dtype", ["float32", "int8"])
@FAMILIES
def test_a_seed_gives_the_same_answer_whatever_the_company(
    make: Make, dtype: str, folders: dict[Make, Path]
) -> None:
    loaded = schedules.load(folders[make], dtype)
    params: dict[str, Any] = {
        "temperature": 0.9,
        "top_p": 0.9,
        "top_k": 40,
        "repetition_penalty": 1.1,
        "seed": "7",
    }
    answers = []
    for company in (0, 3, 9):
        loop = loaded.loop(budget=32)
        mine = loaded.sequence(loaded.prompts[5], schedules.ANSWER, **params)
        others = [
            loaded.sequence(loaded.prompts[i], 12, temperature=1.0, seed=str(i)) for i in range(company)
        ]
        for each in (*others[:5], mine, *others[5:]):
            loop.scheduler.add(each)
            loop.step()
        schedules.run(loop)
        answers.append(list(mine.transcript.ids))
    assert answers[0] == answers[1] == answers[2] and len(answers[0]) == schedules.ANSWER


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_without_kernels_the_same_holds(
    dtype: str, folders: dict[Make, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "ready", False)
    monkeypatch.setattr(native, "open_kernels", lambda cache: False)
    run(folders[tiny_models.make_llama], dtype, 6)
    run(folders[tiny_models.make_gemma3], dtype, 6)


@pytest.mark.parametrize("dtype", ["float32", "int8"])
@FAMILIES
def test_an_answer_resumed_from_its_text_is_the_uninterrupted_one(
    make: Make, dtype: str, folders: dict[Make, Path]
) -> None:
    loaded = schedules.load(folders[make], dtype)
    params = {"temperature": 0.8, "seed": "3"}
    text = answer(loaded, "", params)
    assert len(text) > 5
    for cut in (1, 2, 5, len(text) // 2, len(text) - 1):
        assert text[:cut] + answer(loaded, text[:cut], params) == text


def answer(loaded: schedules.Loaded, prefix: str, params: dict[str, Any]) -> str:
    loop = loaded.loop()
    sequence = loaded.sequence(loaded.prompts[6], schedules.ANSWER, prefix=prefix, **params)
    loop.scheduler.add(sequence)
    schedules.run(loop)
    assert sequence.events[-1]["kind"] == "finished", sequence.events[-1]
    return "".join(event["text"] for event in sequence.events if event["kind"] == "raw")
