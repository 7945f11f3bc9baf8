"""Answers in a form: whatever the logits say, what comes out parses and fits the schema."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any, cast

import jsonschema
import pytest
import torch

from inference.engines.packed.grammar import mask_for
from inference.engines.packed.params import SamplingParams
from inference.engines.packed.sampler import SamplerRow, sample
from inference.errors import InferenceError
from inference.protocol import GenerateRequest
from inference.tests import tiny_models

REAL = os.environ.get("HEARTH_TEST_MODEL")
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
        "mood": {"enum": ["good", "bad", "so so"]},
        "friends": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["name", "age", "mood"],
    "additionalProperties": False,
}
SCHEMAS: list[Any] = [
    {"type": "object"},
    PERSON,
    {"type": "array", "items": PERSON, "minItems": 1},
    {"anyOf": [{"type": "number"}, {"type": "string", "minLength": 3}]},
    {"$defs": {"tree": {"type": "array", "items": {"$ref": "#/$defs/tree"}}}, "$ref": "#/$defs/tree"},
    {"type": "object", "properties": {"on": {"type": "string", "format": "date"}}, "required": ["on"]},
    {},
]


def form(schema: Any) -> dict[str, Any]:
    if schema == {"type": "object"}:
        return {"type": "json_object"}
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}


def request_of(response_format: Any) -> GenerateRequest:
    return GenerateRequest("r", [], {"response_format": response_format})


@pytest.fixture(scope="module", params=["tiny", pytest.param("real", marks=pytest.mark.real_model)])
def tokenizer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    from transformers import AutoTokenizer

    if request.param == "real" and not REAL:
        pytest.skip("HEARTH_TEST_MODEL is not set")
    folder = REAL if request.param == "real" else tiny_models.make_qwen3(tmp_path_factory.mktemp("tiny"))
    return AutoTokenizer.from_pretrained(folder)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_models.make_qwen3(Path(tmp_path_factory.mktemp("tiny"))))


class Answer:
    """An answer of random logits: the worst of models."""

    def __init__(self, tokenizer: Any, schema: Any, most: int | None, seed: int = 0, **options: Any) -> None:
        self.tokenizer, self.most, self.seed = tokenizer, most or 10_000, seed
        self.ends = frozenset({int(tokenizer.eos_token_id)})
        mask = mask_for(tokenizer, self.ends, request_of(form(schema)), most, **options)
        self.row = SamplerRow(SamplingParams(temperature=1.0, seed=str(seed)), [], mask)
        self.ids: list[int] = []
        self.room = len(tokenizer) + 5  # a head is often larger than the vocabulary

    def take(self, *tokens: int) -> None:
        for token in tokens:
            self.ids.append(token)
            self.row.took(token)

    def step(self, logits: torch.Tensor | None = None) -> int:
        if logits is None:
            generator = torch.Generator().manual_seed(self.seed * 10_000 + len(self.ids))
            logits = torch.randn(self.room, generator=generator) * 3
        self.row.place = f"{len(self.ids)}.0"
        choice = sample(logits[None], [self.row])[0]
        if choice.error:
            raise choice.error
        self.take(choice.token)
        return choice.token

    def run(self) -> str:
        while len(self.ids) < self.most and self.step() not in self.ends:
            pass
        return self.text()

    def text(self) -> str:
        return str(self.tokenizer.decode([i for i in self.ids if i not in self.ends]))


@pytest.mark.parametrize("schema", SCHEMAS)
def test_random_logits_give_json_that_fits_within_the_room(tokenizer: Any, schema: Any) -> None:
    for seed, most in enumerate((200, 250, 400)):
        answer = Answer(tokenizer, schema, most, seed)
        jsonschema.validate(json.loads(answer.run()), schema)
        assert answer.ids[-1] in answer.ends
        assert len(answer.ids) <= most


def test_the_end_comes_only_where_the_form_may_end(tiny: Any) -> None:
    answer = Answer(tiny, PERSON, None)
    logits = torch.zeros(answer.room)
    logits[int(tiny.eos_token_id)] = 1000
    answer.take(*tiny.encode('{"name": "Bo", "age": 7, "mood": "good"'))
    assert answer.step(logits.clone()) not in answer.ends
    answer = Answer(tiny, PERSON, None)
    answer.take(*tiny.encode('{"name": "Bo", "age": 7, "mood": "good"}'))
    assert answer.step(-logits) in answer.ends


def test_while_there_is_room_the_model_chooses(tiny: Any) -> None:
    answer = Answer(tiny, {"type": "object"}, 2000)
    written = '{"a": ["it said \\"so\\"", 1.5, null], "日": {}}'
    for token in tiny.encode(written):
        logits = torch.zeros(answer.room)
        logits[token] = 50
        assert answer.step(logits) == token
    assert answer.text() == written


def test_a_prefix_is_gone_on_from(tiny: Any) -> None:
    answer = Answer(tiny, PERSON, 300)
    answer.take(*tiny.encode('{"name": "Ann \\"'))
    assert json.loads(answer.run())["name"].startswith('Ann "')


def test_a_prefix_of_another_form_cannot_be_gone_on_from(tiny: Any) -> None:
    answer = Answer(tiny, PERSON, 300)
    answer.take(*tiny.encode("Dear Ann,"))
    with pytest.raises(InferenceError) as caught:
        answer.step()
    assert caught.value.code == "cannot_continue"


def test_with_open_reasoning_the_form_begins_after_it(tiny: Any) -> None:
    answer = Answer(tiny, PERSON, 300, reasoning_open=True)
    answer.take(*tiny.encode("Let me think {"))
    free = torch.zeros(answer.room)
    free[ord("z")] = 50
    assert answer.step(free) == ord("z")
    answer.take(*tiny.encode("</think>"))
    assert json.loads(answer.run().split("</think>")[1])["mood"] in ("good", "bad", "so so")


def test_no_form_is_no_mask(tiny: Any) -> None:
    for asked in (None, {"type": "text"}):
        assert mask_for(tiny, frozenset({1}), request_of(asked)) is None


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(depth):
        schema = {"type": "array", "items": schema}
    return schema


UNFIT: list[Any] = [
    {"type": "strange"}, {"type": "object", "properties": 5}, {"$ref": "http://elsewhere/x"},
    {"type": "string", "pattern": "("}, {"allOf": [{"type": "string"}, {"type": "array"}]},
    {"if": {}, "then": {}}, {"enum": ["x" * 60_000]}, nested(300), nested(100_000), {"const": {1, 2}},
    {"type": "integer", "multipleOf": 9999991}, {"type": "number", "multipleOf": 10**400},
    {"type": "string", "pattern": "^((a{1000}){1000}){1000}$"},
    {"allOf": [{"multipleOf": 99991}, {"multipleOf": 99989}]},
]  # fmt: skip
WRONG: list[Any] = [
    "json", 5, [], {}, {"type": "xml"}, {"type": "json_schema"}, {"type": "json_schema", "json_schema": []},
    {"type": "json_schema", "json_schema": {"schema": "x"}}, {"type": "json_schema", "json_schema": {}},
    *map(form, UNFIT),
]  # fmt: skip


@pytest.mark.parametrize("asked", WRONG, ids=range(len(WRONG)))
def test_a_form_that_cannot_be_followed_is_refused(tiny: Any, asked: Any) -> None:
    with pytest.raises(InferenceError) as caught:
        mask_for(tiny, frozenset({int(tiny.eos_token_id)}), request_of(asked))
    assert caught.value.code == "invalid_request"
    assert caught.value.extra == {"field": "response_format"}
    assert "<state>" not in caught.value.message


class _GivesUp:
    """What llguidance does at a limit of its own."""

    def compute_bitmask(self) -> bytes:
        return b""

    def is_error(self) -> bool:
        return True

    def get_error(self) -> str:
        return "too many items\n<state>\nTokens: what a user wrote"


def test_a_form_that_grows_too_costly_ends_its_row_only(tiny: Any) -> None:
    answer = Answer(tiny, PERSON, None)
    cast(Any, answer.row)._mask._matcher = _GivesUp()
    failed, other = sample(torch.zeros(2, answer.room), [answer.row, SamplerRow(SamplingParams(), [])])
    assert failed.error is not None and failed.error.code == "engine_error"
    assert failed.error.message == "The form: too many items"
    assert other.error is None


def test_masks_are_made_on_any_thread(tiny: Any) -> None:
    made: list[Answer] = []
    threads = [threading.Thread(target=lambda: made.append(Answer(tiny, PERSON, 300))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({answer.run() for answer in made}) == 1
    assert len(made) == 4
