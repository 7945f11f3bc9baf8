from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from rest_framework.test import APIClient

from models_registry.models import Job, Model
from models_registry.services import model_create, model_spec
from models_registry.tests.fake_inference import FakeInference

URL = "/api/models/"
KEY = "sk-very-secret-0123456789"
REMOTE = {"kind": "remote", "base_url": "http://127.0.0.1:9/v1", "model": "big", "api_key": KEY}

CALLS = [
    ("get", "", None, 200, 200),
    ("get", "{id}/", None, 200, 200),
    ("post", "", {"name": "New", "source": {"kind": "echo"}}, 403, 201),
    ("patch", "{id}/", {"name": "Other"}, 403, 200),
    ("delete", "{id}/", None, 403, 204),
    ("post", "{id}/load/", None, 403, 202),
    ("post", "{id}/unload/", None, 403, 202),
    ("post", "{id}/pin/", None, 403, 202),
]


@pytest.mark.parametrize(("method", "path", "body", "for_user", "for_admin"), CALLS)
def test_who_may_do_what(
    method: str,
    path: str,
    body: Any,
    for_user: int,
    for_admin: int,
    echo: Model,
    user_api: APIClient,
    admin_api: APIClient,
) -> None:
    url = URL + path.format(id=echo.id)
    for api, status in ((APIClient(), 401), (user_api, for_user), (admin_api, for_admin)):
        response = getattr(api, method)(url, body, format="json")
        assert response.status_code == status, response.content


@pytest.mark.parametrize(("method", "path", "body", "for_user", "for_admin"), CALLS[1:2] + CALLS[3:])
def test_what_is_not_there_is_404(
    method: str, path: str, body: Any, for_user: int, for_admin: int, admin_api: APIClient
) -> None:
    response = getattr(admin_api, method)(URL + path.format(id="f" * 32), body, format="json")
    assert response.status_code == 404
    assert response.json()["code"] == "model_not_found"


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"source": {"kind": "echo"}}, "invalid", "name"),
        ({"name": "x"}, "invalid", "source"),
        ({"name": "", "source": {"kind": "echo"}}, "invalid", "name"),
        ({"name": "a" * 129, "source": {"kind": "echo"}}, "invalid", "name"),
        ({"name": "a\u0007b", "source": {"kind": "echo"}}, "invalid", "name"),
        ({"name": "0" * 32, "source": {"kind": "echo"}}, "invalid", "name"),
        ({"name": "x", "source": {"kind": "echo"}, "more": 1}, "invalid", "more"),
        ({"name": "x", "source": {"kind": "echo", "more": 1}}, "invalid", "source"),
        ({"name": "x", "source": {"kind": "echo", "script": "text"}}, "invalid", "source"),
        ({"name": "x", "source": "echo"}, "invalid", "source"),
        ({"name": "x", "source": {}}, "invalid", "source"),
        ({"name": "x", "source": {"kind": ["echo"]}}, "invalid", "source"),
        ({"name": "x", "source": {"kind": "folder"}}, "invalid", "source"),
        ({"name": "x", "source": {"kind": "folder", "path": 7}}, "invalid", "source"),
        ({"name": "x", "source": {"kind": "folder", "path": "/no\u0000where"}}, "invalid", "source"),
        ({"name": "x", "source": {"kind": "folder", "path": "/nowhere"}}, "invalid_model_folder", None),
        ({"name": "x", "source": {"kind": "gguf", "path": "/m.gguf"}}, "invalid_model_file", None),
        ({"name": "x", "source": {"kind": "hub", "hub": "modelscope"}}, "invalid", "source"),
        (
            {"name": "x", "source": {"kind": "hub", "hub": "no", "repo": "a/b", "path": "/"}},
            "invalid",
            "source",
        ),
        ({"name": "x", "source": {"kind": "echo"}, "engine": "openai"}, "invalid", "engine"),
        ({"name": "x", "source": {"kind": "echo"}, "engine": "magic"}, "invalid", "engine"),
        ({"name": "x", "source": {"kind": "echo"}, "settings": {"magic": 1}}, "invalid", "settings"),
        ({"name": "x", "source": {"kind": "echo"}, "settings": {"slots": 0}}, "invalid", "settings"),
        ({"name": "x", "source": {"kind": "echo"}, "settings": {"slots": True}}, "invalid", "settings"),
        ({"name": "x", "source": {"kind": "echo"}, "settings": []}, "invalid", "settings"),
    ],
)
def test_a_bad_registration_says_what_is_wrong(
    body: dict[str, Any], code: str, field: str | None, admin_api: APIClient
) -> None:
    response = admin_api.post(URL, body, format="json")
    assert response.status_code == 400
    error = response.json()
    assert error["code"] == code
    assert error["message"] or field
    assert field is None or list(error["extra"]["fields"]) == [field]
    assert not Model.objects.exists()


