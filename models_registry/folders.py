"""What a model folder holds, read without loading it. Folders are data: nothing in them may run as code."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _

from config.errors import AppError
from inference import model_folder
from inference.bounded import Refused


@dataclass(frozen=True)
class FolderFacts:
    path: str
    family: str
    context_length: int | None
    capabilities: list[str] = field(default_factory=list)


def folder_inspect(path: str) -> FolderFacts:
    """Read and check a folder of safetensors. Raises AppError("invalid_model_folder") with the reason.

    Checks that weights are there and plain, that nothing asks for the folder's own code, that no link leads
    out and that nothing is larger than a model's can be. Does not check that the weights fit the
    architecture: the load will tell.
    """
    folder = Path(path)
    try:
        if not folder.is_absolute():
            raise _refuse(_("Give the folder's full path."))
        if not folder.is_dir():
            raise _refuse(_("There is no such folder on the server."))
        found = model_folder.inspect(folder)
        return FolderFacts(
            path=str(found.folder),
            family=str(found.config.get("model_type") or "")[:64],
            context_length=context_length_of(found.config, found.tokenizer),
            capabilities=capabilities_of(found.config, _chat_template(found.folder, found.tokenizer)),
        )
    except Refused as refusal:
        raise _refuse(_(refusal.text) % refusal.values) from None
    except OSError:
        raise _refuse(_("The folder cannot be read.")) from None


def _refuse(message: str) -> AppError:
    return AppError("invalid_model_folder", message)


def context_length_of(config: dict[str, Any], tokenizer: dict[str, Any]) -> int | None:
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
    if template.is_file():
        return template.read_text(encoding="utf-8", errors="replace")
    value = tokenizer.get("chat_template")
    value = value or model_folder.read_object(folder, "chat_template.json").get("chat_template")
    if isinstance(value, list):  # several, each {"name", "template"}
        return "\n".join(str(entry.get("template", "")) for entry in value if isinstance(entry, dict))
    return value if isinstance(value, str) else ""


def capabilities_of(config: dict[str, Any], template: str) -> list[str]:
    """By the template, not by the name: an R1 distill speaks its base model's format."""
    found = ["continue"]
    if "<think>" in template or "reasoning_content" in template or "enable_thinking" in template:
        found.append("reasoning")
    if "tools" in template or "tool_calls" in template:
        found.append("tools")
    if "vision_config" in config:
        found.append("vision")
    return found
