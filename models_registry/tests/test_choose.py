"""What is taken of a repository, by its list alone."""

from __future__ import annotations

import pytest

from models_registry.hubs import limits
from models_registry.hubs.base import HubFile, RepoInfo
from models_registry.hubs.choose import Choice, quantization, wanted_files


def listed(*paths: str | HubFile) -> RepoInfo:
    files = tuple(path if isinstance(path, HubFile) else HubFile(path, 10, sha256="0" * 64) for path in paths)
    return RepoInfo("huggingface", "acme/m", "c" * 40, "mit", files)


def chosen(*paths: str | HubFile, only: list[str] | None = None) -> list[str]:
    choice = wanted_files(listed(*paths), only)
    assert choice.refused is None, choice.refused
    return sorted(file.path for file in choice.files)


def refusal(*paths: str | HubFile, only: list[str] | None = None) -> str:
    choice: Choice = wanted_files(listed(*paths), only)
    assert choice.refused is not None, choice.files
    assert choice.refused.code == "unsafe_repository" and not choice.files
    return choice.refused.message


def test_a_model_is_its_weights_config_tokenizer_template_and_licence():
    assert chosen(
        ".gitattributes", "README.md", "LICENSE", "LICENSE.txt", "config.json", "generation_config.json",
        "tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "model.safetensors",
        "pytorch_model.bin", "modeling_acme.py", "onnx/model.onnx", "original/consolidated.00.pth",
        "runs/events.out", "model.gguf", "tf_model.h5", "flax_model.msgpack",
    ) == [
        "LICENSE", "LICENSE.txt", "chat_template.jinja", "config.json", "generation_config.json",
        "model.safetensors", "tokenizer.json", "tokenizer_config.json",
    ]  # fmt: skip


def test_all_shards_and_their_index_are_taken():
    shards = [f"model-0000{n}-of-00003.safetensors" for n in (1, 2, 3)]
    index = "model.safetensors.index.json"
    assert chosen("config.json", index, *shards, "consolidated.safetensors") == sorted(
        ["config.json", index, *shards]
    )
    assert "3 parts" in refusal("config.json", index, *shards[:2])


def test_one_file_is_taken_where_there_are_two_forms_of_the_same_weights():
    paths = ["config.json", "model.safetensors", "model.fp16.safetensors", "model.safetensors.index.json"]
    shards = ["model-00001-of-00001.safetensors"]
    assert chosen(*paths, *shards) == ["config.json", "model.safetensors"]


def test_one_gguf_of_many_is_taken_the_small_good_one():
    ggufs = [f"m-{q}.gguf" for q in ("F16", "Q2_K", "Q4_K_M", "Q8_0")]
    assert chosen(*ggufs, "mmproj-F16.gguf", "config.json", "LICENSE") == ["LICENSE", "m-Q4_K_M.gguf"]
    assert chosen("m-Q2_K.gguf", "m.imatrix.gguf") == ["m-Q2_K.gguf"]


def test_another_gguf_can_be_asked_for_and_comes_with_all_its_parts():
    parts = [f"Q8_0/m-Q8_0-0000{n}-of-00002.gguf" for n in (1, 2)]
    assert chosen("m-Q4_K_M.gguf", *parts, only=[parts[0]]) == parts
    assert "2 parts" in refusal("m-Q4_K_M.gguf", parts[0], only=[parts[0]])
    both = ("config.json", "model.safetensors", "m-Q4_K_M.gguf", "README.md")
    assert chosen(*both, only=["m-Q4_K_M.gguf"]) == ["m-Q4_K_M.gguf"]
    assert chosen(*both, only=["model.safetensors", "README.md"]) == [
        "README.md",
        "config.json",
        "model.safetensors",
    ]


@pytest.mark.parametrize(
    "hostile",
    [
        "../model.safetensors", "a/../../model.safetensors", "/etc/model.safetensors", "C:/model.safetensors",
        "a\\..\\model.safetensors", "model.safetensors\0", "mod\nel.safetensors", "mod\u202eel.safetensors",
        "./model.safetensors", "a//model.safetensors", "", "x" * 300 + ".safetensors",
        "a/" * 300 + "x.safetensors",
        "model.safetensors ", "model.safetensors.", "con:model.safetensors", "\ud800.safetensors",
    ],
)  # fmt: skip
def test_no_path_leads_out_or_hides(hostile: str):
    assert refusal("config.json", hostile)
    choice = wanted_files(listed("config.json", "model.safetensors", hostile))
    assert hostile not in [file.path for file in choice.files]
    assert next(why for path, why in choice.skipped if path == hostile)
    assert refusal("config.json", "model.safetensors", hostile, only=[hostile])


def test_links_are_not_followed():
    link = HubFile("model.safetensors", 20, link=True)
    assert refusal("config.json", link)
    assert "link" in dict(wanted_files(listed("config.json", link)).skipped)["model.safetensors"]
    assert "config.json" in refusal(HubFile("config.json", 20, link=True), "model.safetensors")


@pytest.mark.parametrize("name", ["x.py", "x.PY", "x.so", "x.bin", "x.PKL", "x.pt", "x.sh", "x.html"])
def test_code_and_pickles_are_not_even_taken_when_asked_for(name: str):
    assert chosen("config.json", "model.safetensors", name) == ["config.json", "model.safetensors"]
    assert name in refusal("config.json", "model.safetensors", name, only=["model.safetensors", name])


def test_pickles_alone_are_refused_and_said():
    assert "pickles" in refusal("config.json", "pytorch_model.bin")
    assert "no weights" in refusal("config.json", "README.md")


def test_sizes_that_cannot_be_are_not_believed():
    for size in (-1, 1 << 60):
        assert refusal("config.json", HubFile("model.safetensors", size))
    assert chosen("config.json", "model.safetensors", HubFile("tokenizer.json", 1 << 40)) == [
        "config.json",
        "model.safetensors",
    ]


def test_two_names_that_one_disk_takes_for_the_same_are_one():
    assert chosen("config.json", "Config.JSON", "model.safetensors") == ["config.json", "model.safetensors"]


def test_an_endless_list_is_refused_at_once():
    many = [f"model-{n}.safetensors" for n in range(limits.MOST_FILES)]
    assert "too many" in refusal("config.json", *many)


def test_what_a_gguf_is_quantised_to_stands_in_its_name():
    names = {
        "Qwen3-0.6B-Q8_0.gguf": "Q8_0",
        "x/llama-q4_k_m.gguf": "Q4_K_M",
        "m-IQ4_XS-00001-of-00002.gguf": "IQ4_XS",
        "m-UD-Q4_K_XL.gguf": "Q4_K_XL",
        "m-bf16.gguf": "BF16",
        "Qwen3.gguf": None,
    }
    assert {name: quantization(name) for name in names} == names
