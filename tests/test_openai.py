"""/v1/ as the official client sees it: against a whole house, with a script and with a real model."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from tests.house import House, Person

pytestmark = pytest.mark.e2e
ASK: Any = [{"role": "user", "content": "Say something about the sea."}]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "maxLength": 20}, "days": {"$ref": "#/$defs/days"}},
            "required": ["city", "days"],
            "additionalProperties": False,
            "$defs": {"days": {"type": "integer", "minimum": 1, "maximum": 7}},
        },
    },
}
CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Oslo", "days": 2}}\n</tool_call>'


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with House() as house:
        yield house


@pytest.fixture(scope="module")
def anna(house: House) -> Person:
    anna = house.register("anna")
    house.echo_model(anna, "Echo", settings={"inline": True}, delay_ms=30)
    house.echo_model(anna, "Thinker", settings={"inline": True}, reasoning="Let me see.", text="It is blue.")
    house.echo_model(anna, "Caller", settings={"inline": True}, text=CALL, tool_format="hermes", delay_ms=0)
    house.echo_model(anna, "Slow", settings={"inline": True}, tokens=2000, delay_ms=50)
    house.echo_model(anna, "Broken", settings={"inline": True}, tokens=20, fault="error", fault_at=5)
    return anna


@pytest.fixture(scope="module")
def key(house: House, anna: Person) -> str:
    made = house.call("POST", "/api/auth/keys/", anna, status=201, json={"name": "laptop"})
    return str(made["key"])


@pytest.fixture(scope="module")
def client(house: House, key: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{house.url}/v1", api_key=key, max_retries=0, http_client=_plain()) as client:
        yield client


@pytest.fixture(scope="module")
def real(house: House, anna: Person) -> str:
    source = {"kind": "folder", "path": os.environ["HEARTH_TEST_MODEL"]}
    body = {"name": "Real", "source": source, "settings": {"context_length": 512}}
    house.call("POST", "/api/models/", anna, status=201, json=body)
    return "Real"


def _plain() -> httpx.Client:
    return httpx.Client(trust_env=False, timeout=300)


# A script: what goes out is exactly known


def test_the_models_are_listed_and_one_is_found(client: OpenAI) -> None:
    assert {"Echo", "Thinker"} <= {model.id for model in client.models.list()}
    assert client.models.retrieve("Echo").owned_by == "hearth"


def test_an_access_token_is_as_good_as_a_key(house: House, anna: Person) -> None:
    with OpenAI(base_url=f"{house.url}/v1", api_key=anna.access, http_client=_plain()) as client:
        assert client.models.list().data


def test_a_whole_answer(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="Echo", messages=ASK)
    assert answer.choices[0].message.content == "You said: Say something about the sea."
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0
    assert answer.model == "Echo"


def test_a_stream_with_its_usage(client: OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model="Echo", messages=ASK, stream=True, stream_options={"include_usage": True}
        )
    )
    *chunks, last = chunks
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert said == "You said: Say something about the sea."
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [c.choices[0].finish_reason for c in chunks if c.choices[0].finish_reason] == ["stop"]
    assert last.choices == [] and last.usage is not None and last.usage.completion_tokens > 0
    assert len(chunks) > 4, "it came in one piece"


def test_reasoning_is_apart_from_the_answer(client: OpenAI) -> None:
    message: Any = client.chat.completions.create(model="Thinker", messages=ASK).choices[0].message
    assert (message.content, message.reasoning_content) == ("It is blue.", "Let me see.")
    thought, said = "", ""
    for chunk in client.chat.completions.create(model="Thinker", messages=ASK, stream=True):
        delta: Any = chunk.choices[0].delta
        thought += getattr(delta, "reasoning_content", None) or ""
        said += delta.content or ""
    assert (said, thought) == ("It is blue.", "Let me see.")


@pytest.mark.parametrize("stream", [False, True])
def test_a_call_in_the_models_own_format(client: OpenAI, stream: bool) -> None:
    call, reason = _call(client, stream, model="Caller", messages=ASK, tools=[WEATHER])
    assert (call["name"], json.loads(call["arguments"])) == ("weather", {"city": "Oslo", "days": 2})
    assert call["id"] and reason == "tool_calls"


def test_a_call_and_its_result_go_back_to_the_model(client: OpenAI) -> None:
    function = {"name": "weather", "arguments": '{"city": "Oslo", "days": 2}'}
    messages: Any = [
        {"role": "developer", "content": [{"type": "text", "text": "Be brief."}]},
        *ASK,
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "a", "type": "function", "function": function}],
        },
        {"role": "tool", "tool_call_id": "a", "content": "rain"},
        {"role": "user", "content": "And now?"},
    ]
    answer = client.chat.completions.create(model="Echo", messages=messages, tools=[WEATHER])
    assert answer.choices[0].message.content == "You said: And now?"


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_the_length_is_limited(client: OpenAI, name: str) -> None:
    more: Any = {name: 3}
    answer = client.chat.completions.create(model="Echo", messages=ASK, **more)
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None and answer.usage.completion_tokens == 3


# Refusals


def test_a_bad_key_is_401(house: House, anna: Person) -> None:
    for bad in ("hk_nothing", "rubbish"):
        with OpenAI(base_url=f"{house.url}/v1", api_key=bad, http_client=_plain()) as client:
            with pytest.raises(openai.AuthenticationError) as refused:
                client.models.list()
            assert refused.value.code == "invalid_api_key"


def test_an_unknown_model_is_404(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as refused:
        client.chat.completions.create(model="gpt-9", messages=ASK)
    assert (refused.value.code, refused.value.param) == ("model_not_found", "model")


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"temperature": 9}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"n": 2}, "n"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"stop": [""]}, "stop"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"frequency_penalty": 1}, "frequency_penalty"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [{"type": "function"}]}, "tools[0]"),
        ({"extra_body": {"tempreature": 1}}, "tempreature"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages[0].content[0]"),
    ],
)
def test_what_is_wrong_is_400_and_named(client: OpenAI, wrong: dict[str, Any], param: str) -> None:
    body: dict[str, Any] = {"model": "Echo", "messages": ASK} | wrong
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(**body)
    assert refused.value.param == param and refused.value.type == "invalid_request_error"


def test_embeddings_say_that_there_are_none(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.embeddings.create(model="Echo", input="hello")
    assert refused.value.code == "unsupported_model"


def test_a_failure_in_mid_answer_is_told(client: OpenAI) -> None:
    with pytest.raises(openai.InternalServerError):
        client.chat.completions.create(model="Broken", messages=ASK)
    said = ""
    with pytest.raises(openai.APIError, match="The script says"):
        for chunk in client.chat.completions.create(model="Broken", messages=ASK, stream=True):
            said += chunk.choices[0].delta.content or ""
    assert said


def test_a_model_that_is_not_for_everyone(house: House, anna: Person, client: OpenAI) -> None:
    secret = house.echo_model(anna, "Secret", settings={"inline": True})
    house.call("PATCH", f"/api/models/{secret}/", anna, json={"for_everyone": False})
    bert = house.register("bert")
    assert "Secret" in {model.id for model in client.models.list()}
    with OpenAI(base_url=f"{house.url}/v1", api_key=bert.access, http_client=_plain()) as his:
        assert "Secret" not in {model.id for model in his.models.list()}
        with pytest.raises(openai.NotFoundError):
            his.chat.completions.create(model="Secret", messages=ASK)
        house.call("PATCH", f"/api/models/{secret}/", anna, json={"users": ["bert"]})
        assert his.chat.completions.create(model="Secret", messages=ASK).choices[0].message.content


# Who leaves, and how many may stay


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_leaves_ends_the_generation(house: House, key: str, stream: bool) -> None:
    http = httpx.AsyncClient(trust_env=False, timeout=60)
    async with AsyncOpenAI(
        base_url=f"{house.url}/v1", api_key=key, max_retries=0, http_client=http
    ) as client:
        asked = asyncio.ensure_future(_read(client, stream))
        await asyncio.to_thread(house.until, lambda: house.running() == 1, "the answer to begin")
        asked.cancel()
        await asyncio.wait([asked])
    await asyncio.to_thread(house.until, lambda: house.running() == 0, "the generation to end")


async def _read(client: AsyncOpenAI, stream: bool) -> None:
    made: Any = await client.chat.completions.create(model="Slow", messages=ASK, stream=stream)
    async for _chunk in made:
        pass


async def test_hundreds_of_streams_leave_room_for_others(house: House, anna: Person, key: str) -> None:
    held = {"inline": True, "slots": 512}
    house.echo_model(anna, "Held", settings=held, tokens=400, delay_ms=1000)
    body = {"model": "Held", "messages": ASK, "stream": True}
    headers = {"Authorization": f"Bearer {key}"}
    limits = httpx.Limits(max_connections=None)
    begun: asyncio.Queue[int] = asyncio.Queue()

    async def hold(http: httpx.AsyncClient) -> None:
        async with http.stream(
            "POST", f"{house.url}/v1/chat/completions", json=body, headers=headers
        ) as answer:
            async for line in answer.aiter_lines():
                if '"content":"' in line and '"content":""' not in line:
                    begun.put_nowait(answer.status_code)
                    await asyncio.Event().wait()

    async with httpx.AsyncClient(trust_env=False, timeout=200, limits=limits) as http:
        streams = [asyncio.ensure_future(hold(http)) for _ in range(200)]
        async with asyncio.timeout(200):
            assert {await begun.get() for _ in streams} == {200}
        listed = await http.get(f"{house.url}/v1/models", headers=headers)
        assert listed.status_code == 200
        for stream in streams:
            stream.cancel()
        await asyncio.wait(streams)
    await asyncio.to_thread(house.until, lambda: house.running() == 0, "all of them to end")


def _call(client: OpenAI, stream: bool, **body: Any) -> tuple[dict[str, Any], str | None]:
    """The one call of an answer, and why it ended."""
    if not stream:
        choice = client.chat.completions.create(**body).choices[0]
        (call,) = choice.message.tool_calls or []
        return {"id": call.id, **call.function.model_dump()}, choice.finish_reason
    parts, reason = [], None
    for chunk in client.chat.completions.create(**body, stream=True):
        parts += chunk.choices[0].delta.tool_calls or []
        reason = chunk.choices[0].finish_reason or reason
    assert {part.index for part in parts} == {0}
    found = {"id": parts[0].id, "name": parts[0].function.name}
    return found | {"arguments": "".join(part.function.arguments for part in parts)}, reason


# A real model


@pytest.mark.real_model
def test_a_real_answer_with_stop_seed_and_a_developer(client: OpenAI, real: str) -> None:
    messages: Any = [{"role": "developer", "content": "Answer briefly."}, *ASK]
    body: Any = {"model": real, "messages": messages, "max_tokens": 20, "temperature": 1.0, "seed": 7}
    one, two = (client.chat.completions.create(**body).choices[0].message.content for _ in range(2))
    assert one and one == two
    word = one.split()[2]
    cut = client.chat.completions.create(**body, stop=[word]).choices[0]
    assert cut.message.content == one.partition(word)[0].rstrip() or word not in str(cut.message.content)
    assert cut.finish_reason == "stop"


@pytest.mark.real_model
def test_logprobs(client: OpenAI, real: str) -> None:
    answer = client.chat.completions.create(
        model=real, messages=ASK, max_tokens=5, temperature=0, logprobs=True, top_logprobs=2
    )
    assert answer.choices[0].logprobs is not None
    tokens = answer.choices[0].logprobs.content or []
    assert 0 < len(tokens) <= 5 and all(len(token.top_logprobs) == 2 for token in tokens)
    assert all(token.logprob <= 0 for token in tokens)


@pytest.mark.real_model
def test_a_json_schema_is_kept(client: OpenAI, real: str) -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 12}, "size": {"type": "integer"}},
        "required": ["city", "size"],
        "additionalProperties": False,
    }
    form: Any = {"type": "json_schema", "json_schema": {"name": "city", "schema": schema, "strict": True}}
    answer = client.chat.completions.create(model=real, messages=ASK, response_format=form, max_tokens=60)
    found = json.loads(answer.choices[0].message.content or "")
    assert set(found) == {"city", "size"} and isinstance(found["size"], int)


@pytest.mark.real_model
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "weather"}}])
def test_a_call_that_must_come_parses(client: OpenAI, real: str, stream: bool, choice: Any) -> None:
    call, reason = _call(
        client, stream, model=real, messages=ASK, tools=[WEATHER], tool_choice=choice, max_tokens=80
    )
    arguments = json.loads(call["arguments"])
    assert call["name"] == "weather" and set(arguments) == {"city", "days"}
    assert 1 <= arguments["days"] <= 7 and reason == "tool_calls"


@pytest.mark.real_model
@pytest.mark.parametrize("stream", [False, True])
def test_what_is_too_long_is_400(client: OpenAI, real: str, stream: bool) -> None:
    messages: Any = [{"role": "user", "content": "sea " * 2000}]
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model=real, messages=messages, stream=stream)
    assert refused.value.code == "context_length_exceeded"


@pytest.mark.real_model
def test_a_bad_schema_is_400(client: OpenAI, real: str) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(
            model=real, messages=ASK, response_format={"type": "json_schema", "json_schema": {"name": "x"}}
        )
    assert refused.value.param == "response_format"
