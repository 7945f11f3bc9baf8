"""The log on a real database: who may append, what a repeated commit does, and what a watcher gets."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError, connection, connections, transaction

from conversations import event_log, log_tail, log_writer
from conversations.event_log import LeaseLost, follow, rows_of, tails
from conversations.leases import turn_take
from conversations.log_tail import Logged, Tail
from conversations.log_writer import LogWriter, Row, commit
from conversations.models import Event, Message, Turn
from conversations.parts import Folder
from conversations.services import Begun
from conversations.views import chat

pytestmark = [pytest.mark.database, pytest.mark.django_db(transaction=True)]


def texts(turn: Turn, first: int, count: int = 1, epoch: int | None = None) -> list[Row]:
    events = [{"kind": "text", "text": f"{seq} ", "raw": f"{seq} "} for seq in range(first, first + count)]
    return rows_of(turn.pk, epoch or turn.epoch, first, events)


def finish(turn: Turn, seq: int) -> Row:
    return rows_of(turn.pk, turn.epoch, seq, [{"kind": "finished", "reason": "stop"}])[0]


def end(turn: Turn, seq: int, folder: Folder | None = None, raw: str = "") -> Callable[[], None]:
    return lambda: event_log.turn_end(finish(turn, seq), turn.message_id, folder or Folder(), raw)


def stored(turn: Turn) -> list[int]:
    return list(Event.objects.filter(turn=turn).order_by("seq").values_list("seq", flat=True))


def test_rows_are_numbered_and_raw_is_nobodys(turn: Turn):
    rows = texts(turn, 5, 2)
    assert [row.seq for row in rows] == [5, 6]
    assert rows[0].raw == "5 " and "raw" not in rows[0].data


def test_an_append_of_a_former_owner_is_refused(turn: Turn):
    assert commit([texts(turn, 2)]) == [None]
    assert turn_take(turn)
    (outcome,) = commit([texts(turn, 3)])
    assert isinstance(outcome, LeaseLost)
    assert stored(turn) == [1, 2]
    assert commit([texts(turn, 3, epoch=turn.epoch + 1)]) == [None]


def test_the_end_by_a_former_owner_is_undone_as_a_whole(turn: Turn):
    assert turn_take(turn)
    (outcome,) = commit([end(turn, 2)])
    assert isinstance(outcome, LeaseLost)
    turn.refresh_from_db()
    assert turn.state == Turn.State.RUNNING and stored(turn) == [1]
    assert Message.objects.get(pk=turn.message_id).status == "streaming"


def test_the_database_itself_keeps_numbers_apart(turn: Turn):
    with pytest.raises(IntegrityError), transaction.atomic():
        Event.objects.create(turn=turn, seq=1, kind="text", data="{}", at=0)


def test_a_number_that_is_taken_by_another_text_is_a_lost_lease(turn: Turn):
    assert commit([texts(turn, 2)]) == [None]
    other = rows_of(turn.pk, turn.epoch, 2, [{"kind": "text", "text": "other", "raw": ""}])
    (outcome,) = commit([other])
    assert isinstance(outcome, LeaseLost)
    assert '"2 "' in Event.objects.get(turn=turn, seq=2).data


def test_a_commit_whose_answer_was_lost_may_be_repeated(turn: Turn):
    rows = texts(turn, 2, 3)
    assert commit([rows]) == [None]
    assert commit([rows]) == [None]
    assert stored(turn) == [1, 2, 3, 4]


@pytest.mark.parametrize("works", [1, 3])
def test_an_answer_lost_on_the_way_back(turn: Turn, monkeypatch: pytest.MonkeyPatch, works: int):
    """The database takes the commit, and then the connection breaks."""
    kind: Any = type(connections["default"])
    broken: list[bool] = []
    real: Any = kind._commit

    def commit_and_break(self: Any) -> Any:
        result = real(self)
        if not broken:
            broken.append(True)
            raise OperationalError("the connection went in the middle of a commit")
        return result

    monkeypatch.setattr(kind, "_commit", commit_and_break)
    rows: list[Any] = [texts(turn, 2 + n) for n in range(works)]
    assert commit(rows) == [None] * works
    assert broken and stored(turn) == list(range(1, 2 + works))


def test_a_deleted_turn(turn: Turn):
    rows = texts(turn, 2)
    turn.conversation.delete()
    outcomes = commit([rows, end(turn, 3)])
    assert [type(outcome) for outcome in outcomes] == [LeaseLost, LeaseLost]


def test_an_ended_turn(turn: Turn):
    folder = Folder()
    folder.fold({"kind": "text", "text": "done"}, 1)
    assert commit([end(turn, 2, folder, "raw")]) == [None]
    outcomes = commit([texts(turn, 3), end(turn, 3)])
    assert [type(outcome) for outcome in outcomes] == [LeaseLost, LeaseLost]
    message = Message.objects.get(pk=turn.message_id)
    assert (message.status, message.text, message.raw) == ("done", "done", "raw")
    assert stored(turn) == [1, 2]


@pytest.mark.parametrize(
    ("last", "status"),
    [
        ({"kind": "finished", "reason": "stop"}, "done"),
        ({"kind": "finished", "reason": "length"}, "done"),
        ({"kind": "finished", "reason": "stopped"}, "stopped"),
        ({"kind": "finished", "reason": "interrupted", "code": "c", "message": "m"}, "interrupted"),
        ({"kind": "failed", "code": "c", "message": "m", "retryable": True}, "failed"),
    ],
)
def test_how_a_message_ends(turn: Turn, last: dict[str, Any], status: str):
    (row,) = rows_of(turn.pk, turn.epoch, 2, [dict(last)])
    assert commit([lambda: event_log.turn_end(row, turn.message_id, Folder(), "")]) == [None]
    message = Message.objects.get(pk=turn.message_id)
    assert message.status == status
    assert (message.error or {}).get("code") == last.get("code")


def test_one_bad_work_spoils_no_other(begin: Callable[..., Begun]):
    good, bad, late = (Turn.objects.get(pk=begin().turn) for _ in range(3))

    def broken() -> None:
        Message.objects.filter(pk=good.message_id).update(text="half done")
        raise ValueError("a fault of our own")

    outcomes = commit([texts(good, 2), texts(bad, 2, epoch=9), broken, end(late, 2), texts(good, 3)])
    assert [type(outcome) for outcome in outcomes] == [
        type(None),
        LeaseLost,
        ValueError,
        type(None),
        type(None),
    ]
    assert stored(good) == [1, 2, 3] and stored(bad) == [1] and stored(late) == [1, 2]
    assert Message.objects.get(pk=good.message_id).text == ""


async def test_what_comes_during_a_commit_goes_in_the_next(turn: Turn, monkeypatch: pytest.MonkeyPatch):
    """In the order in which it was submitted, in few commits, and each future ends after its own."""
    sizes: list[int] = []
    begun, release = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def slow(works: list[Any]) -> list[Any]:
        sizes.append(len(works))
        loop.call_soon_threadsafe(begun.set)
        assert release.wait(60)
        return commit(works)

    monkeypatch.setattr(log_writer, "commit", slow)
    writer = LogWriter()
    order: list[int] = []
    futures = [writer.submit(texts(turn, 2))]
    await begun.wait()
    futures += [writer.submit(texts(turn, seq)) for seq in range(3, 40)]
    for number, future in enumerate(futures):
        future.add_done_callback(partial(lambda n, _done: order.append(n), number))
    assert not any(future.done() for future in futures)
    release.set()
    await asyncio.gather(*futures)
    await asyncio.to_thread(writer.close)
    assert sizes == [1, 37]
    assert order == list(range(38))
    assert await asyncio.to_thread(in_thread, stored, turn) == list(range(1, 40))


async def test_close_writes_what_waits(turn: Turn):
    writer = LogWriter()
    futures = [writer.submit(texts(turn, seq)) for seq in range(2, 12)]
    await asyncio.to_thread(writer.close)
    await asyncio.gather(*futures)
    assert await asyncio.to_thread(in_thread, stored, turn) == list(range(1, 12))
    await writer.submit(texts(turn, 12))  # and after that it begins anew
    await asyncio.to_thread(writer.close)


def test_a_turn_is_taken_by_one_only(turn: Turn, at_once: Callable[..., list[Any]]):
    taken = at_once(lambda _n: turn_take(Turn.objects.get(pk=turn.pk)) and turn_take(turn), 1)
    assert taken == [False]  # the second time with the old epoch
    turn.refresh_from_db()
    assert sorted(at_once(lambda _n: turn_take(turn), 6)) == [False] * 5 + [True]
    epoch = turn.epoch
    turn.refresh_from_db()
    assert turn.epoch == epoch + 1


def in_thread(function: Callable[..., Any], *args: Any) -> Any:
    try:
        return function(*args)
    finally:
        connection.close()


async def watched(turn: Turn, after: int = 0) -> list[int]:
    async with asyncio.timeout(60):
        return [event.seq async for events in follow(turn.pk, after) for event in events]


async def append(turn: Turn, rows: list[Row], tail: Tail | None) -> None:
    await event_log.writer.submit(rows)
    if tail is not None:
        tail.push(event_log.logged(rows))


async def close(turn: Turn, seq: int, tail: Tail | None) -> None:
    await event_log.writer.submit(end(turn, seq))
    if tail is not None:
        tail.push(event_log.logged([finish(turn, seq)]))
        tail.end()
        tails.pop(turn.pk)


@pytest.mark.parametrize("kind", ["no tail", "tail from the start", "late tail", "trimmed tail"])
async def test_a_watcher_gets_each_event_once_from_any_place(
    turn: Turn, kind: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(log_tail, "LONGEST", 3)
    monkeypatch.setattr(event_log, "PAGE", 4)
    monkeypatch.setattr(event_log, "POLL", 0.01)
    if kind in ("tail from the start", "trimmed tail"):
        tails[turn.pk] = Tail()
        tails[turn.pk].push([event_log.FIRST])
    await append(turn, texts(turn, 2, 9), tails.get(turn.pk))  # 2..10
    if kind == "late tail":
        tails[turn.pk] = Tail()  # launched; its job is not read yet
    if kind == "trimmed tail":
        assert tails[turn.pk].after(0) is None
    watchers = [asyncio.create_task(watched(turn, after)) for after in range(12)]
    await asyncio.sleep(0)
    if kind == "late tail":
        tails[turn.pk].begin(10)
    for seq in range(11, 31, 2):
        await append(turn, texts(turn, seq, 2), tails.get(turn.pk))
        if seq % 3 == 0:
            watchers.append(asyncio.create_task(watched(turn, seq)))
    await close(turn, 31, tails.get(turn.pk))
    afters = [*range(12), *(seq for seq in range(11, 31, 2) if seq % 3 == 0)]
    for after, seen in zip(afters, await asyncio.gather(*watchers), strict=True):
        assert seen == list(range(after + 1, 32)), after
    for after in (0, 17, 30, 31, 500):
        assert await watched(turn, after) == list(range(after + 1, 32))


async def test_a_turn_that_leaves_this_process_is_followed_in_the_database(turn: Turn):
    tail = tails[turn.pk] = Tail()
    tail.begin(1)
    watcher = asyncio.create_task(watched(turn))
    await append(turn, texts(turn, 2), tail)
    tail.end()
    tails.pop(turn.pk)
    await append(turn, texts(turn, 3), None)
    await close(turn, 4, None)
    assert await watcher == [1, 2, 3, 4]


async def test_a_watch_of_a_deleted_turn_ends(turn: Turn):
    watcher = asyncio.create_task(watched(turn))
    await asyncio.to_thread(in_thread, lambda: turn.conversation.delete())
    assert await watcher in ([], [1])


async def test_silence_is_told(turn: Turn):
    async with asyncio.timeout(60):
        found = follow(turn.pk, 1, idle=0.05)
        assert await anext(found) == []
        tails[turn.pk] = Tail()
        tails[turn.pk].begin(1)
        assert await anext(found) == []
        tails[turn.pk].push([Logged(2, "finished", "{}")])
        assert [event.seq for event in await anext(found)] == [2]
        with pytest.raises(StopAsyncIteration):
            await anext(found)


async def test_a_watcher_that_goes_leaves_nothing_behind(turn: Turn):
    tail = tails[turn.pk] = Tail()
    tail.begin(1)
    watcher = asyncio.create_task(watched(turn, 1))
    assert await anext(follow(turn.pk, 1, idle=0.01)) == []  # by now the watcher waits too
    assert tail._waiting
    watcher.cancel()
    await asyncio.gather(watcher, return_exceptions=True)
    assert watcher.cancelled() and tail._waiting == []


async def test_a_silent_stream_is_kept_alive(turn: Turn, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(chat, "PING_EVERY", 0.02)
    tails[turn.pk] = Tail()
    tails[turn.pk].push([event_log.FIRST])
    lines: Any = aiter(chat.stream(turn.pk, 0))
    async with asyncio.timeout(60):
        assert (await anext(lines)).startswith(b"id: 1\nevent: status\ndata: {")
        assert await anext(lines) == await anext(lines) == b": ping\n\n"
        tails[turn.pk].push([Logged(2, "finished", "{}")])
        assert await anext(lines) == b"id: 2\nevent: finished\ndata: {}\n\n"
