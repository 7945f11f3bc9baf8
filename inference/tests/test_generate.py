"""`generate()` on a thread, for what cannot be packed; tiny models in this process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any, cast

import pytest
import torch

from inference.engines import checkpoint
from inference.engines.generate import GenerateEngine, must_generate
from inference.errors import InferenceError
from inference.protocol import Event, GenerateRequest, ModelSpec
from inference.tests import tiny_models
from inference.tests.conftest import HELLO, collect, joined

Make = Callable[[Path], Path]
Start = Callable[..., Awaitable[GenerateEngine]]
FAMILIES = [tiny_models.make_llama, *tiny_models.NOT_PACKED]
SAMPLED: dict[str, Any] = {"temperature": 1.0, "seed": 3, "repetition_penalty": 1.2, "presence_penalty": 0.3}


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    engines: list[GenerateEngine] = []

    async def begin(make: Make = tiny_models.make_llama, slots: int = 4) -> GenerateEngine:
        engine = GenerateEngine(load(make(tmp_path)), "It is a test.", slots)
        engines.append(engine)
        return engine

    yield begin
    for engine in engines:
        await engine.unload()


def load(folder: Path) -> checkpoint.Checkpoint:
    return checkpoint.load(ModelSpec("t", "t", "transformers", {"path": str(folder)}), lambda _: None)


def ask(prefix: str = "", id: str = "r", content: str = "Hello", **params: Any) -> GenerateRequest:
    return GenerateRequest(id, [{"role": "user", "content": content}], params, prefix)


async def answer(engine: GenerateEngine, request: GenerateRequest) -> str:
    return joined(await collect(engine.generate(request)), kind="raw")


async def taken(events: AsyncIterator[Event], kind: str) -> Event:
    """The next event of a kind."""
    async for event in events:
        if event["kind"] == kind:
            return event
    raise AssertionError(f"no {kind}")


def counted(engine: GenerateEngine) -> list[int]:
    """Grows by one with each forward pass."""
    passes: list[int] = []
    engine._model.register_forward_pre_hook(lambda *_: passes.append(1))
    return passes


@pytest.mark.parametrize("make", FAMILIES)
async def test_greedy_tokens_are_those_of_the_library(make: Make, start: Start, tmp_path: Path) -> None:
    engine = await start(make)
    text = await answer(engine, ask(temperature=0, max_tokens=40))
    model: Any = load(tmp_path).model
    ids = engine._template.encode(ask()).ids
    made = model.generate(torch.tensor([ids]), max_new_tokens=40, do_sample=False)[0].tolist()
    made = made[1:] if model.config.is_encoder_decoder else made[len(ids) :]
    assert len(made) == 40 and text == engine._tokenizer.decode(made)


@pytest.mark.parametrize("make", FAMILIES)
@pytest.mark.parametrize("params", [{"temperature": 0}, SAMPLED], ids=["greedy", "sampled"])
async def test_a_continued_answer_is_the_uninterrupted_one(
    make: Make, params: dict[str, Any], start: Start
) -> None:
    engine = await start(make)
    whole = await answer(engine, ask(max_tokens=20, **params))
    assert len(whole) == 20
    for cut in (1, 4, 9, 19):
        rest = await answer(engine, ask(whole[:cut], max_tokens=20, **params))
        assert whole[:cut] + rest == whole


@pytest.mark.parametrize("make", [tiny_models.make_qwen3_next, tiny_models.make_phi3_longrope])
async def test_a_seed_gives_the_same_answer_in_any_company(make: Make, start: Start) -> None:
    # The rotary embedding of the second depends on how long the answer is that runs at the time.
    engine = await start(make)
    requests = [
        ask(id=str(n), content="x" * (12 + 30 * n), max_tokens=20, **(SAMPLED | {"seed": n}))
        for n in range(4)
    ]
    alone = [await answer(engine, request) for request in requests]
    together = await asyncio.gather(*(answer(engine, request) for request in requests))
    assert together == alone and len(set(alone)) == 4


async def test_one_forward_pass_at_a_time(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = await start()
    forward, inside, most = engine._model.model.forward, 0, 0

    def counting(*args: Any, **options: Any) -> Any:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        made = forward(*args, **options)
        inside -= 1
        return made

    monkeypatch.setattr(engine._model.model, "forward", counting)
    await asyncio.gather(*(answer(engine, ask(id=str(n), max_tokens=20)) for n in range(4)))
    assert most == 1


async def test_the_events_are_those_of_every_engine(start: Start) -> None:
    engine = await start()
    events = await collect(engine.generate(ask(max_tokens=5, logprobs=2, temperature=0)))
    assert [e["kind"] for e in events if e["kind"] not in ("raw", "logprobs")] == [
        "prompt", "status", "status", "usage", "finished",
    ]  # fmt: skip
    assert events[0] == {"kind": "prompt", "reasoning_open": False, "tool_format": None}
    usage = events[-2]
    assert usage["completion_tokens"] == 5 and usage["prompt_tokens"] == events[2]["total"]
    assert usage["ttft_ms"] > 0 and usage["reused_tokens"] == 0
    assert events[-1]["reason"] == "length"
    tokens = [token for e in events if e["kind"] == "logprobs" for token in e["tokens"]]
    assert "".join(token["token"] for token in tokens) == joined(events, kind="raw")
    assert all(token["logprob"] == token["top"][0]["logprob"] <= 0 for token in tokens)


async def test_stop_strings_bias_and_ends_work_as_when_packed(start: Start) -> None:
    engine = await start()
    whole = await answer(engine, ask(max_tokens=20, temperature=0))
    stop = whole[6:9]
    assert await answer(engine, ask(max_tokens=20, temperature=0, stop=stop)) == whole[: whole.index(stop)]
    forced = {str(engine._tokenizer.encode("Q")[0]): 100}
    assert await answer(engine, ask(max_tokens=3, temperature=0, logit_bias=forced)) == "QQQ"
    end = {str(min(engine._opener.ends)): 100}
    events = await collect(engine.generate(ask(max_tokens=20, logit_bias=end)))
    assert events[-1]["reason"] == "stop" and events[-2]["completion_tokens"] == 1
    events = await collect(engine.generate(ask(max_tokens=6, logit_bias=end, ignore_eos=True)))
    assert events[-1]["reason"] == "length" and events[-2]["completion_tokens"] == 6


async def test_an_answer_keeps_the_form_that_is_asked_for(start: Start) -> None:
    engine = await start(tiny_models.make_qwen3_next)
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    form = {
        "type": "json_schema",
        "json_schema": {"name": "n", "schema": schema | {"additionalProperties": False}},
    }
    text = await answer(engine, ask(max_tokens=40, response_format=form))
    assert isinstance(json.loads(text)["n"], int)


async def test_the_defaults_of_the_folder_do_not_count(start: Start, tmp_path: Path) -> None:
    def make(folder: Path) -> Path:
        tiny_models.make_llama(folder)
        (folder / "generation_config.json").write_text('{"repetition_penalty": 9.0, "eos_token_id": 257}')
        return folder

    plain = await start(lambda _: tiny_models.make_llama(tmp_path / "plain"))
    expected = await answer(plain, ask(max_tokens=30, temperature=0))
    assert await answer(await start(make), ask(max_tokens=30, temperature=0)) == expected


async def test_an_answer_that_nobody_reads_stops_within_one_step(start: Start) -> None:
    engine = await start()
    passes = counted(engine)
    async with aclosing(cast(Any, engine.generate(ask()))) as events:
        await taken(events, "raw")
        await taken(events, "raw")
        before = len(passes)
    stopped = len(passes)
    assert stopped - before <= 1 and engine.stats()["running"] == 0
    await answer(engine, ask(max_tokens=1))
    assert len(passes) == stopped + 1


async def test_no_more_answers_run_than_there_are_slots(start: Start) -> None:
    engine = await start(slots=1)
    first, second = cast(Any, engine.generate(ask())), cast(Any, engine.generate(ask(id="s")))
    async with aclosing(first), aclosing(second):
        await taken(first, "raw")
        await taken(second, "status")
        reading = asyncio.ensure_future(taken(second, "raw"))
        await asyncio.sleep(0)  # it begins to read
        assert engine.stats() == {"running": 1, "waiting": 1}
        assert not reading.done()
        await first.aclose()
        await reading


async def test_unload_ends_what_runs_and_what_waits(start: Start) -> None:
    engine = await start(slots=1)
    answers = [cast(Any, engine.generate(ask(id=str(n)))) for n in range(2)]
    await taken(answers[0], "raw")
    reading = [asyncio.ensure_future(collect(events)) for events in answers]
    await engine.unload()
    ends = await asyncio.gather(*reading, return_exceptions=True)
    assert [end.code for end in ends if isinstance(end, InferenceError)] == ["unloaded", "unloaded"]
    with pytest.raises(InferenceError, match="unloaded"):
        await answer(engine, ask())


async def test_an_answer_that_fails_takes_no_other_with_it(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = await start()
    expected = await answer(engine, ask(max_tokens=10, temperature=0))
    forward = engine._model.model.forward

    def poisoned(input_ids: torch.Tensor, *args: Any, **options: Any) -> Any:
        if input_ids.shape[1] > 100:
            raise RuntimeError("poison")
        return forward(input_ids, *args, **options)

    monkeypatch.setattr(engine._model.model, "forward", poisoned)
    good, bad = await asyncio.gather(
        answer(engine, ask(max_tokens=10, temperature=0)),
        answer(engine, ask(content="x" * 120)),
        return_exceptions=True,
    )
    assert good == expected and isinstance(bad, InferenceError) and bad.code == "engine_error"


async def test_a_prompt_beyond_the_context_says_how_long_it_is(start: Start) -> None:
    engine = await start()
    with pytest.raises(InferenceError) as failure:
        await answer(engine, ask(content="x" * 600))
    assert failure.value.code == "context_too_long" and failure.value.extra["limit"] == 512


async def test_an_answer_ends_where_the_context_does(start: Start) -> None:
    engine = await start()
    events = await collect(engine.generate(ask(content="x" * 450)))
    usage = events[-2]
    assert usage["prompt_tokens"] + usage["completion_tokens"] == 512 and events[-1]["reason"] == "length"


async def test_params_that_make_no_sense_are_refused(start: Start) -> None:
    engine = await start()
    with pytest.raises(InferenceError, match="temperature"):
        await answer(engine, ask(temperature="hot"))
    assert await answer(engine, GenerateRequest("r", HELLO, {"max_tokens": 3}))


@pytest.mark.parametrize(
    ("make", "settings"),
    [
        (tiny_models.make_llama, {"packed": False}),
        (tiny_models.make_qwen3_next, {}),
        (tiny_models.make_t5, {}),
    ],
    ids=["llama, as set", "linear attention", "encoder and decoder"],
)
async def test_the_engine_comes_here_by_itself_and_says_why(
    make: Make, settings: dict[str, Any], tmp_path: Path
) -> None:
    from inference.engines.transformers_engine import TransformersEngine

    source = {"kind": "folder", "path": str(make(tmp_path))}
    engine = TransformersEngine(ModelSpec("t", "t", "transformers", source, settings))
    info = await engine.load(lambda _: None)
    assert info["packed"] is False and info["reason"] and info["slots"] == 4
    request = ask(max_tokens=8, temperature=0)
    assert len(joined(await collect(engine.generate(request)), kind="raw")) == 8
    await engine.unload()


def test_why_a_model_is_not_packed(tmp_path: Path) -> None:
    from dataclasses import replace

    llama = load(tiny_models.make_llama(tmp_path / "llama"))
    assert must_generate(llama) == ""
    assert "vLLM" in must_generate(replace(llama, spread=True))
    assert "gptq" in must_generate(replace(llama, quantized="gptq"))
    assert "encoder" in must_generate(load(tiny_models.make_t5(tmp_path / "t5")))
