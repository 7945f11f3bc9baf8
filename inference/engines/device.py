"""Where a model's weights go, and in which dtype they are there.

Checked with stand-ins for `torch.cuda` only. Not run on a GPU: the choice among several cards, the spread
over them, float16 on cards before compute capability 8.0.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass

import psutil
import torch

from inference.errors import InferenceError

DTYPES = ("auto", "float32", "bfloat16", "float16", "int8")
# What a card or the main memory keeps for activations and the KV cache, as a share of the weights.
_HEADROOM = 1.1
# Bytes beside the weights: a tokenizer that gets no memory ends the whole process (its library is in Rust).
_TOKENIZER = 256 << 20


@dataclass(frozen=True)
class Place:
    """`device` is "cpu", "cuda:1", ...; with `spread` the weights lie on all cards that are visible, at most
    `limits` bytes on each, and `device` is where the embeddings are."""

    device: str
    spread: bool = False
    limits: dict[int, int] | None = None


def wanted_device(setting: str) -> torch.device:
    """What the setting means on this machine, before it is asked whether that card exists and has room."""
    if setting in ("", "auto"):
        setting = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return torch.device(setting)
    except RuntimeError as error:
        raise InferenceError("load_failed", f"There is no device {setting!r}.") from error


def choose_device(setting: str, need: int) -> Place:
    """`setting`: "" or "auto" (a GPU when there is one), "cpu", "cuda" (any card), "cuda:1" (that card).
    Numbers count the cards that CUDA_VISIBLE_DEVICES shows. `need`: bytes of the weights.

    Raises load_failed for a device that is not there, out_of_memory when the weights are known not to fit.
    """
    device = wanted_device(setting)
    name = str(device)
    if device.type == "cpu":
        _check(need, _main_memory(), "for this process there are")
        return Place("cpu")
    if device.type != "cuda":
        return Place(str(device))
    if not torch.cuda.is_available():
        raise InferenceError("load_failed", f"{name} was asked for, and PyTorch sees no GPU here.")
    cards = torch.cuda.device_count()
    if device.index is None:
        return _choose_card(need, cards)
    if device.index >= cards:
        raise InferenceError("load_failed", f"{name} was asked for, and PyTorch sees {cards} GPU(s) here.")
    _check(need, _free(device.index), f"{name} has")
    return Place(name)


def choose_dtype(setting: str, device: str) -> str:
    """The dtype's name; "int8" stays what it is. Raises load_failed for one that is not known.

    auto on a CPU is float32: going on from a text has to give what one pass would have given. On a GPU it is
    bfloat16, or float16 where bfloat16 is only emulated (V100, RTX 2080 Ti: compute capability below 8.0).
    """
    if (setting or "auto") not in DTYPES:
        raise InferenceError("load_failed", f"dtype is {setting!r}, and not one of {', '.join(DTYPES)}.")
    if setting and setting != "auto":
        return setting
    if torch.device(device).type != "cuda":
        return "float32"
    return "bfloat16" if torch.cuda.get_device_capability(device) >= (8, 0) else "float16"


def is_out_of_memory(error: BaseException) -> bool:
    """PyTorch and safetensors say it in several ways, most of them as a plain RuntimeError."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    text = str(error).lower()
    # The last is accelerate's: some layers found no room on the cards.
    words = ("allocate memory", "out of memory", "not enough memory", "offload_folder")
    return any(word in text for word in words)


def _choose_card(need: int, cards: int) -> Place:
    free = [_free(index) for index in range(cards)]
    best = max(range(cards), key=lambda index: free[index])
    if need * _HEADROOM <= free[best] or cards == 1:
        _check(need, free[best], "the GPU has")
        return Place(f"cuda:{best}")
    # All cards together: accelerate gives each a share of the layers.
    _check(int(need * _HEADROOM), sum(free), f"the {cards} GPUs have")
    return Place("cuda:0", True, {index: int(room / _HEADROOM) for index, room in enumerate(free)})


def _free(index: int) -> int:
    try:
        # By NVML: asking CUDA itself would take some hundred megabytes on a card that is then not used.
        return torch.cuda.get_device_properties(index).total_memory - torch.cuda.device_memory_used(index)
    except Exception:
        return int(torch.cuda.mem_get_info(index)[0])


def _main_memory() -> int:
    """Bytes: what the machine has free, or what this process may still take of its RLIMIT_AS."""
    free = int(psutil.virtual_memory().available)
    if sys.platform != "win32":
        import resource

        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit != resource.RLIM_INFINITY:
            free = min(free, limit - psutil.Process().memory_info().vms - _TOKENIZER)
    return max(0, free)


def _check(need: int, free: int, who: str) -> None:
    if need > free:
        message = f"The weights need {need / 1e9:.1f} GB, and {who} {free / 1e9:.1f} GB free."
        raise InferenceError("out_of_memory", message, extra={"need_bytes": need, "free_bytes": free})


def use_threads(setting: object) -> None:
    """How many threads a matrix product gets, for this process. Unset: PyTorch's own choice (all cores)."""
    if setting:
        torch.set_num_threads(max(1, min(int(str(setting)), os.cpu_count() or 1)))