@pytest.mark.parametrize(
    "address",
    [
        "ftp://host/v1",
        "file:///etc/passwd",
        "//host/v1",
        "host:8000",
        "http://",
        "http://user@host/v1",
        "http://user:word@host/v1",
        "http://host:0/v1",
        "http://host:99999/v1",
        "http://host/v1?key=1",
        "http://host/v1#x",
        "http://ho st/v1",
        "http://[::1/v1",
        "javascript:alert(1)",
    ],
)
def test_an_address_must_be_plain_http(address: str, admin_api: APIClient) -> None:
    body = {"name": "x", "source": REMOTE | {"base_url": address}}
    response = admin_api.post(URL, body, format="json")
    assert response.status_code == 400
    assert list(response.json()["extra"]["fields"]) == ["source"]


@pytest.mark.parametrize("key", ["two\nlines", "schlüssel", 7, ["a"]])
def test_an_api_key_that_would_break_a_header_is_refused(key: Any, admin_api: APIClient) -> None:
    response = admin_api.post(URL, {"name": "x", "source": REMOTE | {"api_key": key}}, format="json")
    assert response.status_code == 400


def test_a_key_never_comes_back_but_reaches_the_engine(admin_api: APIClient, user_api: APIClient) -> None:
    made = admin_api.post(URL, {"name": "Remote", "source": REMOTE | {"continues": True}}, format="json")
    assert made.status_code == 201
    body = made.json()
    assert body["has_api_key"] is True
    assert body["capabilities"] == ["continue"]
    url = f"{URL}{body['id']}/"
    answers = [
        made,
        admin_api.get(URL),
        admin_api.get(url),
        admin_api.patch(url, {"name": "R"}, format="json"),
    ]
    for answer in [*answers, user_api.get(URL), user_api.get(url)]:
        assert KEY not in answer.content.decode()
        assert "api_key" not in (answer.json().get("source") or {})
    row = Model.objects.values().get()
    assert KEY not in str(row)
    assert row["secret"] not in admin_api.get(url).content.decode()
    assert model_spec(Model.objects.get()).source["api_key"] == KEY


