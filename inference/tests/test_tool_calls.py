from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from inference.engines.tool_formats import _MARKS, format_of
from inference.protocol import Event, GenerateRequest
from inference.service.normalise import Normaliser
from inference.service.tool_parsers import FORMATS, reader_of
from inference.tests.conftest import HELLO, Server, collect, echo

TOOLS: list[dict[str, Any]] = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            },
        },
    },
    {"type": "function", "function": {"name": "now"}},
]
REQUEST = GenerateRequest("r", [{"role": "user", "content": "Rain in 北京?"}], tools=TOOLS)
WEATHER = ("weather", {"city": "北京 </b>", "days": 2})
NOW: tuple[str, dict[str, Any]] = ("now", {})

# Two calls with text before them, as each format's models write them.
ANSWERS = {
    "hermes": "I look.\n<tool_call>\n"
    '{"name": "weather", "arguments": {"city": "北京 </b>", "days": 2}}\n</tool_call>\n<tool_call>\n'
    '{"name": "now", "arguments": {}}\n</tool_call>',
    "qwen_coder": "I look.\n<tool_call>\n<function=weather>\n<parameter=city>\n北京 </b>\n</parameter>\n"
    "<parameter=days>\n2\n</parameter>\n</function>\n</tool_call>\n"
    "<tool_call>\n<function=now>\n</function>\n</tool_call>",
    "llama3": 'I look.\n<|python_tag|>{"name": "weather", "parameters": {"city": "北京 </b>", "days": 2}}; '
    '{"name": "now", "parameters": {}}',
    "mistral": 'I look.\n[TOOL_CALLS] [{"name": "weather", "arguments": {"city": "北京 </b>", "days": 2}}, '
    '{"name": "now", "arguments": {}}]',
    "deepseek": "I look.\n<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>weather\n```json\n"
    '{"city": "北京 </b>", "days": 2}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>now<｜tool▁sep｜>{}'
    "<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
}
MORE = {
    "hermes": ['<tool_call>[{"name": "now", "arguments": "{}"}]</tool_call>'],
    "llama3": ['{"name": "now", "parameters": {}}', ' \n{"name": "now", "parameters": null}'],
    "mistral": [
        "[TOOL_CALLS]now[ARGS]{}",
        "[TOOL_CALLS]now{}",
        "[TOOL_CALLS]now[CALL_ID]123456789[ARGS]{}",
    ],
}
BROKEN = {
    "hermes": [
        '<tool_call>{"name": "now", "arguments": </tool_call> what',
        "a <tool_call> is a marker",
        '<tool_call>{"name": "now"}</tool_call>',
        '<tool_call>{"name": "now", "arguments": [1]}</tool_call>',
        '<tool_call>{"name": "now", "arguments": {"a": NaN}}</tool_call>',
        '<tool_call>{"name": "now", "arguments": {"a": "\\ud800"}}</tool_call>',
        '<tool_call>{"name": "now", "arguments": ' + '{"a":' * 5000 + "</tool_call>",
        "<tool_call></tool_call>",
        " \n <tool_call>",
    ],
    "qwen_coder": ["<tool_call><function=now>oops</function></tool_call>", "<tool_call>\n<function=now>\n"],
    "llama3": ['{"answer": 42}', "<|python_tag|>print(1)", '<|python_tag|>{"name"', "  {"],
    "mistral": ["[TOOL_CALLS]now now", "[1, 2] [TOOL", "[TOOL_CALLS]"],
    "deepseek": ["<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>now<｜tool▁calls▁end｜>"],
}
PIECES = {
    name: sorted(
        {
            form.open,
            form.open[:5],
            form.close,
            form.close[:-1],
            "<think>",
            "</think>",
            "\n\n",
            " ",
            "word",
            "北",
        }
        | {'{"name": "now", "arguments": {}}', "{", "}", ", ", "[", "]", "<"}
        | {ANSWERS[name], ANSWERS[name].removeprefix("I look.\n"), *MORE.get(name, ()), *BROKEN[name][:2]}
    )
    for name, form in FORMATS.items()
}


def machine(name: str | None, prefix: str = "", request: GenerateRequest = REQUEST) -> Normaliser:
    return Normaliser(False, prefix, reader_of(name, request))


