from __future__ import annotations

import pytest

from inference.protocol import Event
from inference.service.normalise import Normaliser

SAMPLES = [
    ("<think>\nabc < d </thin x\n\n</think>\n\nHello <think> me</think> a<b", False),
    ("abc\n</think>\n\nanswer  ", True),
    ("思考中…\n</think>你好！👍🏽", True),
    ("  \n hello", False),
    ("\n<think>a", False),
    ("<thi", False),
    ("<think></think>", False),
    ("<think>only\n", False),
    (" <b>x</b> </think>", False),
    ("  ", False),
    ("a </think> </think> b", True),
]


def run(chunks: list[str], reasoning_open: bool, prefix: str = "") -> list[Event]:
    machine = Normaliser(reasoning_open, prefix)
    events = [event for chunk in chunks for event in machine.feed(chunk)]
    return events + machine.finish()


def parts(events: list[Event]) -> tuple[str, str, str]:
    def joined(kind: str) -> str:
        return "".join(event["text"] for event in events if event["kind"] == kind)

    return joined("reasoning"), joined("text"), "".join(event["raw"] for event in events)


def test_a_reply_is_split_into_reasoning_and_text() -> None:
    reasoning, text, raw = parts(run(["<think>\nwhy\n</think>\n\nbecause"], False))
    assert (reasoning, text, raw) == ("why", "because", "<think>\nwhy\n</think>\n\nbecause")


def test_an_open_marker_in_the_prompt_means_the_reply_begins_with_reasoning() -> None:
    assert parts(run(["why</think>because"], True))[:2] == ("why", "because")


@pytest.mark.parametrize(("sample", "reasoning_open"), SAMPLES)
def test_every_chunking_gives_the_same_parts_and_loses_no_raw_text(sample: str, reasoning_open: bool) -> None:
    whole = parts(run([sample], reasoning_open))
    assert whole[2] == sample
    for first in range(len(sample) + 1):
        for second in range(first, len(sample) + 1):
            chunks = [sample[:first], sample[first:second], sample[second:]]
            assert parts(run(chunks, reasoning_open)) == whole
    assert parts(run(list(sample), reasoning_open)) == whole


@pytest.mark.parametrize(("sample", "reasoning_open"), SAMPLES)
def test_going_on_after_any_event_gives_what_would_have_been(sample: str, reasoning_open: bool) -> None:
    events = run(list(sample), reasoning_open)
    whole = parts(events)
    for count in range(1, len(events) + 1):
        before = parts(events[:count])
        after = parts(run([sample[len(before[2]) :]], reasoning_open, prefix=before[2]))
        assert tuple(a + b for a, b in zip(before, after, strict=True)) == whole
