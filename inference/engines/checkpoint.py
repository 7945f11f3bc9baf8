"""A model folder as transformers' objects: model, tokenizer, and the facts that engines ask for.

A folder is data: safetensors only, no code of the folder, no pickles, nothing from the network.
Not run on a GPU; GPTQ and AWQ folders not run at all (their packages are not installed here): what is tested
is that a missing package is named.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
import transformers
from transformers.utils import logging as library_log

from inference import model_folder
from inference.bounded import Refused, read_header, read_json
from inference.engines import fit
from inference.engines.device import (
    Place,
    choose_device,
    choose_dtype,
    is_out_of_memory,
    use_threads,
    wanted_device,
)
from inference.engines.packed import stored
from inference.engines.tokens import is_panic
from inference.errors import InferenceError
from inference.protocol import ModelSpec

Report = Callable[[float], None]
# Where the config says nothing about a longest sequence (recurrent models, T5).
_CONTEXT = 4096
_LOCAL: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}


@dataclass(frozen=True)
class Checkpoint:
    """`dtype` is that of the parameters, or "int8" when that is asked for: they are float32 then, and
    `packed.weights.prepare` makes int8 of them. `quantized` names the method of a folder whose weights are
    stored quantised ("gptq", ...), else "". `spread`: the model lies on several cards. `context_length`
    counts tokens of prompt and answer together. `ends`: token ids that end an answer."""

    model: Any
    tokenizer: Any
    device: str
    dtype: str
    context_length: int
    ends: frozenset[int]
    capabilities: dict[str, bool]
    spread: bool
    quantized: str = ""

    @property
    def memory_bytes(self) -> int:
        """Parameters and buffers, those that share memory counted once."""
        tensors = {t.data_ptr(): t for t in (*self.model.parameters(), *self.model.buffers())}
        return sum(t.numel() * t.element_size() for t in tensors.values())


def load(spec: ModelSpec, report: Report) -> Checkpoint:
    """Reads `spec.source["path"]` with the settings device, dtype, threads, context_length, telling the
    progress 0..1 by the bytes that are read. Blocks. Raises load_failed, out_of_memory."""
    folder, settings = Path(str(spec.source.get("path", ""))), spec.settings
    try:
        use_threads(settings.get("threads"))
        model_folder.inspect(folder)
        tensors = _tensors(folder)
        config: Any = transformers.AutoConfig.from_pretrained(folder, **_LOCAL)
        _own_kernels(config)
        method = _quantization(config)
        wanted, where = str(settings.get("dtype") or "auto"), str(settings.get("device") or "")
        _, need = fit.weights_bytes(fit.Facts.of(spec.source), settings, wanted_device(where).type)
        place = choose_device(where, need)
        dtype = choose_dtype(wanted, place.device)
        with ThreadPoolExecutor(1) as aside:
            # Half of the time is the tokenizer's JSON, the other half waits for memory and disk.
            reading = aside.submit(transformers.AutoTokenizer.from_pretrained, folder, **_LOCAL)
            plain = place.device == "cpu" and not method and dtype in ("float32", "int8")
            kept = stored.kept({name: tensor.dtype for name, tensor in tensors.items()}) if plain else {}
            with _progress(tensors, report), stored.loading(kept) if plain else nullcontext():
                model = _model(folder, config, place, dtype, method)
            if plain:
                stored.hold(model)
            tokenizer: Any = reading.result()
        limit = _context_length(config, tokenizer, settings.get("context_length"))
    except InferenceError:
        raise
    except Refused as refusal:
        raise InferenceError("load_failed", str(refusal)) from refusal
    except BaseException as error:  # a config or a tokenizer file that somebody made can fail in any way
        if not isinstance(error, Exception) and not is_panic(error):
            raise
        if is_out_of_memory(error):
            raise InferenceError("out_of_memory", "The model does not fit into memory.") from error
        raise InferenceError("load_failed", _reason(error)) from error
    report(1.0)
    template = str(getattr(tokenizer, "chat_template", None) or "")
    return Checkpoint(
        model, tokenizer, place.device, dtype, limit, _ends(model, tokenizer),
        {
            "continues": True,
            "reasoning": "<think>" in template,
            "tools": re.search(r"\btools\b", template) is not None,
        },
        place.spread, method if getattr(model, "hf_quantizer", None) else "",
    )  # fmt: skip


def _model(folder: Path, config: Any, place: Place, dtype: str, method: str) -> Any:
    kind = (
        transformers.AutoModelForSeq2SeqLM if config.is_encoder_decoder else transformers.AutoModelForCausalLM
    )
    options: dict[str, Any] = {"dtype": torch.float32 if dtype == "int8" else getattr(torch, dtype)}
    if place.spread:
        options |= {"device_map": "auto", "max_memory": place.limits}
    elif method or place.device != "cpu":
        options["device_map"] = {"": place.device}  # straight to the device, no copy in main memory
    model, info = cast(Any, kind).from_pretrained(
        folder, config=config, use_safetensors=True, output_loading_info=True, **options, **_LOCAL
    )
    if missing := sorted(info["missing_keys"]):
        raise InferenceError(
            "load_failed", f"Weights are missing in {folder.name}: {', '.join(missing[:3])}."
        )
    if (
        method and getattr(model, "hf_quantizer", None) is None
    ):  # the library passes over what it does not know
        raise InferenceError(
            "load_failed", f"The weights are quantised in a way that is not known: {method[:40]}."
        )
    return model.eval()


@dataclass(frozen=True)
class _Stored:
    """Where a tensor lies; `begin` and `size` in bytes, `dtype` is "BF16", "F32" ..."""

    file: Path
    begin: int
    size: int
    dtype: str

    def read(self) -> None:
        """Into the system's memory: what is only mapped would be read later, when nobody counts."""
        room = memoryview(bytearray(1 << 20))
        with self.file.open("rb", buffering=0) as file:
            file.seek(self.begin)
            left = self.size
            while left > 0 and (count := file.readinto(room[:left])):
                left -= count