def run(name: str | None, chunks: list[str], prefix: str = "") -> list[Event]:
    reading = machine(name, prefix)
    events = [event for chunk in chunks for event in reading.feed(chunk)]
    return events + reading.finish()


def raw(events: list[Event]) -> str:
    return "".join(event["raw"] for event in events)


def outcome(events: list[Event]) -> list[tuple[Any, ...]]:
    """Parts in their order; neighbouring texts joined, for how they were cut says nothing."""
    parts: list[tuple[Any, ...]] = []
    for event in events:
        if event["kind"] == "tool_call":
            parts.append(("tool_call", event["id"], event["name"], event["arguments"]))
        elif event["text"] and parts and parts[-1][0] == event["kind"]:
            parts[-1] = (event["kind"], parts[-1][1] + event["text"])
        elif event["text"]:
            parts.append((event["kind"], event["text"]))
    return parts


def calls(events: list[Event]) -> list[tuple[str, dict[str, Any]]]:
    return [(event["name"], event["arguments"]) for event in events if event["kind"] == "tool_call"]


@pytest.mark.parametrize("name", FORMATS)
def test_text_and_then_two_calls(name: str) -> None:
    events = run(name, [ANSWERS[name]])
    assert outcome(events)[0] == ("text", "I look.")
    assert calls(events) == [WEATHER, NOW]
    assert raw(events) == ANSWERS[name]
    assert len({event["id"] for event in events if event["kind"] == "tool_call"}) == 2


@pytest.mark.parametrize(("name", "answer"), [(name, text) for name in MORE for text in MORE[name]])
def test_other_ways_to_write_a_call(name: str, answer: str) -> None:
    assert outcome(run(name, [answer]))[0][2:] == NOW
    assert len(outcome(run(name, list(answer)))) == 1


@pytest.mark.parametrize(("name", "answer"), [(name, text) for name in BROKEN for text in BROKEN[name]])
def test_what_is_no_call_is_text_to_the_last_letter(name: str, answer: str) -> None:
    for chunks in ([answer], list(answer)):
        events = run(name, chunks)
        assert outcome(events) == [("text", answer)]
        assert raw(events) == answer


def test_a_good_call_among_broken_ones_is_read() -> None:
    broken = '<tool_call>{"name": </tool_call>'
    events = run("hermes", [broken + ANSWERS["hermes"] + broken])
    assert calls(events) == [WEATHER, NOW]
    assert [part[1] for part in outcome(events) if part[0] == "text"] == [broken + "I look.", broken]


def test_a_word_about_a_marker_does_not_stop_the_stream() -> None:
    reading = machine("hermes")
    said = "".join(event["text"] for event in reading.feed("The marker <tool_call> begins"))
    assert said == "The marker <tool_call> begins"


def test_markers_in_reasoning_are_reasoning() -> None:
    thought = "<think>" + ANSWERS["hermes"] + "</think>\n\n"
    events = run("hermes", [thought + ANSWERS["hermes"]])
    assert outcome(events)[0] == ("reasoning", ANSWERS["hermes"])
    assert calls(events) == [WEATHER, NOW]


def test_without_tools_in_the_request_markers_are_text() -> None:
    reading = machine("hermes", request=GenerateRequest("r", REQUEST.messages))
    assert outcome(reading.feed(ANSWERS["hermes"])) == [("text", ANSWERS["hermes"])]


def test_ids_are_the_same_again_and_others_in_the_next_answer() -> None:
    def ids(request: GenerateRequest) -> list[str]:
        return [
            event["id"] for event in machine("hermes", "", request).feed(ANSWERS["hermes"]) if "id" in event
        ]

    longer = GenerateRequest("r", [*REQUEST.messages, {"role": "tool", "content": "no"}], tools=TOOLS)
    assert ids(REQUEST) == ids(REQUEST)
    assert not set(ids(REQUEST)) & set(ids(longer))
    assert all(len(name) == 9 and name.isalnum() for name in ids(REQUEST))


