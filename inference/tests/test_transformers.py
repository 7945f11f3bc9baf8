"""A model folder through the engine as the child uses it, in this process: many readers, one pack."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from inference.errors import InferenceError
from inference.protocol import Event, GenerateRequest, Messages, ModelSpec
from inference.tests import tiny_models
from inference.tests.conftest import CHINESE, collect

Make = Callable[[Path], Path]


async def engine_for(folder: Path, **settings: Any) -> tuple[Any, dict[str, Any]]:
    from inference.engines.transformers_engine import TransformersEngine

    source = {"kind": "folder", "path": str(folder)}
    engine = TransformersEngine(ModelSpec("t", "t", "transformers", source, settings))
    return engine, await engine.load(lambda progress: None)


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Any]:
    made, _ = await engine_for(tiny_models.make_qwen25(tmp_path))
    yield made
    await made.unload()


def request(messages: Messages, prefix: str = "", **params: Any) -> GenerateRequest:
    return GenerateRequest("r", messages, params, prefix)


def text_of(events: list[Event]) -> str:
    return "".join(event["text"] for event in events if event["kind"] == "raw")


def said(text: str) -> Messages:
    return [{"role": "user", "content": text}]


@pytest.mark.parametrize("make", tiny_models.PACKED, ids=lambda make: make.__name__[5:])
async def test_each_family_answers_the_chinese_example_packed(make: Make, tmp_path: Path) -> None:
    engine, info = await engine_for(make(tmp_path))
    events = await collect(engine.generate(request(CHINESE, max_tokens=8)))
    assert info["packed"] and info["reason"] == "" and info["slots"] == 32
    assert events[0]["kind"] == "prompt" and events[-1]["kind"] == "finished"
    await engine.unload()


@pytest.mark.parametrize("make", tiny_models.NOT_PACKED, ids=lambda make: make.__name__[5:])
async def test_what_cannot_be_packed_answers_all_the_same_and_says_why(make: Make, tmp_path: Path) -> None:
    engine, info = await engine_for(make(tmp_path))
    events = await collect(engine.generate(request(CHINESE, max_tokens=4)))
    assert not info["packed"] and info["reason"] and events[-1]["kind"] == "finished"
    await engine.unload()


async def test_the_settings_may_ask_for_the_librarys_own_loop(tmp_path: Path) -> None:
    folder = tiny_models.make_qwen25(tmp_path)
    answers = []
    for settings in ({}, {"packed": False}):
        engine, info = await engine_for(folder, **settings)
        assert info["packed"] is (not settings)
        answers.append(text_of(await collect(engine.generate(request(CHINESE, max_tokens=24, seed=3)))))
        await engine.unload()
    assert answers[0] == answers[1] != ""


@pytest.mark.parametrize("params", [{"temperature": 0}, {"temperature": 1.0, "seed": 3}])
async def test_a_continued_answer_is_the_uninterrupted_one(params: dict[str, Any], engine: Any) -> None:
    options = {"max_tokens": 24, "repetition_penalty": 1.3, **params}
    whole = text_of(await collect(engine.generate(request(CHINESE, **options))))
    clean = whole.split("\ufffd")[0]
    assert len(clean) > 5
    for cut in range(1, len(clean)):
        rest = text_of(await collect(engine.generate(request(CHINESE, clean[:cut], **options))))
        assert (clean[:cut] + rest).startswith(clean)


async def test_readers_at_once_get_what_each_gets_alone(engine: Any) -> None:
    asked = [request(said(f"Question {i}"), max_tokens=16, seed=i, temperature=0.9) for i in range(12)]
    alone = [text_of(await collect(engine.generate(each))) for each in asked]
    together = await asyncio.gather(*(collect(engine.generate(each)) for each in asked))
    assert [text_of(events) for events in together] == alone


async def test_a_conversation_computes_only_what_is_new(engine: Any) -> None:
    first = await collect(engine.generate(request(said("x" * 100), max_tokens=8)))
    turns = [*said("x" * 100), {"role": "assistant", "content": text_of(first)}, *said("and then?")]
    usage = (await collect(engine.generate(request(turns, max_tokens=8))))[-2]
    before = first[-2]["prompt_tokens"]
    assert usage["reused_tokens"] > before - 16 and usage["prompt_tokens"] > usage["reused_tokens"]
    progress = [e for e in await collect(engine.generate(request(turns, max_tokens=2))) if "reused" in e]
    assert progress[0]["done"] == progress[0]["reused"] > 0 and progress[0]["total"] == usage["prompt_tokens"]


async def test_a_reader_that_goes_leaves_room_at_once(engine: Any) -> None:
    stream = engine.generate(request(CHINESE, max_tokens=400, ignore_eos=True))
    async with aclosing(stream):
        async for event in stream:
            if event["kind"] == "raw":
                break
    after = await collect(engine.generate(request(CHINESE, max_tokens=4)))
    assert after[-1]["kind"] == "finished"
    assert engine.stats()["running"] == engine.stats()["waiting"] == 0


async def test_an_unload_ends_running_answers_with_a_reason(tmp_path: Path) -> None:
    engine, _ = await engine_for(tiny_models.make_qwen25(tmp_path))
    stream = engine.generate(request(CHINESE, max_tokens=400, ignore_eos=True))
    async for event in stream:
        if event["kind"] == "raw":
            break
    await engine.unload()
    with pytest.raises(InferenceError) as failure:
        await collect(stream)
    assert failure.value.code == "unloaded"


async def test_a_prompt_beyond_the_context_says_how_long_it_is(engine: Any) -> None:
    with pytest.raises(InferenceError) as failure:
        await collect(engine.generate(request(said("x" * 600))))
    assert failure.value.code == "context_too_long"
    assert failure.value.extra["limit"] == 512 < failure.value.extra["tokens"]


@pytest.mark.parametrize("params", [{"temperature": "hot"}, {"max_tokens": 0}, {"logit_bias": {"x": 1}}])
async def test_absurd_params_are_refused_by_name(params: dict[str, Any], engine: Any) -> None:
    with pytest.raises(InferenceError) as failure:
        await collect(engine.generate(request(CHINESE, **params)))
    assert failure.value.code == "invalid_request" and failure.value.extra["field"] == next(iter(params))


async def test_logprobs_come_before_their_text_and_add_up(engine: Any) -> None:
    events = await collect(engine.generate(request(CHINESE, max_tokens=6, temperature=0, logprobs=3)))
    tokens = [event["tokens"][0] for event in events if event["kind"] == "logprobs"]
    assert len(tokens) == events[-2]["completion_tokens"]
    assert all(len(each["top"]) == 3 and each["top"][0]["logprob"] == each["logprob"] for each in tokens)
    spelled = "".join(each["token"] for each in tokens)
    assert spelled.startswith(text_of(events).split("\ufffd")[0])


async def test_a_stop_string_ends_the_answer_and_is_not_part_of_it(engine: Any) -> None:
    options: dict[str, Any] = {"max_tokens": 24, "temperature": 1, "seed": 3}
    whole = text_of(await collect(engine.generate(request(CHINESE, **options)))).split("\ufffd")[0]
    assert len(whole) > 2
    stop = whole[1:3]
    events = await collect(engine.generate(request(CHINESE, stop=[stop], **options)))
    assert text_of(events) == whole[: whole.index(stop)] and events[-1]["reason"] == "stop"


async def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    folder = tiny_models.make_qwen25(tmp_path)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(InferenceError, match="safetensors"):
        await engine_for(folder)
