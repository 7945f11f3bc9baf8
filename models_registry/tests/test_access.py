"""Who may use a model, and which one answers where none is named."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from accounts.models import User
from config.errors import AppError
from models_registry import services
from models_registry.models import Download, Job, Model
from models_registry.selectors import model_resolve, model_visible

URL = "/api/models/"


@pytest.fixture
def other(echo: Model) -> Model:
    """Not the default, and for nobody but administrators."""
    model = services.model_create(name="Other", source={"kind": "echo"})
    return services.model_update(model, for_everyone=False)


@pytest.fixture
def anna(user_api: APIClient) -> User:
    return User.objects.get(username="anna")


def _names(client: APIClient) -> list[str]:
    return [model["name"] for model in client.get(URL).json()["results"]]


def _change(client: APIClient, model: Model, **body: Any) -> Any:
    return client.patch(f"{URL}{model.pk}/", body, format="json")


def test_a_model_is_listed_and_found_for_those_for_whom_it_is(
    other: Model, anna: User, user_api: APIClient, admin_api: APIClient
) -> None:
    assert _names(user_api) == ["Echo"] and _names(admin_api) == ["Echo", "Other"]
    assert user_api.get(f"{URL}{other.pk}/").status_code == 404
    for ref in (other.pk, other.name):
        with pytest.raises(AppError, match="no such model"):
            model_resolve(ref, anna.pk)
    given = _change(admin_api, other, users=["anna"]).json()
    assert (given["for_everyone"], given["users"]) == (False, ["anna"])
    assert _names(user_api) == ["Echo", "Other"]
    assert model_resolve("Other", anna.pk) == other

    shown = user_api.get(f"{URL}{other.pk}/").json()
    assert "users" not in shown and "log" not in shown
    _change(admin_api, other, users=[])
    assert _names(user_api) == ["Echo"]


def test_a_model_is_visible_to_those_whose_list_has_it(
    other: Model, echo: Model, anna: User, admin_api: APIClient
) -> None:
    admin = User.objects.get(is_superuser=True)
    services.model_update(echo, enabled=False)
    assert [model_visible(m.pk, anna.pk) for m in (echo, other)] == [False, False]
    assert [model_visible(m.pk, admin.pk) for m in (echo, other)] == [True, True]
    assert not model_visible("nobody", admin.pk) and not model_visible(other.pk, "nobody")
    _change(admin_api, other, users=["anna"])
    assert model_visible(other.pk, anna.pk)


def test_a_user_whom_nobody_knows_is_refused(other: Model, admin_api: APIClient) -> None:
    refused = _change(admin_api, other, users=["nobody"])
    assert refused.status_code == 400 and "users" in refused.json()["extra"]["fields"]


def test_ones_own_default_goes_before_the_houses_while_one_may_use_it(
    other: Model, echo: Model, anna: User, user_api: APIClient, admin_api: APIClient
) -> None:
    assert (
        user_api.patch("/api/auth/me/", {"default_model": other.pk}, format="json").json()["default_model"]
        == other.pk
    )
    assert model_resolve(None, anna.pk) == echo, "it is not for her"
    _change(admin_api, other, for_everyone=True)
    assert model_resolve(None, anna.pk) == other
    shown = {model["name"]: model["default_for_me"] for model in user_api.get(URL).json()["results"]}
    assert shown == {"Echo": False, "Other": True}
    _change(admin_api, other, enabled=False)
    assert model_resolve(None, anna.pk) == echo
    user_api.patch("/api/auth/me/", {"default_model": ""}, format="json")
    _change(admin_api, other, enabled=True)
    assert model_resolve(None, anna.pk) == echo


def test_a_default_is_an_id(user_api: APIClient, echo: Model) -> None:
    assert user_api.patch("/api/auth/me/", {"default_model": "Echo"}, format="json").status_code == 400


def test_a_house_whose_default_is_for_others_has_none(echo: Model, anna: User, admin_api: APIClient) -> None:
    _change(admin_api, echo, for_everyone=False)
    with pytest.raises(AppError) as none:
        model_resolve(None, anna.pk)
    assert (none.value.code, none.value.status) == ("no_model", 409)


def test_a_models_engine_is_changed_to_one_that_can_run_it(admin_api: APIClient, echo: Model) -> None:
    assert _change(admin_api, echo, engine="vllm").status_code == 400
    folder = Model.objects.create(
        name="Folder",
        engine="transformers",
        source={"kind": "folder", "path": "/m"},
        settings={"slots": 4, "step_tokens": 64},
    )
    changed = _change(admin_api, folder, engine="vllm").json()
    assert changed["engine"] == "vllm"
    assert changed["settings"] == {"slots": 4}, "what the new engine does not know would stop its load"


def _hub_model(**values: Any) -> Model:
    source = {"kind": "hub", "hub": "modelscope", "repo": "house/small", "revision": "c0ffee"}
    return Model.objects.create(name="Small", engine="transformers", source=source | values)


def test_loading_what_is_not_here_starts_its_download_again(admin_api: APIClient, db: None) -> None:
    model = _hub_model()
    assert admin_api.post(f"{URL}{model.pk}/load/").json()["code"] == "not_downloaded"
    download = Download.objects.create(
        hub="modelscope", repo="house/small", revision="c0ffee", model_id=model.pk, state="paused",
        bytes_done=25, bytes_total=100,
    )  # fmt: skip
    shown = admin_api.get(f"{URL}{model.pk}/").json()
    assert (shown["state"], shown["progress"], shown["download"]["state"]) == ("downloading", 0.25, "paused")
    answer = admin_api.post(f"{URL}{model.pk}/load/")
    assert answer.status_code == 202 and answer.json()["job"] == download.pk
    download.refresh_from_db()
    assert download.state == "queued" and not Job.objects.exists()


def test_what_is_here_is_loaded(admin_api: APIClient, db: None) -> None:
    model = _hub_model(path="/data/models/modelscope/house--small/c0ffee")
    assert admin_api.post(f"{URL}{model.pk}/load/").status_code == 202
    assert Job.objects.get().model_id == model.pk
    assert services.model_spec(model).source == {"kind": "folder", "path": model.source["path"]}


def test_deleting_with_the_files_calls_the_download_off(admin_api: APIClient, db: None) -> None:
    model = _hub_model()
    download = Download.objects.create(
        hub="modelscope", repo="house/small", revision="c0ffee", model_id=model.pk, state="running"
    )
    assert admin_api.delete(f"{URL}{model.pk}/?files=perhaps").status_code == 400
    assert admin_api.delete(f"{URL}{model.pk}/?files=true").status_code == 204
    download.refresh_from_db()
    assert download.state == "cancelled" and not Model.objects.exists()
