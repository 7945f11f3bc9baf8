from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import AsyncClient, Client
from django.utils import timezone

from models_registry import live
from models_registry.tests.fake_inference import FakeInference
from monitoring import health, selectors, services
from monitoring.models import Beat


@pytest.fixture(autouse=True)
def fresh(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    settings.HEARTH_INFERENCE = f"unix:{tmp_path}/inference.sock"
    settings.HEARTH_INFERENCE_SECRET = ""
    monkeypatch.setattr(selectors, "_migrated", False)
    live.client.cache_clear()
    yield
    live.client.cache_clear()


@pytest.fixture
def inference(tmp_path: Path, fresh: None) -> Iterator[FakeInference]:
    fake = FakeInference(tmp_path / "inference.sock")
    fake.start()
    yield fake
    fake.stop()


def _states(body: dict[str, Any]) -> dict[str, str]:
    return {part: body[part]["state"] for part in ("database", "inference", "worker")}


def test_alive_asks_nobody(client: Client) -> None:
    """No `db` fixture: a query would fail this test."""
    assert client.get("/healthz").status_code == 200


@pytest.mark.database
def test_ready_when_all_three_are(db: None, client: Client, inference: FakeInference) -> None:
    services.beat("worker", "w1")
    response = client.get("/readyz")
    assert response.status_code == 200, response.content
    assert response.json() == {
        "ready": True,
        "database": {"state": "ok"},
        "inference": {"state": "ok"},
        "worker": {"state": "ok"},
    }


def test_not_ready_without_inference_and_worker(db: None, client: Client) -> None:
    response = client.get("/readyz")
    assert response.status_code == 503
    body = response.json()
    assert body["ready"] is False
    assert _states(body) == {"database": "ok", "inference": "error", "worker": "error"}
    assert "inference.sock" not in response.content.decode(), "anybody may ask: no paths"


def test_a_worker_that_fell_silent_is_not_ready(db: None, client: Client, inference: FakeInference) -> None:
    services.beat("worker", "w1")
    Beat.objects.update(seen=timezone.now() - timedelta(seconds=selectors.ALIVE + 1))
    assert _states(client.get("/readyz").json())["worker"] == "error"
    services.beat("worker", "w2")
    assert client.get("/readyz").json()["ready"] is True


def test_another_role_is_no_worker(db: None, client: Client, inference: FakeInference) -> None:
    services.beat("other", "o1")
    assert _states(client.get("/readyz").json())["worker"] == "error"


@pytest.mark.database
def test_a_migration_that_is_missing_is_not_ready(db: None, client: Client, inference: FakeInference) -> None:
    services.beat("worker", "w1")
    MigrationRecorder(connection).record_unapplied("monitoring", "0001_initial")
    body = client.get("/readyz").json()
    assert body["ready"] is False
    assert "1 migrations" in body["database"]["message"]


def test_a_database_that_is_away_is_not_ready_and_no_500(
    db: None, client: Client, inference: FakeInference, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> int:
        raise OperationalError("could not connect to mysql://user:word@host")

    monkeypatch.setattr(selectors, "migrations_missing", away)
    response = client.get("/readyz")
    assert response.status_code == 503
    assert _states(response.json()) == {"database": "error", "inference": "ok", "worker": "error"}
    assert "word" not in response.content.decode()


@pytest.mark.django_db(transaction=True)
async def test_a_part_that_hangs_is_not_waited_for(
    async_client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio

    async def hang() -> health.Part:
        await asyncio.Event().wait()
        return {"state": "ok"}

    monkeypatch.setattr(health, "PATIENCE", 0.05)
    monkeypatch.setattr(health, "_inference", hang)
    body = (await async_client.get("/readyz")).json()
    assert "No answer" in body["inference"]["message"]
    await live.board.stop()


def test_old_signs_of_life_are_forgotten_and_a_farewell_takes_ones_own(db: None) -> None:
    services.beat("worker", "old")
    Beat.objects.update(seen=timezone.now() - services.FORGET - timedelta(seconds=1))
    services.beat("worker", "w1")
    services.beat("worker", "w1")
    services.beats_prune()
    assert list(Beat.objects.values_list("pk", flat=True)) == ["w1"]
    assert Beat.objects.get().rss_bytes > 1_000_000
    services.beat_end("w1")
    assert not Beat.objects.exists()
