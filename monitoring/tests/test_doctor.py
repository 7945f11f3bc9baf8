"""What `start.py doctor` is told of the database and of the default model."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections

from config import checks
from inference.client import InferenceClient
from inference.errors import InferenceError
from models_registry.models import Model
from monitoring.management.commands import doctor


def told(about: str, language: str = "en") -> Any:
    out = io.StringIO()
    call_command("doctor", about, language=language, stdout=out)
    return json.loads(out.getvalue())


@pytest.fixture
def default(db: None, tmp_path: Path) -> Model:
    source = {"kind": "folder", "path": str(tmp_path)}
    return Model.objects.create(
        name="hers", engine="transformers", source=source, settings={"dtype": "int8"}, is_default=True
    )


def service(monkeypatch: pytest.MonkeyPatch, *events: dict[str, Any]) -> list[Any]:
    """A model service that answers with `events`; returns the specs that it was asked for."""
    asked: list[Any] = []

    async def state(self: InferenceClient) -> dict[str, Any]:
        return {}

    async def stream(self: InferenceClient, messages: Any, *, model: Any, params: Any) -> Any:
        asked.append(model)
        for event in events:
            yield event

    monkeypatch.setattr(InferenceClient, "state", state)
    monkeypatch.setattr(InferenceClient, "stream", stream)
    return asked


@pytest.mark.django_db
def test_a_house_without_a_model_has_no_default() -> None:
    assert told("answer") is None
    assert told("database") == []


def test_a_database_that_no_start_has_made_is_not_made_by_looking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connections["default"].settings_dict, "NAME", str(tmp_path / "none.sqlite3"))
    monkeypatch.setattr(type(connections["default"]), "vendor", "sqlite")
    assert told("database") == [] and told("answer") is None
    assert os.listdir(tmp_path) == []


def test_the_default_model_is_asked(default: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = {"kind": "usage", "completion_tokens": 32}
    asked = service(monkeypatch, {"kind": "text", "text": "One, two"}, usage, {"kind": "finished"})
    found = told("answer")
    assert found["name"] == "hers" and found["speed"] > 0 and asked[0].id == default.id


def test_a_default_model_that_fails_says_why(default: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    service(monkeypatch, {"kind": "failed", "code": "out_of_memory", "message": "too large"})
    assert told("answer") == {"name": "hers", "why": "too large", "away": False}


def test_without_the_service_its_folder_is_told(default: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    async def state(self: InferenceClient) -> dict[str, Any]:
        raise InferenceError("unavailable", "nobody there")

    monkeypatch.setattr(InferenceClient, "state", state)
    found = told("answer")
    assert found["away"] and found["folder"] == default.source["path"] and found["dtype"] == "int8"


@pytest.mark.parametrize(("language", "word"), [("en", "cannot hold every"), ("zh-hans", "latin1")])
def test_a_database_in_latin1_is_told_in_the_users_language(
    language: str, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = checks.Facts("hearth", "latin1", "latin1_swedish_ci", (), True)
    monkeypatch.setattr(type(connections["default"]), "vendor", "mysql")
    monkeypatch.setattr(checks, "facts", lambda connection: facts)
    ((what, hint, error),) = told("database", language)
    assert error
    assert word in what and what.isascii() == (language == "en")
    assert hint.startswith("ALTER DATABASE `hearth` CHARACTER SET utf8mb4")
    assert doctor.problems()[0][1] == hint
