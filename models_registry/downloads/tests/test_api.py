from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.utils.translation import override
from rest_framework.test import APIClient

from models_registry.downloads import places, words
from models_registry.downloads.run import download_run
from models_registry.models import Download
from models_registry.tests.conftest import admin_api as admin_api
from models_registry.tests.conftest import user_api as user_api

URL = "/api/downloads/"
ASK = {"hub": "modelscope", "repo": "lab/tiny"}
pytestmark = pytest.mark.usefixtures("data")


def test_from_the_request_to_the_end(make_repo: Callable[..., Path], admin_api: APIClient) -> None:
    make_repo()
    asked = admin_api.post(URL, ASK, format="json")
    assert asked.status_code == 202
    body = asked.json()
    assert (body["state"], body["bytes_done"], body["progress"]) == ("queued", 0, 0.0)
    assert body["model"]["name"] == "tiny" and body["seconds_left"] is None
    assert {file["path"] for file in body["files"]} >= {"config.json", "model.safetensors"}
    assert set(body["files"][0]) == {"path", "size", "done"}
    assert admin_api.post(URL, ASK, format="json").json()["id"] == body["id"]
    assert admin_api.post(f"{URL}{body['id']}/pause/").json()["state"] == "paused"
    assert admin_api.post(f"{URL}{body['id']}/resume/").json()["state"] == "queued"
    assert download_run(body["id"])
    (line,) = admin_api.get(URL).json()["results"]
    assert (line["state"], line["progress"], line["error"]) == ("done", 1.0, None)
    assert all(file["done"] == file["size"] for file in line["files"]) and line["finished"]
    late = admin_api.post(f"{URL}{body['id']}/cancel/")
    assert (late.status_code, late.json()["code"]) == (409, "download_over")


def test_a_cancelled_one_has_no_model(make_repo: Callable[..., Path], admin_api: APIClient) -> None:
    make_repo()
    body = admin_api.post(URL, ASK, format="json").json()
    assert admin_api.post(f"{URL}{body['id']}/cancel/").status_code == 202
    again = admin_api.get(f"{URL}{body['id']}/").json()
    assert (again["state"], again["model"]) == ("cancelled", None)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (ASK | {"hub": "nowhere"}, 404, "hub_unknown"),
        (ASK | {"repo": "lab/nothing"}, 404, "repo_not_found"),
        (ASK | {"repo": "../../etc"}, 404, "repo_not_found"),
        (ASK | {"files": ["../secrets.json"]}, 400, "unsafe_repository"),
        (ASK | {"path": "/tmp"}, 400, "invalid"),
        ({"hub": "modelscope"}, 400, "invalid"),
    ],
)
def test_what_cannot_be_is_refused(
    make_repo: Callable[..., Path], admin_api: APIClient, body: dict[str, Any], status: int, code: str
) -> None:
    make_repo()
    answer = admin_api.post(URL, body, format="json")
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert not Download.objects.exists()


def test_without_room_it_is_507(
    make_repo: Callable[..., Path], admin_api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_repo()
    monkeypatch.setattr(places, "free_bytes", lambda folder: 1000)
    answer = admin_api.post(URL, ASK, format="json")
    assert (answer.status_code, answer.json()["code"]) == (507, "disk_full")
    assert answer.json()["extra"]["free"] == 1000


def test_only_administrators(user_api: APIClient) -> None:
    assert user_api.get(URL).status_code == 403
    assert user_api.post(URL, ASK, format="json").status_code == 403
    assert user_api.get(f"{URL}{'0' * 32}/").status_code == 403
    assert user_api.post(f"{URL}{'0' * 32}/cancel/").status_code == 403


def test_an_unknown_one_is_not_found(admin_api: APIClient) -> None:
    answer = admin_api.get(f"{URL}{'0' * 32}/")
    assert (answer.status_code, answer.json()["code"]) == (404, "download_not_found")


def test_every_failure_has_words() -> None:
    facts = {"needed": 3 << 30, "free": 1 << 20, "said": 10, "sent": 11, "name": "x", "reason": "r"}
    facts |= {"address": "a", "hub": "ModelScope", "repo": "o/n"}
    hubs = ("hub_unreachable", "repo_not_found", "repo_gated", "hub_busy", "hub_error")
    for code in (*words.SENTENCES, *hubs):
        text = words.sentence(code, facts)
        assert text != code and "%(" not in text
    with override("zh-hans"):
        assert "ModelScope" in words.sentence("cut_off", facts)
