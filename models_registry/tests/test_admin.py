"""The admin pages, as an administrator's browser posts them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import User
from models_registry import services
from models_registry.models import Download, Job, Model
from models_registry.tests.fake_inference import FakeInference

LIST = "admin:models_registry_model_changelist"
ADD = "admin:models_registry_model_add"


@pytest.fixture
def page(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create(username="boss", is_superuser=True, is_staff=True))
    return client


def _act(page: Client, action: str, *models: Model) -> str:
    body = {"action": action, "_selected_action": [model.pk for model in models]}
    return page.post(reverse(LIST), body, follow=True).content.decode()


def test_the_list_shows_what_runs(page: Client, echo: Model, inference: FakeInference) -> None:
    inference.say(echo.id, "loading", progress=0.63, error=None)
    assert "loading 63%" in page.get(reverse(LIST)).content.decode()


def test_the_list_stands_while_the_service_is_away(page: Client, echo: Model) -> None:
    response = page.get(reverse(LIST))
    assert response.status_code == 200
    assert "does not answer" in response.content.decode()


def test_actions_ask_for_loads_and_unloads(page: Client, echo: Model) -> None:
    _act(page, "load", echo)
    assert Job.objects.get().kind == "load"
    _act(page, "unload", echo)
    assert [job.kind for job in Job.objects.filter(state="queued")] == ["unload"]


def test_actions_pin_and_unpin(page: Client, echo: Model) -> None:
    assert "stays in memory" in _act(page, "pin", echo)
    echo.refresh_from_db()
    assert echo.pinned
    assert "makes room" in _act(page, "unpin", echo)
    echo.refresh_from_db()
    assert not echo.pinned


def test_make_default_takes_exactly_one(page: Client, echo: Model) -> None:
    other = services.model_create(name="Other", source={"kind": "echo"})
    assert "exactly one" in _act(page, "make_default", echo, other)
    assert "Other is the default now" in _act(page, "make_default", other)
    assert Model.objects.get(is_default=True) == other


def test_a_folder_is_added(page: Client, make_folder: Callable[..., Path]) -> None:
    body = {"name": "Small", "kind": "folder", "path": str(make_folder()), "settings": "{}"}
    response = page.post(reverse(ADD), body)
    assert response.status_code == 302, response.content.decode()
    assert (Model.objects.get().family, Model.objects.get().is_default) == ("llama", True)


def test_a_remote_endpoint_is_added_and_its_key_is_never_shown(page: Client) -> None:
    body = {
        "name": "Far",
        "kind": "remote",
        "base_url": "https://example.org/v1",
        "remote_model": "big",
        "api_key": "sk-hidden-123",
        "continues": "on",
        "settings": "{}",
    }
    assert page.post(reverse(ADD), body).status_code == 302
    model = Model.objects.get()
    assert services.model_spec(model).source == {
        "kind": "remote",
        "base_url": "https://example.org/v1",
        "model": "big",
        "continues": True,
        "api_key": "sk-hidden-123",
    }
    shown = page.get(reverse("admin:models_registry_model_change", args=[model.pk])).content.decode()
    assert "example.org" in shown
    assert "sk-hidden" not in shown
    assert model.secret not in shown


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"kind": "folder", "path": "/nowhere"}, "There is no such folder"),
        ({"kind": "folder"}, "path must be a text"),
        ({"kind": "remote", "base_url": "ftp://x", "remote_model": "m"}, "http or https"),
        ({"kind": "echo", "settings": '{"magic": 1}'}, "Unknown setting"),
        ({"kind": "echo", "name": "Echo"}, "already exists"),
    ],
)
def test_a_refusal_stands_on_the_form(page: Client, echo: Model, body: dict[str, Any], words: str) -> None:
    response = page.post(reverse(ADD), {"name": "x", "settings": "{}"} | body)
    assert response.status_code == 200
    assert words in response.content.decode()
    assert Model.objects.count() == 1


def test_changes_and_deletion_go_through_the_services(page: Client, echo: Model) -> None:
    url = reverse("admin:models_registry_model_change", args=[echo.pk])
    assert page.get(url).status_code == 200
    bad = page.post(url, {"name": "New", "engine": "echo", "settings": '{"slots": 0}', "enabled": "on"})
    assert "out of range" in bad.content.decode()
    assert page.post(url, {"name": "New", "engine": "echo", "settings": '{"slots": 2}'}).status_code == 302
    echo.refresh_from_db()
    # Switched off, so it is no longer the default.
    assert (echo.name, echo.settings, echo.enabled, echo.is_default) == ("New", {"slots": 2}, False, None)
    gone = reverse("admin:models_registry_model_delete", args=[echo.pk])
    assert page.post(gone, {"post": "yes"}).status_code == 302
    assert Job.objects.get().kind == "unload"


def test_the_jobs_are_shown(page: Client, echo: Model) -> None:
    services.model_load(echo)
    assert page.get(reverse("admin:models_registry_job_changelist")).status_code == 200


def test_the_list_shows_memory_requests_and_speed(
    page: Client, echo: Model, inference: FakeInference
) -> None:
    line = {"predicted_bytes": 2_000_000_000, "measured_bytes": 2_100_000_000, "tokens_per_second": 41.5}
    inference.say(echo.id, "ready", running=2, waiting=1, **line)
    text = page.get(reverse(LIST)).content.decode()
    for told in ("predicted 2.0 GB", "measured 2.1 GB", "2 running, 1 waiting", "41.5"):
        assert told in text, told


def test_who_may_use_a_model_is_chosen_by_name(page: Client, echo: Model) -> None:
    anna = User.objects.create(username="anna")
    url = reverse("admin:models_registry_model_change", args=[echo.pk])
    body = {"name": "Echo", "engine": "echo", "enabled": "on", "settings": "{}", "users": [anna.pk]}
    assert page.post(url, body).status_code == 302
    echo.refresh_from_db()
    assert not echo.for_everyone and list(echo.users.all()) == [anna]


def test_an_engine_that_cannot_run_the_source_is_refused(page: Client, echo: Model) -> None:
    url = reverse("admin:models_registry_model_change", args=[echo.pk])
    body = {"name": "Echo", "engine": "vllm", "settings": "{}"}
    assert "This source is run by echo." in page.post(url, body).content.decode()


def _download(**values: Any) -> Download:
    usual = {"hub": "modelscope", "repo": "house/small", "revision": "c0ffee", "model_id": "0" * 32}
    return Download.objects.create(**usual | values)


def test_downloads_are_listed_and_steered(page: Client) -> None:
    download = _download(state="running", bytes_done=500_000_000, bytes_total=2_000_000_000, speed=5e7)
    url = reverse("admin:models_registry_download_changelist")
    text = page.get(url).content.decode()
    for told in ("house/small", "500 MB / 2.0 GB (25%)", "50 MB/s", "30"):
        assert told in text, told
    for action, state in (("pause", "paused"), ("resume", "queued"), ("cancel", "cancelled")):
        page.post(url, {"action": action, "_selected_action": [download.pk]})
        download.refresh_from_db()
        assert download.state == state
    page.post(url, {"action": "resume", "_selected_action": [download.pk]}, follow=True)
    download.refresh_from_db()
    assert download.state == "cancelled"


def test_a_failed_download_tells_why_and_is_tried_again(page: Client) -> None:
    download = _download(state="failed", error={"code": "disk_full", "message": "no room"})
    url = reverse("admin:models_registry_download_changelist")
    assert page.get(url).status_code == 200
    page.post(url, {"action": "retry", "_selected_action": [download.pk]})
    download.refresh_from_db()
    assert download.state == "queued"