def _tensors(folder: Path) -> dict[str, _Stored]:
    """Each stored tensor by its name, from the headers of the safetensors files."""
    index = folder / "model.safetensors.index.json"
    names = set(read_json(index)["weight_map"].values()) if index.is_file() else {"model.safetensors"}
    if not all((folder / name).is_file() for name in names):
        raise InferenceError("load_failed", f"{folder} has no safetensors weights, or not all of them.")
    tensors: dict[str, _Stored] = {}
    for name in sorted(names):
        _read_ahead(folder / name)
        found = read_header(folder / name)
        start = (folder / name).stat().st_size - max((tensor.end for tensor in found.values()), default=0)
        for key, tensor in found.items():
            size = tensor.end - tensor.begin
            tensors[key] = _Stored(folder / name, start + tensor.begin, size, tensor.dtype)
    return tensors


def _read_ahead(path: Path) -> None:
    """The weights are mapped and read in no order; this makes the disk read ahead."""
    if hasattr(os, "posix_fadvise"):
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_WILLNEED)


def _own_kernels(config: Any) -> None:
    """The folder may name a kernel of the hub, also for a part of the model; which one runs is decided by who
    runs the model."""
    config._attn_implementation = config._experts_implementation = None
    for name in config.sub_configs:
        if (inner := getattr(config, name, None)) is not None:
            _own_kernels(inner)


def _quantization(config: Any) -> str:
    found = getattr(config, "quantization_config", None)
    if found is None:
        return ""
    method = found.get("quant_method") if isinstance(found, dict) else getattr(found, "quant_method", None)
    return str(getattr(method, "value", method) or "unknown")


@contextmanager
def _progress(tensors: dict[str, _Stored], report: Report) -> Iterator[None]:
    """Listens to the library's own progress bar, which is there once per process: one load at a time."""
    total = sum(tensor.size for tensor in tensors.values()) or 1

    def bar(factory: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        if options.get("desc") != "Loading weights" or not args:
            return factory(*args, **{**options, "disable": True})
        return counted(args[0])

    def counted(items: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
        read = 0.0
        usual = total / max(1, len(tensors))
        for name, item in items:
            if name in tensors:
                tensors[name].read()
            yield name, item
            read += tensors[name].size if name in tensors else usual
            report(0.99 * min(1.0, read / total))

    before = library_log.set_tqdm_hook(bar)
    try:
        yield
    finally:
        library_log.set_tqdm_hook(before)


def _context_length(config: Any, tokenizer: Any, setting: object) -> int:
    text = config.get_text_config(decoder=True) if config.is_encoder_decoder else config.get_text_config()
    named = [getattr(text, name, None) for name in ("max_position_embeddings", "n_positions", "max_seq_len")]
    known = [n for n in (*named, tokenizer.model_max_length) if isinstance(n, int) and 0 < n < 1 << 40]
    limit = known[0] if known else None
    if setting in (None, "", 0):
        return limit or _CONTEXT
    asked = int(str(setting))
    if asked <= 0:
        raise InferenceError("load_failed", f"context_length is {asked}, and not a number of tokens.")
    return min(asked, limit or asked)


def _ends(model: Any, tokenizer: Any) -> frozenset[int]:
    """Both places count: some folders name the end of the text in one and the end of a turn in the other."""
    ends: set[int] = set()
    for found in (getattr(model.generation_config, "eos_token_id", None), tokenizer.eos_token_id):
        ends |= {found} if isinstance(found, int) else set(found or ())
    return frozenset(ends)


def _reason(error: BaseException) -> str:
    """One line for people. The library's texts are long and speak to who writes code with it."""
    text = " ".join(str(error).split())
    if "trust_remote_code" in text or "custom code" in text:
        return "The folder needs code of its own, and that is not run."
    if isinstance(error, ImportError) or "pip install" in text:
        return f"A package is missing: {text[:300]}"
    if "Unrecognized configuration class" in text:
        return "This is no model that writes text (no causal or sequence-to-sequence language model)."
    return text[:500] or type(error).__name__
