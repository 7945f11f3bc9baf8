"""What a GGUF file holds, read from its head alone, and which engine runs it here."""

from __future__ import annotations

import os
import shlex
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _

from config.errors import AppError
from inference import gguf_header
from inference.bounded import Refused
from system import ways

# `general.file_type`: what most of the weights are stored in (llama.cpp's llama_ftype).
_FILE_TYPES = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S",
    12: "Q3_K_M", 13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K",
    19: "IQ2_XXS", 20: "IQ2_XS", 21: "Q2_K_S", 22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL",
    26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S", 29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16",
}  # fmt: skip


@dataclass(frozen=True)
class GgufFacts:
    path: str
    family: str
    name: str
    quantization: str
    context_length: int | None
    capabilities: list[str] = field(default_factory=list)


def gguf_inspect(path: Path) -> GgufFacts:
    """Raises AppError("invalid_model_file") with the reason. Does not check that an engine knows the
    architecture: the load will tell."""
    try:
        if not path.is_absolute():
            raise _refuse(_("Give the file's full path."))
        path = path.resolve()
        if not path.is_file():
            raise _refuse(_("There is no such file on the server."))
        found = gguf_header.read_header(path).metadata
    except Refused as refusal:
        raise _refuse(_(refusal.text) % refusal.values) from None
    except OSError:
        raise _refuse(_("The file cannot be read.")) from None
    if _count(found.get("split.count")) > 1:
        raise _refuse(_("This is one part of several; merge them with llama-gguf-split first."))
    config = gguf_header.config(found)
    if not config["model_type"] or not config.get("num_hidden_layers"):
        raise _refuse(_("The file does not say what model it holds."))
    template = found.get("tokenizer.chat_template")
    return GgufFacts(
        path=str(path),
        family=str(config["model_type"])[:64],
        name=str(found.get("general.name") or path.stem)[:128],
        quantization=_FILE_TYPES.get(_count(found.get("general.file_type"), -1), ""),
        context_length=config.get("max_position_embeddings") or None,
        capabilities=_capabilities(template if isinstance(template, str) else ""),
    )


def gguf_engine() -> str:
    """llama.cpp where its server is known to this machine, else ours, which dequantises the file."""
    if ways.WINDOWS:
        return "transformers"
    command = shlex.split(os.environ.get("HEARTH_LLAMA_SERVER", "")) or ["llama-server"]
    return "llama_cpp" if shutil.which(command[0]) else "transformers"


def _capabilities(template: str) -> list[str]:
    """By the template, as for a folder."""
    found = ["continue"]
    if "<think>" in template or "reasoning_content" in template or "enable_thinking" in template:
        found.append("reasoning")
    if "tools" in template or "tool_calls" in template:
        found.append("tools")
    return found


def _count(value: Any, unknown: int = 0) -> int:
    return value if type(value) is int else unknown


def _refuse(message: str) -> AppError:
    return AppError("invalid_model_file", message)