def test_another_secret_key_of_the_site_is_told_not_guessed(
    admin_api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from config.errors import AppError

    model = model_create(name="Remote", source=REMOTE)
    monkeypatch.setattr(settings, "SECRET_KEY", "another one" * 5)
    with pytest.raises(AppError) as error:
        model_spec(model)
    assert error.value.code == "secret_unreadable"


def test_users_see_no_addresses_and_nothing_that_is_switched_off(
    admin_api: APIClient, user_api: APIClient
) -> None:
    model = model_create(name="Remote", source=REMOTE)
    seen = user_api.get(URL).json()["results"]
    assert [m["name"] for m in seen] == ["Remote"]
    assert not {"source", "settings", "has_api_key", "enabled"} & set(seen[0])
    admin_api.patch(f"{URL}{model.id}/", {"enabled": False}, format="json")
    assert user_api.get(URL).json() == {"results": [], "next": None}
    assert user_api.get(f"{URL}{model.id}/").status_code == 404
    assert admin_api.get(URL).json()["results"][0]["enabled"] is False


def test_a_taken_name_is_409_at_its_field(echo: Model, admin_api: APIClient) -> None:
    again = {"name": echo.name, "source": {"kind": "echo"}}
    response = admin_api.post(URL, again, format="json")
    assert response.status_code == 409
    assert response.json()["code"] == "name_taken"
    assert "name" in response.json()["extra"]["fields"]


@pytest.mark.database
def test_names_of_any_script_are_kept_apart(admin_api: APIClient) -> None:
    """Case, accents and signs beyond the basic plane count, on every database."""
    names = ["Model", "model", "modèl", "炉边", "🔥" * 128]
    for name in names:
        made = admin_api.post(URL, {"name": name, "source": {"kind": "echo"}}, format="json")
        assert made.status_code == 201, made.content
    assert {m["name"] for m in admin_api.get(URL).json()["results"]} == set(names)


@pytest.mark.parametrize(
    "body",
    [{"engine": "vllm"}, {"source": {"kind": "echo"}}, {"is_default": "maybe"}, {"settings": {"x": 1}}],
)
def test_what_cannot_be_changed_is_400(body: dict[str, Any], echo: Model, admin_api: APIClient) -> None:
    assert admin_api.patch(f"{URL}{echo.id}/", body, format="json").status_code == 400


def test_changes_are_kept(echo: Model, admin_api: APIClient) -> None:
    body = {"name": "新名", "settings": {"slots": 3, "context_length": 512}, "enabled": True}
    answer = admin_api.patch(f"{URL}{echo.id}/", body, format="json").json()
    assert (answer["name"], answer["settings"]["slots"], answer["context_length"]) == ("新名", 3, 512)
    assert admin_api.get(f"{URL}{echo.id}/").json() == answer


def test_a_folder_is_registered_with_what_it_says(
    admin_api: APIClient, make_folder: Callable[..., Path]
) -> None:
    folder = make_folder(config={"model_type": "qwen3", "max_position_embeddings": 40960})
    body = {"name": "Qwen3", "source": {"kind": "folder", "path": str(folder)}, "settings": {"device": "cpu"}}
    answer = admin_api.post(URL, body, format="json").json()
    assert (answer["family"], answer["engine"], answer["context_length"]) == ("qwen3", "transformers", 40960)
    assert answer["is_default"] is True


def test_load_answers_202_and_writes_one_job(
    echo: Model, admin_api: APIClient, quiet_broker: list[str], django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        first = admin_api.post(f"{URL}{echo.id}/load/")
        second = admin_api.post(f"{URL}{echo.id}/load/")
    assert first.json() == second.json() == {"job": Job.objects.get().id, "model": echo.id, "state": "queued"}
    assert quiet_broker == [Job.objects.get().id]


def test_states_come_from_the_board(echo: Model, inference: FakeInference, user_api: APIClient) -> None:
    inference.states[echo.id] = {
        "kind": "model",
        "model": echo.id,
        "state": "ready",
        "progress": None,
        "device": "cpu",
        "memory_bytes": 1234,
        "context_length": 4096,
        "capabilities": ["continue", "tools"],
        "error": None,
    }
    body = user_api.get(f"{URL}{echo.id}/").json()
    assert (body["state"], body["device"], body["memory_bytes"]) == ("ready", "cpu", 1234)
    assert (body["context_length"], body["capabilities"]) == (4096, ["continue", "tools"])


def test_without_a_model_service_all_are_stopped_and_the_reason_is_told(
    echo: Model, user_api: APIClient
) -> None:
    body = user_api.get(URL).json()["results"][0]
    assert body["state"] == "stopped"
    assert body["error"] == {"code": "unavailable", "message": "The model service does not answer."}


def test_a_deleted_model_is_unloaded(echo: Model, admin_api: APIClient) -> None:
    assert admin_api.delete(f"{URL}{echo.id}/").status_code == 204
    assert Job.objects.get().kind == "unload"
    assert Job.objects.get().model_id == echo.id


def test_why_answers_run_one_by_one_is_told_to_everybody(
    echo: Model, user_api: APIClient, inference: FakeInference
) -> None:
    def told() -> tuple[bool | None, str | None]:
        body = user_api.get(f"{URL}{echo.id}/").json()
        return body["packed"], body["unpacked_reason"]

    assert told() == (None, None)
    inference.say(echo.id, "ready", packed=False, reason="It cannot be packed: its layers differ.")
    assert told() == (False, "It cannot be packed: its layers differ.")
    inference.say(echo.id, "ready", packed=True, reason="")
    assert told() == (True, None)
