from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from rest_framework.test import APIClient

from accounts.models import User
from models_registry import live, services
from monitoring import figures
from monitoring import services as beats

URL = "/api/monitoring/now/"


@pytest.fixture(autouse=True)
def no_service(settings: Any, tmp_path: Any) -> None:
    settings.HEARTH_INFERENCE = f"unix:{tmp_path}/nobody.sock"
    live.client.cache_clear()


def _api(**what: Any) -> APIClient:
    client = APIClient()
    client.force_authenticate(User.objects.create(username="someone", **what))
    return client


def test_administrators_alone_see_the_figures(db: None) -> None:
    assert APIClient().get(URL).status_code == 401
    assert _api().get(URL).status_code == 403


def test_the_figures_are_real(db: None) -> None:
    model = services.model_create(name="Echo", source={"kind": "echo"})
    beats.beat("worker", "w1")
    body = _api(is_superuser=True).get(URL).json()
    assert 0 <= body["cpu"]["share"] <= 1
    assert body["cpu"]["cores"] >= 1
    memory, disk = body["memory"], body["disk"]
    assert 0 < memory["used_bytes"] < memory["total_bytes"]
    assert memory["used_bytes"] + memory["available_bytes"] == memory["total_bytes"]
    assert 0 < disk["free_bytes"] < disk["total_bytes"]
    assert [(m["id"], m["state"]) for m in body["models"]] == [(model.id, "stopped")]
    assert [(p["role"], p["rss_bytes"] > 0) for p in body["processes"]] == [("worker", True)]


class _Nvml:
    """Two cards; the second does not tell its share, as in MIG mode."""

    class NVMLError(Exception):
        pass

    def nvmlDeviceGetCount(self) -> int:
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        return index

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> Any:
        return SimpleNamespace(total=80, used=8)

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> Any:
        if handle == 1:
            raise self.NVMLError
        return SimpleNamespace(gpu=50)

    def nvmlDeviceGetName(self, handle: int) -> str:
        return "Card"


def test_gpus_are_told_as_far_as_they_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = _Nvml()
    monkeypatch.setattr(figures, "_nvml", lambda: nvml)
    assert figures._gpus() == [
        {"index": 0, "name": "Card", "share": 0.5, "total_bytes": 80, "used_bytes": 8},
        {"index": 1, "name": "Card", "share": None, "total_bytes": 80, "used_bytes": 8},
    ]


def test_a_machine_without_a_driver_has_no_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "_nvml", lambda: None)
    assert figures._gpus() == []
