"""A GGUF file as an ordinary model folder, for where no llama-server is: dequantised once, in the model's own
process, and kept under HEARTH_CACHE.

What it costs: on disk two bytes a weight (some four times a 4-bit file), once the time to write them, and in
memory what the packed engine takes of any folder. Only architectures that transformers can read
from GGUF; the others need llama-server.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from inference import gguf_header
from inference.bounded import Refused
from inference.engines import kept
from inference.errors import InferenceError

Report = Callable[[float], None]
# What ends an answer or a turn, by name, as llama.cpp looks for it: a file often names the base
# model's end token.
_ENDS = (
    "<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<end_of_turn>", "<|end|>", "<|endoftext|>", "<|end_of_text|>",
    "<｜end▁of▁sentence｜>", "</s>",
)  # fmt: skip
_ROOM = 1 << 30  # bytes that stay free on the disk
_REMEDY = "Name a llama-server in HEARTH_LLAMA_SERVER to run it."


def prepared(file: Path, report: Report) -> Path:
    """The folder, made if it is not there yet. Blocks for long. Raises load_failed, model_not_found."""
    if not file.is_file():
        raise InferenceError("model_not_found", f"There is no file {file}.")
    try:
        head = gguf_header.read_header(file)
    except Refused as error:
        raise InferenceError("load_failed", str(error)) from error
    dest = _place(file)
    if (dest / "config.json").is_file():
        return dest
    numbers = sum(tensor.numbers for tensor in head.tensors)
    dest.parent.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(dest.parent).free < 2 * numbers + _ROOM:
        message = f"{2 * numbers / 1e9:.1f} GB are needed in {dest.parent} to dequantise the file. {_REMEDY}"
        raise InferenceError("load_failed", message)
    report(0.02)
    part = dest.with_name(f"{dest.name}.{os.getpid()}.part")
    try:
        _convert(file, part)
        report(0.5)
        os.replace(part, dest)  # a folder at `dest` is whole
    except OSError as error:
        if not (dest / "config.json").is_file():  # else another process was first
            raise InferenceError("load_failed", f"The file could not be dequantised: {error}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return dest


def _place(file: Path) -> Path:
    """By what the file is now: one that is exchanged gets a new folder."""
    stat = file.resolve().stat()
    told = f"{file.resolve()} {stat.st_size} {stat.st_mtime_ns}"
    return kept.folder() / "gguf" / f"{file.stem[:80]}-{hashlib.sha256(told.encode()).hexdigest()[:16]}"


def _convert(file: Path, part: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    shutil.rmtree(part, ignore_errors=True)
    where: dict[str, Any] = {"gguf_file": file.name, "local_files_only": True, "trust_remote_code": False}
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(str(file.parent), **where)
        model: Any = AutoModelForCausalLM.from_pretrained(
            str(file.parent),
            quantization_config=GgufConfig(gguf_file=file.name, dequantize=True),
            dtype=torch.bfloat16,
            **where,
        )
    except (ValueError, KeyError, NotImplementedError, ImportError) as error:
        text = " ".join(str(error).split())[:200]
        raise InferenceError(
            "load_failed", f"This GGUF cannot be dequantised here: {text}. {_REMEDY}"
        ) from error
    vocabulary = tokenizer.get_vocab()
    ends = [vocabulary[name] for name in _ENDS if name in vocabulary]
    if tokenizer.eos_token_id is not None and tokenizer.eos_token_id not in ends:
        ends.append(tokenizer.eos_token_id)
    if ends:
        model.generation_config.eos_token_id = ends
    # The weights are plain now; an entry that was left would send the loader after the GGUF.
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.save_pretrained(part, safe_serialization=True)
    tokenizer.save_pretrained(part)
