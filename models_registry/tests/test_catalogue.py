"""The catalogue's figures hold together, and both hubs are named."""

from __future__ import annotations

import re

import pytest

from models_registry import catalogue
from models_registry.hubs import naming

ALL = catalogue.entries()
KNOWN = {"continue", "reasoning", "tools", "vision"}


def test_each_family_that_people_ask_for_is_there():
    ids = {entry.id for entry in ALL}
    assert len(ids) == len(ALL)
    for id in (
        "qwen3-0.6b", "qwen3-32b", "qwen2.5-7b-instruct", "qwen2.5-coder-7b-instruct",
        "deepseek-r1-distill-qwen-7b", "deepseek-v3.1", "deepseek-chat", "smollm2-135m-instruct",
        "llama-3.1-8b-instruct", "gemma-3-4b-it",
    ):  # fmt: skip
        assert id in ids


@pytest.mark.parametrize("entry", ALL, ids=lambda entry: entry.id)
def test_an_entry_can_be_got_and_its_figures_are_of_one_model(entry: catalogue.Entry):
    assert set(entry.capabilities) <= KNOWN and entry.languages and entry.license and entry.context_length
    if entry.remote is not None:
        assert re.fullmatch(r"https://[a-z.]+", entry.remote["base_url"]) and entry.needed_bytes == 0
        return
    for repo in (entry.modelscope, entry.huggingface):
        assert repo is not None
        naming.check("A hub", repo)
    width = entry.size_bytes / entry.parameters
    assert width == 2 or 1 < width < 1.01, "16 bits a parameter, or 8 and some that are not"
    assert entry.kv_numbers > 0
    assert entry.needed_bytes == entry.size_bytes + 4096 * 2 * entry.kv_numbers + 256 * 2**20


def test_what_is_said_beside_an_entry_is_a_sentence():
    for entry in ALL:
        note = catalogue.body(entry)["note"]
        assert note == "" or re.fullmatch(r"[A-Z].*\.", note)
    assert "kv_numbers" not in catalogue.body(ALL[0])
