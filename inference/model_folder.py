"""What a model folder may hold. It is data: nothing of it may run, lead elsewhere, or be larger than it says.

Asked by the web process before a row is written and by the model's process before a library opens a file, so
that a folder which changed in between, or came past the web, is looked at as well. Does not check that the
weights fit the architecture: the load tells. A folder that somebody changes during the load is not guarded.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference.bounded import Refused, read_header, read_json

CODE = (".py", ".pyc", ".pyo", ".pyd", ".pyx", ".so", ".dll", ".dylib")
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
MOST_FILES = 20_000
MOST_SHARDS = 1_000
DEEPEST = 16
#: Bytes. The largest tokenizers that are in use have 35 MB, templates some 30 kB.
LONGEST_TOKENIZER = 128 << 20
LONGEST_TEMPLATE = 1 << 20
_INDEX = "model.safetensors.index.json"
_TOKENIZERS = (
    "tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "merges.txt", "spiece.model",
)  # fmt: skip
# Counts of a configuration by what they count: no model has more than this of it. What is allocated by them
# is bounded by the weights that lie there, see `_check_sizes`.
_LAYERS = (
    "num_hidden_layers", "n_layer", "n_layers", "num_layers", "num_decoder_layers", "encoder_layers",
    "decoder_layers", "num_experts", "num_local_experts", "n_routed_experts", "num_attention_heads",
    "n_head", "num_key_value_heads", "num_nextn_predict_layers",
)  # fmt: skip
_WIDTHS = (
    "hidden_size", "intermediate_size", "vocab_size", "n_embd", "d_model", "d_ff", "n_inner", "head_dim",
    "moe_intermediate_size", "kv_lora_rank", "q_lora_rank", "n_positions", "max_position_embeddings",
)  # fmt: skip
_MOST = dict.fromkeys(_LAYERS, 10_000) | dict.fromkeys(_WIDTHS, 1 << 26)
# A parameter may be stored in two bits, and an estimate from two widths may be wrong by some times.
_SLACK = 16


@dataclass(frozen=True)
class Contents:
    """`config` and `tokenizer` are config.json and tokenizer_config.json ({} where there is none)."""

    folder: Path
    config: dict[str, Any]
    tokenizer: dict[str, Any]


def inspect(folder: Path) -> Contents:
    """Raises Refused with the reason; OSError when the folder cannot be read."""
    folder = folder.resolve()
    if not (folder / "config.json").exists():
        raise Refused("The folder has no %(name)s.", name="config.json")
    _check_files(folder)
    config, tokenizer = read_object(folder, "config.json"), read_object(folder, "tokenizer_config.json")
    try:
        _check_no_code(folder)
        _check_counts(config)
    except RecursionError:
        raise Refused("%(name)s cannot be read.", name="config.json") from None
    if (folder / "adapter_config.json").exists():
        raise Refused("This is an adapter: merge it into its model first.")
    for name in _TOKENIZERS:
        _check_size(folder / name, LONGEST_TOKENIZER)
    for template in (*folder.glob("*.jinja"), *folder.glob("additional_chat_templates/*")):
        _check_size(template, LONGEST_TEMPLATE)
    _check_sizes(config, *_weights(folder))
    return Contents(folder, config, tokenizer)


def read_object(folder: Path, name: str) -> dict[str, Any]:
    """The object in this file; {} when there is no such file. Raises Refused."""
    if not (folder / name).exists():
        return {}
    found = read_json(folder / name)
    if not isinstance(found, dict):
        raise Refused("%(name)s cannot be read.", name=name)
    return found


def _check_files(folder: Path) -> None:
    """Plain files and folders only, no code. Each must lie in the folder; in a hub's cache, in the cache
    entry that the snapshot belongs to."""
    inside = folder
    if folder.parent.name == "snapshots" and folder.parent.parent.name.startswith("models--"):
        inside = folder.parent.parent
    for count, file in enumerate(_walk(folder, 0)):
        if count > MOST_FILES:
            raise Refused("The folder holds too many files to be a model.")
        name = file.name.encode("utf-8", "replace").decode()
        if not (file.is_file() or file.is_dir()):  # a pipe would be waited on for ever
            raise Refused("%(name)s is no plain file.", name=name)
        if not file.resolve().is_relative_to(inside):
            raise Refused("The link %(name)s leads out of the folder.", name=name)
        if file.suffix.lower() in CODE and not file.is_dir():
            raise _brings_code(name)


def _walk(folder: Path, depth: int) -> Iterator[Path]:
    """All below `folder`; a link to a folder is given, and not followed."""
    if depth > DEEPEST:
        raise Refused("The folder is nested too deep to be a model.")
    with os.scandir(folder) as entries:
        for entry in entries:
            yield Path(entry.path)
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(Path(entry.path), depth + 1)


def _check_no_code(folder: Path) -> None:
    for file in sorted(folder.glob("*.json")):
        is_config = "config" in file.name or file.name in ("special_tokens_map.json", "added_tokens.json")
        if is_config and names_code(read_json(file)):
            raise _brings_code("auto_map")


def names_code(value: Any) -> bool:
    """Whether a configuration, at any depth, asks for code of the repository."""
    if isinstance(value, dict):
        return "auto_map" in value or any(map(names_code, value.values()))
    return isinstance(value, list) and any(map(names_code, value))


def _brings_code(what: str) -> Refused:
    return Refused("This model brings code of its own (%(what)s); such code is never run here.", what=what)


def _check_counts(config: dict[str, Any]) -> None:
    """In the configuration and in those inside it (text_config, vision_config, ...)."""
    for name, value in config.items():
        if isinstance(value, dict):
            _check_counts(value)
        elif isinstance(value, int | float) and (most := _MOST.get(name)) and not 0 <= value <= most:
            said = str(value)[:32]
            raise Refused("config.json says %(name)s is %(said)s: no model is so.", name=name, said=said)
    method = config.get("quantization_config")
    if isinstance(method, dict) and not str(method.get("quant_method", "")).replace("-", "_").isidentifier():
        raise Refused("The quantization_config of config.json names no method that is known.")


def _check_size(file: Path, most: int) -> None:
    if file.is_file() and file.stat().st_size > most:
        raise Refused("%(name)s is too large to be what it says.", name=file.name)


def _weights(folder: Path) -> tuple[int, int]:
    """How many tensors there are, and their bytes. One header after the other: all together may be large."""
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        if any(file.suffix in PICKLES for file in folder.iterdir()):
            raise Refused("The weights are pickles, which can run code. Convert them to safetensors first.")
        raise Refused("The folder has no .safetensors file.")
    index = read_object(folder, _INDEX)
    named = index.get("weight_map") if index else {}
    if not isinstance(named, dict) or not all(isinstance(name, str) for name in named.values()):
        raise Refused("%(name)s cannot be read.", name=_INDEX)
    for name in sorted(set(named.values())):
        if "/" in name or "\\" in name or name in ("", ".", ".."):
            raise Refused(
                "%(index)s names a file outside the folder: %(name)s.", index=_INDEX, name=name[:64]
            )
        if not (folder / name).is_file():
            raise Refused("The weights are not complete: %(name)s is missing.", name=name[:64])
    if len(weights) > MOST_SHARDS:
        raise Refused("The folder holds too many files to be a model.")
    count = stored = 0
    for file in weights:
        tensors = read_header(file)
        count, stored = count + len(tensors), stored + sum(t.end - t.begin for t in tensors.values())
    return count, stored


def _check_sizes(config: dict[str, Any], tensors: int, stored: int) -> None:
    """What the configuration speaks of must roughly be there: the library allocates by the configuration, and
    what no file brings it makes up."""
    text = config.get("text_config")
    source = text if isinstance(text, dict) else config
    layers, hidden = _count(source, *_LAYERS[:4]), _count(source, "hidden_size", "n_embd", "d_model")
    inner = _count(source, "intermediate_size", "n_inner", "d_ff") or hidden
    least = max(layers * hidden * min(hidden, inner), hidden * _count(source, "vocab_size"))
    if least > _SLACK * max(stored, 1 << 20) or layers > max(64, tensors):
        raise Refused("config.json speaks of a far larger model than the weights in the folder are.")


def _count(config: dict[str, Any], *names: str) -> int:
    return next((value for name in names if type(value := config.get(name)) is int), 0)
