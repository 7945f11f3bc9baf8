from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from config.errors import AppError
from inference import model_folder
from models_registry.folders import folder_inspect
from models_registry.tests.conftest import safetensors

Make = Callable[..., Path]


@pytest.mark.parametrize(
    ("config", "tokenizer", "family", "context", "capabilities"),
    [
        ({}, {}, "llama", 8192, ["continue"]),
        (
            {"model_type": "qwen3", "max_position_embeddings": 40960},
            {"chat_template": "{% if tools %}{% endif %}{% if enable_thinking %}<think>{% endif %}"},
            "qwen3",
            40960,
            ["continue", "reasoning", "tools"],
        ),
        (
            {"model_type": "qwen2", "max_position_embeddings": 32768},
            {"chat_template": "{% if tools %}{% endif %}", "model_max_length": 131072},
            "qwen2",
            32768,
            ["continue", "tools"],
        ),
        (
            {"model_type": "deepseek_v3"},
            {"chat_template": "<think>"},
            "deepseek_v3",
            8192,
            ["continue", "reasoning"],
        ),
        (
            {"model_type": "gemma3", "text_config": {"max_position_embeddings": 1024}, "vision_config": {}}
            | {"max_position_embeddings": None},
            {
                "chat_template": [
                    {"name": "default", "template": "x"},
                    {"name": "tool_use", "template": "tools"},
                ]
            },
            "gemma3",
            1024,
            ["continue", "tools", "vision"],
        ),
        ({"max_position_embeddings": None}, {"model_max_length": 1e30}, "llama", None, ["continue"]),
        ({"max_position_embeddings": None}, {"model_max_length": 512}, "llama", 512, ["continue"]),
    ],
)
def test_what_a_folder_says_of_its_model(
    make_folder: Make, config: Any, tokenizer: Any, family: str, context: int | None, capabilities: list[str]
) -> None:
    facts = folder_inspect(str(make_folder(config=config, tokenizer=tokenizer)))
    assert (facts.family, facts.context_length, facts.capabilities) == (family, context, capabilities)


def test_a_template_in_a_file_of_its_own_is_read(make_folder: Make) -> None:
    folder = make_folder()
    (folder / "chat_template.jinja").write_text("{% if tools %}{% endif %}")
    assert "tools" in folder_inspect(str(folder)).capabilities


def _pickles_only(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def _link(folder: Path, name: str) -> None:
    outside = folder.parent / "outside"
    outside.write_text('{"model_type": "llama"}')
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(outside)


def _folder_for(file: Path) -> None:
    file.unlink()
    file.mkdir()


def _index(folder: Path) -> None:
    weights = {"weight_map": {"a": "model.safetensors", "b": "model-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(weights))


REFUSED: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no config": (lambda f: (f / "config.json").unlink(), "config.json"),
    "broken config": (lambda f: (f / "config.json").write_text("{"), "config.json"),
    "config is a list": (lambda f: (f / "config.json").write_text("[]"), "config.json"),
    "deeply nested config": (lambda f: (f / "config.json").write_text("[" * 100_000), "config.json"),
    "config is not text": (lambda f: (f / "config.json").write_bytes(b"\xff\xfe\x00"), "config.json"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "safetensors"),
    "pickles only": (_pickles_only, "pickles"),
    "weights cut short": (lambda f: (f / "model.safetensors").write_bytes(safetensors()[:-1]), "whole"),
    "an LFS pointer": (lambda f: (f / "model.safetensors").write_text("version https://git-lfs"), "whole"),
    "empty weights": (lambda f: (f / "model.safetensors").write_bytes(b""), "whole"),
    "a shard is missing": (_index, "model-00002.safetensors"),
    "config is a folder": (lambda f: _folder_for(f / "config.json"), "config.json"),
    "a pipe": (lambda f: os.mkfifo(f / "model-00002.safetensors"), "plain file"),
    "a link to nothing": (lambda f: (f / "x").symlink_to(f / "nothing"), "plain file"),
    "config leads out": (lambda f: _link(f, "config.json"), "leads out"),
    "weights lead out": (lambda f: _link(f, "model.safetensors"), "leads out"),
    "an extra link leads out": (lambda f: _link(f, "notes.txt"), "leads out"),
    "code in config": (
        lambda f: (f / "config.json").write_text('{"auto_map": {"AutoModel": "m.M"}}'),
        "auto_map",
    ),
    "code in a nested config": (
        lambda f: (f / "config.json").write_text('{"text_config": {"auto_map": {}}}'),
        "auto_map",
    ),
    "code in the tokenizer": (
        lambda f: (f / "tokenizer_config.json").write_text('{"auto_map": {"AutoTokenizer": ["t.T", null]}}'),
        "auto_map",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_folder_is_refused_with_the_reason(make_folder: Make, case: str) -> None:
    spoil, word = REFUSED[case]
    folder = make_folder()
    folder_inspect(str(folder))
    spoil(folder)
    with pytest.raises(AppError) as refusal:
        folder_inspect(str(folder))
    assert refusal.value.code == "invalid_model_folder"
    assert word in refusal.value.message


@pytest.mark.parametrize("path", ["relative/path", "/nowhere/at/all", "/etc/passwd", "/" + "a" * 300, "/"])
def test_a_path_that_is_no_folder_is_refused(path: str) -> None:
    with pytest.raises(AppError, match=r"path|folder"):
        folder_inspect(path)


def test_a_folder_full_of_files_is_not_walked_for_ever(
    make_folder: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_folder()
    monkeypatch.setattr(model_folder, "MOST_FILES", 1)
    with pytest.raises(AppError, match="too many"):
        folder_inspect(str(folder))


def test_pickles_beside_safetensors_do_no_harm(make_folder: Make) -> None:
    folder = make_folder()
    (folder / "pytorch_model.bin").write_bytes(b"pickle")
    assert folder_inspect(str(folder)).family == "llama"


def test_a_hub_cache_with_its_links_is_a_model_folder(tmp_path: Path, make_folder: Make) -> None:
    entry = tmp_path / "models--org--name"
    blobs, snapshot = entry / "blobs", entry / "snapshots" / "abc"
    blobs.mkdir(parents=True)
    snapshot.mkdir(parents=True)
    for file in make_folder().iterdir():
        file.rename(blobs / file.name)
        (snapshot / file.name).symlink_to(blobs / file.name)
    assert folder_inspect(str(snapshot)).family == "llama"
