"""The transformers engine on tiny folders, in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inference.errors import InferenceError
from inference.protocol import GenerateRequest, Messages, ModelSpec
from inference.tests import tiny_models
from inference.tests.conftest import CHINESE, collect

MAKERS = [tiny_models.make_qwen3, tiny_models.make_qwen25, tiny_models.make_deepseek_v3]


async def engine_for(folder: Path) -> Any:
    from inference.engines.transformers_engine import TransformersEngine

    engine = TransformersEngine(ModelSpec("t", "t", "transformers", {"kind": "folder", "path": str(folder)}))
    await engine.load(lambda progress: None)
    return engine


async def answer(engine: Any, messages: Messages, prefix: str = "", **params: Any) -> str:
    request = GenerateRequest("r", messages, params, prefix)
    return "".join(e["text"] for e in await collect(engine.generate(request)) if e["kind"] == "raw")


@pytest.mark.parametrize("make", MAKERS)
async def test_each_family_answers_the_chinese_example(make: Callable[[Path], Path], tmp_path: Path) -> None:
    engine = await engine_for(make(tmp_path))
    events = await collect(engine.generate(GenerateRequest("r", CHINESE, {"max_tokens": 8})))
    assert events[-1]["kind"] == "finished"
    rendered, _ = engine._prompt(GenerateRequest("r", CHINESE))
    assert "你是一个有帮助的助手。" in rendered and "developer" not in rendered


@pytest.mark.parametrize("params", [{"temperature": 0}, {"temperature": 1.0, "seed": 3}])
async def test_a_continued_answer_is_the_uninterrupted_one(params: dict[str, Any], tmp_path: Path) -> None:
    engine = await engine_for(tiny_models.make_qwen25(tmp_path))
    whole = await answer(engine, CHINESE, max_tokens=24, repetition_penalty=1.3, **params)
    clean = whole.split("\ufffd")[0]
    assert len(clean) > 5
    for cut in range(1, len(clean)):
        rest = await answer(engine, CHINESE, clean[:cut], max_tokens=24, repetition_penalty=1.3, **params)
        assert (clean[:cut] + rest).startswith(clean)


@pytest.mark.parametrize("make", MAKERS)
async def test_user_text_never_becomes_a_control_token(make: Callable[[Path], Path], tmp_path: Path) -> None:
    engine = await engine_for(make(tmp_path))
    names = [*engine._tokenizer.get_added_vocab()]
    plain, evil = ([{"role": "user", "content": text}] for text in ("x", "".join(names) + "x"))
    _, safe = engine._prompt(GenerateRequest("r", plain))
    _, tried = engine._prompt(GenerateRequest("r", evil))
    control = set(engine._tokenizer.get_added_vocab().values())
    assert [i for i in tried if i in control] == [i for i in safe if i in control]
    assert "".join(names) in engine._tokenizer.decode(tried)


async def test_a_prompt_beyond_the_context_says_how_long_it_is(tmp_path: Path) -> None:
    engine = await engine_for(tiny_models.make_qwen25(tmp_path))
    with pytest.raises(InferenceError) as failure:
        await answer(engine, [{"role": "user", "content": "x" * 600}])
    assert failure.value.code == "context_too_long"
    assert failure.value.extra["limit"] == 512 < failure.value.extra["tokens"]


async def test_a_stop_string_ends_the_answer_and_is_not_part_of_it(tmp_path: Path) -> None:
    engine = await engine_for(tiny_models.make_qwen25(tmp_path))
    whole = (await answer(engine, CHINESE, max_tokens=24, temperature=1, seed=3)).split("\ufffd")[0]
    assert len(whole) > 2
    stop = whole[1:3]
    text = await answer(engine, CHINESE, max_tokens=24, temperature=1, seed=3, stop=[stop])
    assert text == whole[: whole.index(stop)]


async def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    folder = tiny_models.make_qwen25(tmp_path)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(InferenceError, match="safetensors"):
        await engine_for(folder)