@pytest.mark.parametrize("name", FORMATS)
def test_letter_by_letter_and_in_two_pieces(name: str) -> None:
    answer = ANSWERS[name]
    whole = outcome(run(name, [answer]))
    assert outcome(run(name, list(answer))) == whole
    for cut in range(len(answer)):
        assert outcome(run(name, [answer[:cut], answer[cut:]])) == whole


samples = st.sampled_from(sorted(FORMATS)).flatmap(
    lambda name: st.tuples(
        st.just(name),
        st.lists(st.one_of(st.sampled_from(PIECES[name]), st.text("<|[{a \n", max_size=4)), max_size=6),
        st.lists(st.integers(0, 400), max_size=8),
    )
)


@settings(max_examples=300, deadline=None)
@given(samples)
def test_every_chunking_gives_the_same_and_loses_no_raw_text(
    sample: tuple[str, list[str], list[int]],
) -> None:
    name, pieces, cuts = sample
    text = "".join(pieces)
    places = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    chunks = [text[begin:end] for begin, end in itertools.pairwise(places)]
    whole = run(name, [text])
    assert raw(whole) == text
    for other in (run(name, chunks), run(name, list(text))):
        assert outcome(other) == outcome(whole)
        assert raw(other) == text


@settings(max_examples=300, deadline=None)
@given(samples)
@example(("hermes", ["<tool", "\n\n"], []))
def test_going_on_after_any_event_gives_what_would_have_been(
    sample: tuple[str, list[str], list[int]],
) -> None:
    name, pieces, _ = sample
    text = "".join(pieces)
    events = run(name, list(text))
    for count in range(1, len(events) + 1):
        before = raw(events[:count])
        after = run(name, [text[len(before) :]], prefix=before)
        assert outcome(events[:count] + after) == outcome(events)
        assert before + raw(after) == text


@settings(max_examples=300, deadline=None)
@given(samples)
def test_an_answer_that_was_stopped_anywhere_goes_on_without_a_lost_or_doubled_call(
    sample: tuple[str, list[str], list[int]],
) -> None:
    name, pieces, cuts = sample
    text = "".join(pieces)
    for cut in {min(cut, len(text)) for cut in cuts}:
        before, after = run(name, [text[:cut]]), run(name, [text[cut:]], prefix=text[:cut])
        whole = [part for part in outcome(run(name, [text])) if part[0] == "tool_call"]
        assert [part for part in outcome(before + after) if part[0] == "tool_call"] == whole
        assert raw(before) + raw(after) == text


async def test_a_call_comes_through_the_server_and_goes_on_in_the_middle(server: Server) -> None:
    model = echo(text=ANSWERS["hermes"], tool_format="hermes", delay_ms=0)
    ask: dict[str, Any] = {"model": model, "tools": TOOLS, "request_id": "r"}
    events = await collect(server.client.stream(HELLO, **ask))
    assert calls(events) == [WEATHER, NOW]
    first = next(place for place, event in enumerate(events) if event["kind"] == "tool_call") + 1
    prefix = "".join(event.get("raw", "") for event in events[:first])
    again = await collect(server.client.stream(HELLO, prefix=prefix, **ask))
    assert [event for event in again if event["kind"] == "tool_call"] == [
        event for event in events[first:] if event["kind"] == "tool_call"
    ]


def test_a_template_tells_its_format() -> None:
    def template(text: str) -> str:
        return "{%- if tools %}" + text + "{%- endif %}"

    assert format_of(template("<tool_call>\n{{ call | tojson }}")) == "hermes"
    assert format_of(template("<tool_call>\n<function={{ name }}>")) == "qwen_coder"
    assert format_of(template('Environment: ipython {"name": {{ name }}, "parameters": ')) == "llama3"
    assert format_of(template("[TOOL_CALLS][")) == "mistral"
    assert format_of(template("{{'<｜tool▁calls▁begin｜>'}}")) == "deepseek"
    assert format_of(template("<tool_call>{{ name }}<arg_key>")) is None
    assert format_of("{{ message['content'] }}") is None


def test_a_template_that_never_shows_tools_has_no_format() -> None:
    assert format_of("{% if message['tool_calls'] %}<｜tool▁calls▁begin｜>{% endif %}") is None


def test_every_format_that_a_template_tells_can_be_read() -> None:
    assert {name for name, _ in _MARKS} == set(FORMATS)
