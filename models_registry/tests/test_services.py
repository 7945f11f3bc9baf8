from __future__ import annotations

import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction

from config.errors import AppError
from models_registry import services
from models_registry.models import Model
from models_registry.selectors import model_list, model_resolve
from tests.threads import at_once

USER = "a user of nobody's"
ECHO = {"kind": "echo"}


def _defaults() -> list[str]:
    return list(Model.objects.filter(is_default=True).values_list("name", flat=True))


def test_the_first_model_becomes_the_default_and_the_second_does_not(db: None) -> None:
    services.model_create(name="one", source=ECHO)
    services.model_create(name="two", source=ECHO)
    assert _defaults() == ["one"]
    services.model_create(name="three", source=ECHO, make_default=True)
    assert _defaults() == ["three"]


def test_a_model_is_found_by_id_by_name_and_as_the_default(db: None) -> None:
    with pytest.raises(AppError) as none:
        model_resolve(None, USER)
    assert (none.value.code, none.value.status) == ("no_model", 409)
    one = services.model_create(name="one", source=ECHO)
    assert model_resolve(None, USER) == model_resolve(one.id, USER) == model_resolve("one", USER) == one
    for ref in ("nothing", "", "a" * 5000, "half a character: \ud83d", "a\0b"):
        with pytest.raises(AppError) as unknown:
            model_resolve(ref, USER)
        assert (unknown.value.code, unknown.value.status) == ("model_not_found", 404)
        json.dumps(unknown.value.as_dict(), ensure_ascii=False).encode()


def test_a_model_that_is_switched_off_is_neither_found_nor_the_default(db: None) -> None:
    one = services.model_create(name="one", source=ECHO)
    services.model_update(one, enabled=False)
    assert not _defaults()
    assert not model_list().exists()
    with pytest.raises(AppError):
        model_resolve("one", USER)
    with pytest.raises(AppError):
        services.model_make_default(one)


def test_the_database_itself_allows_one_default(db: None) -> None:
    services.model_create(name="one", source=ECHO)
    two = services.model_create(name="two", source=ECHO)
    with pytest.raises(IntegrityError), transaction.atomic():
        Model.objects.filter(pk=two.pk).update(is_default=True)
    with pytest.raises(IntegrityError), transaction.atomic():
        Model.objects.filter(pk=two.pk).update(is_default=False)


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_of_many_who_choose_a_default_at_once_one_stands_and_none_fails() -> None:
    models = [services.model_create(name=f"m{n}", source=ECHO) for n in range(8)]

    def choose(index: int) -> None:
        for turn in range(5):
            services.model_make_default(models[(index + turn) % 8])
            assert Model.objects.filter(is_default=True).count() == 1

    at_once(choose, 8)
    assert len(_defaults()) == 1


@pytest.mark.database
@pytest.mark.django_db(transaction=True)
def test_of_many_who_take_one_name_at_once_one_gets_it() -> None:
    def create(index: int) -> str:
        try:
            return services.model_create(name="same", source=ECHO).id
        except AppError as error:
            return error.code

    answers = at_once(create, 6)
    assert answers.count("name_taken") == 5
    assert Model.objects.count() == 1


def _register(*args: str) -> str:
    out = StringIO()
    call_command("register_default_model", *args, stdout=out)
    return out.getvalue()


def test_the_default_model_is_registered_once(
    db: None, settings: Any, tmp_path: Path, make_folder: Callable[..., Path]
) -> None:
    settings.HEARTH_DATA = tmp_path
    (tmp_path / "models").mkdir()
    make_folder("models/SmolLM2-135M-Instruct")
    assert "registered\n" in _register()
    model = model_resolve(None, USER)
    assert (model.name, model.engine) == ("SmolLM2-135M-Instruct", "transformers")
    # What an administrator did since then stays.
    services.model_update(model, name="Small")
    services.model_create(name="two", source=ECHO, make_default=True)
    assert "already" in _register()
    assert _defaults() == ["two"]
    assert set(Model.objects.values_list("name", flat=True)) == {"Small", "two"}


def test_registering_a_default_that_is_not_there_fails_with_a_word(
    db: None, settings: Any, tmp_path: Path
) -> None:
    settings.HEARTH_DATA = tmp_path
    with pytest.raises(CommandError, match="no such folder"):
        _register()
