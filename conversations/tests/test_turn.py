"""A turn and what a model service may send it, with a service that says what the test wants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest

from config.db import in_db
from conversations import turn as turns
from conversations.event_log import events_after
from conversations.job import job_read
from conversations.log_tail import Tail
from conversations.models import Message, Turn
from conversations.turn import TurnRun
from inference.errors import InferenceError
from inference.protocol import Event

pytestmark = [pytest.mark.database, pytest.mark.django_db(transaction=True)]

BUSY = InferenceError("busy", "Too many wait for this model already.", True).to_event()
GONE = InferenceError("unavailable", "The model service does not answer.", True).to_event()
STOP = {"kind": "finished", "reason": "stop"}


def text(words: str) -> Event:
    return {"kind": "text", "text": words, "raw": words}


@dataclass
class Scripted:
    """Attempt by attempt what the service says; the last is said again and again."""

    attempts: list[list[Event]]
    prefixes: list[str] = field(default_factory=list)

    async def stream(self, messages: Any, *, prefix: str, **more: Any) -> AsyncIterator[Event]:
        self.prefixes.append(prefix)
        for event in self.attempts[min(len(self.prefixes), len(self.attempts)) - 1]:
            yield dict(event)


async def made(turn: Turn, *attempts: list[Event]) -> tuple[list[Event], Scripted]:
    """The turn's log past its first event, once it has ended."""
    job = await in_db(job_read, turn.pk)
    assert job is not None
    service = Scripted(list(attempts))
    async with asyncio.timeout(60):
        await TurnRun(job, service, Tail()).run()  # type: ignore[arg-type]
    return [orjson.loads(event.data) for event in await in_db(events_after, turn.pk, 1)], service


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "LONGEST_PAUSE", 0.0)


async def test_a_busy_model_is_asked_again_and_the_turn_reads_as_waiting(turn: Turn):
    events, service = await made(turn, [BUSY], [BUSY], [text("hello"), STOP])
    assert service.prefixes == ["", "", ""]
    assert [e for e in events if e["kind"] != "status"] == [{"kind": "text", "text": "hello"}, STOP]
    waits = [e for e in events if e["kind"] == "status"]
    assert waits and all(e == {"kind": "status", "phase": "queued", "position": 0} for e in waits)


async def test_a_model_that_stays_busy_is_given_up(turn: Turn, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(turns, "PATIENCE", 0.2)
    events, service = await made(turn, [BUSY])
    assert len(service.prefixes) > 1
    assert (events[-1]["kind"], events[-1]["code"]) == ("failed", "busy")
    assert events[-1]["message"] == BUSY["message"]
    message = await Message.objects.aget(pk=turn.message_id)
    assert (message.status, (message.error or {})["code"]) == ("failed", "busy")


async def test_log_probabilities_reach_nobody_and_split_no_text(turn: Turn):
    scores = {"kind": "logprobs", "tokens": [{"token": "a", "logprob": -0.1, "top": []}]}
    events, _service = await made(turn, [scores, text("a"), scores, text("b"), scores, text("c"), STOP])
    assert {e["kind"] for e in events} == {"text", "finished"}
    assert "".join(e["text"] for e in events if e["kind"] == "text") == "abc"
    message = await Message.objects.aget(pk=turn.message_id)
    assert (message.parts, message.raw) == ([{"type": "text", "text": "abc"}], "abc")


async def test_a_call_is_a_part_and_its_raw_goes_into_the_place_to_go_on_from(turn: Turn):
    call = {"kind": "tool_call", "id": "c1", "name": "add", "arguments": {"a": 1}}
    died = InferenceError("engine_died", "The model's process ended.", True).to_event()
    first = [text("So "), {**call, "raw": "<tool_call>…</tool_call>"}, died]
    events, service = await made(turn, first, [text("3"), STOP])
    assert service.prefixes == ["", "So <tool_call>…</tool_call>"]
    assert [e for e in events if e["kind"] == "tool_call"] == [call]
    message = await Message.objects.aget(pk=turn.message_id)
    part = {"type": "tool_call", "id": "c1", "name": "add", "arguments": {"a": 1}}
    assert message.parts == [{"type": "text", "text": "So "}, part, {"type": "text", "text": "3"}]
    assert message.raw == "So <tool_call>…</tool_call>3"


async def test_every_phase_is_told_and_of_one_phase_the_newest(turn: Turn):
    phases = [
        {"kind": "status", "phase": p, "progress": n} for n, p in enumerate(["queued", "loading", "loading"])
    ]
    events, _ = await made(turn, [*phases, GONE], [text("on"), STOP])
    told = [event["phase"] for event in events if event["kind"] == "status"]
    assert told[-1] == "resuming" and {"queued", "loading"} <= set(told)
    assert [e["progress"] for e in events if e.get("phase") == "loading"][-1] == 2


async def test_a_notice_is_told_before_the_answer(turn: Turn):
    notice = {"code": "model_gone", "message": "Gone.", "extra": {}}
    job = await in_db(job_read, turn.pk)
    assert job is not None
    job.notice = notice
    await TurnRun(job, Scripted([[text("hi"), STOP]]), Tail()).run()  # type: ignore[arg-type]
    events = [orjson.loads(event.data) for event in await in_db(events_after, turn.pk, 1)]
    assert events[0] == {"kind": "status", "phase": "queued", "position": 0, "notice": notice}
    assert events[-1] == STOP
