from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from config import db
from models_registry.downloads import services, watch
from models_registry.downloads.watch import Watch
from models_registry.models import Download, Model
from models_registry.tests.test_live import Heard

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("data")]


@pytest.fixture
async def watching(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Watch, Heard, Callable[[], None]]]:
    monkeypatch.setattr(watch, "QUICK", 0.02)
    monkeypatch.setattr(watch, "CALM", 30.0)
    one, heard = Watch(), Heard()
    leave = one.subscribe(heard, "en")
    yield one, heard, leave
    leave()
    await asyncio.to_thread(db.close_all)


def last(heard: Heard) -> Any:
    return (heard.all[-1]["state"], heard.all[-1]["progress"]) if heard.all else None


async def test_sockets_hear_how_far_a_download_is(
    watching: tuple[Watch, Heard, Callable[[], None]], make_repo: Callable[..., Path]
) -> None:
    one, heard, _ = watching
    make_repo()
    row = await sync_to_async(services.download_request)(hub="modelscope", repo="lab/tiny")
    one.look()
    await heard.until(lambda: last(heard) == ("downloading", 0.0))
    rows = Download.objects.filter(pk=row.pk)
    half = row.bytes_total / 2
    await rows.aupdate(state="running", bytes_done=half, speed=half)
    await heard.until(lambda: last(heard)[1] == pytest.approx(0.5, abs=0.01))
    assert heard.all[-1]["download"]["seconds_left"] == pytest.approx(1, abs=0.1)
    other = Heard()
    one.subscribe(other, "en")()
    assert [event["model"] for event in other.all] == [row.model_id]  # what is known is told at once
    await rows.aupdate(state="failed", error={"code": "wrong_hash", "values": {"name": "x"}})
    await heard.until(lambda: last(heard) == ("absent", None))
    assert heard.all[-1]["error"]["message"].startswith("What the hub sent as x")


async def test_the_end_and_the_calling_off_are_told(
    watching: tuple[Watch, Heard, Callable[[], None]], make_repo: Callable[..., Path]
) -> None:
    one, heard, _ = watching
    make_repo()
    row = await sync_to_async(services.download_request)(hub="modelscope", repo="lab/tiny")
    one.look()
    await heard.until(lambda: last(heard) == ("downloading", 0.0))
    await Download.objects.filter(pk=row.pk).aupdate(state="done")
    await heard.until(lambda: last(heard) == ("stopped", None))
    await Model.objects.filter(pk=row.model_id).aupdate(source={"path": "/x"})
    other = await sync_to_async(services.download_request)(hub="huggingface", repo="lab/tiny")
    one.look()
    await heard.until(lambda: heard.all[-1]["model"] == other.model_id)
    await sync_to_async(services.download_cancel)(other)
    await heard.until(lambda: last(heard) == ("absent", None))


async def test_nobody_listening_nothing_is_read(
    watching: tuple[Watch, Heard, Callable[[], None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _, leave = watching
    leave()
    await asyncio.sleep(0)
    monkeypatch.setattr(watch, "_read", lambda known: pytest.fail("it looked"))
    one.look()
    await asyncio.sleep(0)
    assert one._task is None
