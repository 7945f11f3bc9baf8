"""Models that lie on this machine: those of --models on the list, those in caches told."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from models_registry.downloads.tests.conftest import fill_repo
from models_registry.models import Model, Once
from models_registry.services import model_create, model_delete
from models_registry.tests.test_gguf import make

pytestmark = pytest.mark.django_db


@pytest.fixture
def caches(tmp_path: Path, settings: Any) -> Path:
    settings.HEARTH_HUB_CACHES = {"modelscope": tmp_path / "ms", "huggingface": tmp_path / "hf"}
    return tmp_path / "hf"


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """A folder of models as people keep them: one beside the other, and by owner."""
    fill_repo(tmp_path / "shelf" / "Tiny-1B")
    fill_repo(tmp_path / "shelf" / "acme" / "Small-2B")
    return tmp_path / "shelf"


def said(*words: str) -> str:
    out = io.StringIO()
    call_command(*words, stdout=out)
    return out.getvalue()


def names() -> set[str]:
    return set(Model.objects.values_list("name", flat=True))


def test_the_models_of_a_folder_are_on_the_list_where_they_lie(shelf: Path):
    lines = said("register_models", str(shelf)).splitlines()
    assert lines == [
        f"Tiny-1B is on the list: {shelf / 'Tiny-1B'}",
        f"Small-2B is on the list: {shelf / 'acme' / 'Small-2B'}",
    ]
    model = Model.objects.get(name="Small-2B")
    assert model.source == {"kind": "folder", "path": str(shelf / "acme" / "Small-2B")}
    assert model.languages == [], "nobody has said what it speaks"
    assert sorted(path.name for path in shelf.rglob("*.safetensors")) == ["model.safetensors"] * 2


def test_a_later_start_finds_what_is_new_and_brings_nothing_back(shelf: Path):
    said("register_models", str(shelf))
    model_delete(Model.objects.get(name="Tiny-1B"))
    fill_repo(shelf / "New-3B")
    assert said("register_models", str(shelf)) == f"New-3B is on the list: {shelf / 'New-3B'}\n"
    assert names() == {"Small-2B", "New-3B"}


def test_one_that_somebody_has_added_already_is_not_added_twice(shelf: Path):
    model_create(name="Mine", source={"kind": "folder", "path": str(shelf / "Tiny-1B")})
    said("register_models", str(shelf))
    assert names() == {"Mine", "Small-2B"}


def test_a_name_that_is_taken_gets_a_number(shelf: Path, echo: Model):
    model_create(name="Tiny-1B", source={"kind": "echo"})
    said("register_models", str(shelf))
    assert {"Tiny-1B", "Tiny-1B (2)"} <= names()


def code(folder: Path) -> None:
    """config.json asks for the folder's own code."""
    (folder / "modeling.py").write_text("raise SystemExit")
    config = {"model_type": "x", "auto_map": {"AutoModel": "modeling.X"}}
    (folder / "config.json").write_text(json.dumps(config))


def link(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").symlink_to("/etc/passwd")


def no_weights(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"not a header at all")


@pytest.mark.parametrize("harm", [code, link, no_weights], ids=lambda harm: harm.__name__)
def test_a_hostile_one_is_left_out_with_the_reason_and_the_others_come(
    shelf: Path, harm: Callable[[Path], None]
):
    harm(fill_repo(shelf / "Bad"))
    lines = said("register_models", str(shelf)).splitlines()
    assert names() == {"Tiny-1B", "Small-2B"}
    (left_out,) = [line for line in lines if "Bad" in line]
    assert left_out.startswith(f"{shelf / 'Bad'} was left out: ") and len(left_out) > 60
    assert not Once.objects.filter(model_id="").exists()
    # It is told again until it is put right, and then it comes.
    for file in (shelf / "Bad").iterdir():
        file.unlink()
    fill_repo(shelf / "Bad")
    assert "Bad is on the list" in said("register_models", str(shelf))


def test_a_link_to_a_folder_elsewhere_is_not_followed(shelf: Path, tmp_path: Path):
    fill_repo(tmp_path / "elsewhere" / "Secret")
    (shelf / "Linked").symlink_to(tmp_path / "elsewhere" / "Secret")
    said("register_models", str(shelf))
    assert names() == {"Tiny-1B", "Small-2B"}


def test_a_folder_that_is_a_model_itself_is_one(shelf: Path):
    said("register_models", str(shelf / "Tiny-1B"))
    assert names() == {"Tiny-1B"}


def test_an_empty_folder_and_none_at_all_are_said(tmp_path: Path):
    (tmp_path / "empty").mkdir()
    assert said("register_models", str(tmp_path / "empty")) == f"There is no model in {tmp_path / 'empty'}.\n"
    with pytest.raises(CommandError, match="There is no folder"):
        said("register_models", str(tmp_path / "nowhere"))


def test_a_gguf_file_is_one(shelf: Path):
    make(shelf / "one.gguf")
    said("register_models", str(shelf))
    assert "one" in names()


def test_what_lies_in_the_caches_is_told_in_one_line_until_it_is_on_the_list(caches: Path):
    def snapshot(name: str) -> Path:
        return fill_repo(caches / f"models--acme--{name}" / "snapshots" / ("1" * 40))

    assert said("found_models") == ""
    folder = snapshot("one")
    assert said("found_models", "--url", "http://127.0.0.1:8000") == (
        "A hub's cache on this machine holds 1 model (acme/one). Use it in place:"
        " http://127.0.0.1:8000/models/add/machine\n"
    )
    for name in ("two", "three", "four"):
        snapshot(name)
    assert "hold 4 models (acme/four, acme/one, acme/three, …)" in said("found_models")
    model_create(name="one", source={"kind": "folder", "path": str(folder)})
    assert "hold 3 models" in said("found_models")
    assert not names() - {"one"}
