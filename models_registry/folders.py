"""What a model folder holds, read without loading it. Folders are data: nothing in them may run as code."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _

from config.errors import AppError

PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
#: Configuration files are small; a longer one is not read (bytes).
LONGEST_JSON = 64 * 1024 * 1024
LONGEST_HEADER = 100_000_000
MOST_FILES = 20_000


@dataclass(frozen=True)
class FolderFacts:
    path: str
    family: str
    context_length: int | None
    capabilities: list[str] = field(default_factory=list)


def folder_inspect(path: str) -> FolderFacts:
    """Read and check a folder of safetensors. Raises AppError("invalid_model_folder") with the reason.

    Checks that weights are there and plain, that nothing asks for the folder's own code and that no link
    leads out. Does not check that the weights fit the architecture: the load will tell.
    """
    try:
        return _inspect(Path(path))
    except OSError:
        raise _refuse(_("The folder cannot be read.")) from None


def _inspect(folder: Path) -> FolderFacts:
    if not folder.is_absolute():
        raise _refuse(_("Give the folder's full path."))
    if not folder.is_dir():
        raise _refuse(_("There is no such folder on the server."))
    folder = folder.resolve()
    if not (folder / "config.json").exists():
        raise _refuse(_("The folder has no %(name)s.") % {"name": "config.json"})
    _check_links(folder)
    config = _read_json(folder, "config.json")
    tokenizer = _read_json(folder, "tokenizer_config.json")
    if _asks_for_code(config) or _asks_for_code(tokenizer):
        raise _refuse(_("This model brings code of its own (auto_map); such code is never run here."))
    _check_weights(folder)
    return FolderFacts(
        path=str(folder),
        family=str(config.get("model_type") or "")[:64],
        context_length=_context_length(config, tokenizer),
        capabilities=_capabilities(config, _chat_template(folder, tokenizer)),
    )


def _refuse(message: str) -> AppError:
    return AppError("invalid_model_folder", message)


def _check_links(folder: Path) -> None:
    """Each file must lie in the folder; in a hub's cache, in the cache entry that the snapshot belongs to."""
    inside = folder
    if folder.parent.name == "snapshots" and folder.parent.parent.name.startswith("models--"):
        inside = folder.parent.parent
    for count, file in enumerate(folder.rglob("*")):
        if count > MOST_FILES:
            raise _refuse(_("The folder holds too many files to be a model."))
        if not (file.is_file() or file.is_dir()):  # a pipe would be waited on for ever
            raise _refuse(_("%(name)s is no plain file.") % {"name": file.name})
        if not file.resolve().is_relative_to(inside):
            raise _refuse(_("The link %(name)s leads out of the folder.") % {"name": file.name})


def _read_json(folder: Path, name: str) -> dict[str, Any]:
    """The object in this file; {} when there is no such file."""
    file = folder / name
    if not file.exists():
        return {}
    try:
        if file.stat().st_size > LONGEST_JSON:
            raise ValueError("too long")
        data = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(data, dict):
            raise ValueError("not an object")
    except (OSError, ValueError, RecursionError):
        raise _refuse(_("%(name)s cannot be read.") % {"name": name}) from None
    return data


def _asks_for_code(data: dict[str, Any]) -> bool:
    nested = [value for value in data.values() if isinstance(value, dict)]
    return "auto_map" in data or any("auto_map" in value for value in nested)


def _check_weights(folder: Path) -> None:
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        if any(file.suffix in PICKLES for file in folder.iterdir()):
            raise _refuse(
                _("The weights are pickles, which can run code. Convert them to safetensors first.")
            )
        raise _refuse(_("The folder has no .safetensors file."))
    for file in weights:
        _check_header(file)
    index = _read_json(folder, "model.safetensors.index.json").get("weight_map") or {}
    if not isinstance(index, dict):
        raise _refuse(_("%(name)s cannot be read.") % {"name": "model.safetensors.index.json"})
    missing = sorted({str(name) for name in index.values()} - {file.name for file in weights})
    if missing:
        raise _refuse(_("The weights are not complete: %(name)s is missing.") % {"name": missing[0]})


def _check_header(file: Path) -> None:
    """A safetensors file starts with the length of its JSON header (u64, little endian), then the header.

    Catches what a broken download or git without LFS leaves behind. Format: huggingface/safetensors.
    """
    try:
        with file.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            if length > LONGEST_HEADER:
                raise ValueError("not a header")
            header = json.loads(stream.read(length))
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        whole = file.stat().st_size >= 8 + length + max(ends, default=0)
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        IndexError,
        RecursionError,
        struct.error,
    ):
        whole = False
    if not whole:
        raise _refuse(_("%(name)s is not a whole safetensors file.") % {"name": file.name})


def _context_length(config: dict[str, Any], tokenizer: dict[str, Any]) -> int | None:
    """In tokens, as the architecture has it; the tokenizer's word only where the config has none.

    (Tokenizers often carry another number, or 10^30 for "no limit".)
    """
    text = config.get("text_config")
    for source in (config, text if isinstance(text, dict) else {}):
        for key in ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length"):
            value = source.get(key)
            if isinstance(value, int) and 0 < value < 2**31:
                return value
    limit = tokenizer.get("model_max_length")
    return int(limit) if isinstance(limit, (int, float)) and 0 < limit < 1e9 else None


def _chat_template(folder: Path, tokenizer: dict[str, Any]) -> str:
    template = folder / "chat_template.jinja"
    if template.is_file() and template.stat().st_size <= LONGEST_JSON:
        return template.read_text(encoding="utf-8", errors="replace")
    value = tokenizer.get("chat_template") or _read_json(folder, "chat_template.json").get("chat_template")
    if isinstance(value, list):  # several, each {"name", "template"}
        return "\n".join(str(entry.get("template", "")) for entry in value if isinstance(entry, dict))
    return value if isinstance(value, str) else ""


def _capabilities(config: dict[str, Any], template: str) -> list[str]:
    """By the template, not by the name: an R1 distill speaks its base model's format."""
    found = ["continue"]
    if "<think>" in template or "reasoning_content" in template or "enable_thinking" in template:
        found.append("reasoning")
    if "tools" in template or "tool_calls" in template:
        found.append("tools")
    if "vision_config" in config:
        found.append("vision")
    return found
