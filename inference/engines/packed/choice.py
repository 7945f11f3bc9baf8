"""Whether a model runs faster in int8 on this processor: measured once, then remembered."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import torch
from torch import Tensor, nn

from inference.engines import kept
from inference.engines.packed import linears, weights

_ROWS = (1, 16)  # one answer, and a full pack
# int8 costs some quality, so it must be worth it.
_WORTH = 0.8
_BYTES = 96 << 20


def best(model: nn.Module) -> str:
    """ "int8" or "float32" for a float32 model on a processor. Takes up to half a second the first time; the
    result is kept in the folder HEARTH_CACHE, by processor, threads, torch and shapes."""
    parts = _some(model)
    if not parts or not linears.int8_works():
        return "float32"
    file = kept.folder() / "int8.json"
    key = f"{_processor()}, {torch.get_num_threads()} threads, torch {torch.__version__}, {_shapes(parts)}"
    try:
        remembered: dict[str, float] = json.loads(file.read_text())
    except (OSError, ValueError):
        remembered = {}
    if not isinstance(remembered.get(key), float):
        remembered[key] = _ratio(parts)
        _keep(file, remembered)
    return "int8" if remembered[key] < _WORTH else "float32"


def _some(model: nn.Module) -> list[nn.Linear]:
    """The first linears, so many that a processor's cache does not hold their float32 weights."""
    parts: list[nn.Linear] = []
    for name, part in weights.known(model):
        if sum(p.weight.numel() for p in parts) * 4 >= _BYTES:
            break
        if name != "lm_head":
            parts.append(part)
    return parts


def _shapes(parts: list[nn.Linear]) -> str:
    return ", ".join(sorted({f"{part.in_features}x{part.out_features}" for part in parts}))


def _ratio(parts: list[nn.Linear]) -> float:
    """Time of the int8 products over that of the float ones; the mean over the numbers of rows."""
    ratios: list[float] = []
    with torch.inference_mode():
        kinds = [[linears.product([part], kind) for part in parts] for kind in ("float32", "int8")]
        for rows in _ROWS:
            inputs = [torch.randn(rows, part.in_features) for part in parts]
            spent = [
                min(times)
                for times in zip(*[[_pass(k, inputs) for k in kinds] for _ in range(6)], strict=True)
            ]
            ratios.append(spent[1] / spent[0])
    return round(sum(ratios) / len(ratios), 3)


def _pass(products: list[linears.Product], inputs: list[Tensor]) -> float:
    """Seconds. The least of several is taken, as whatever else runs here only adds to it."""
    began = time.perf_counter()
    for product, x in zip(products, inputs, strict=True):
        product(x)
    return time.perf_counter() - began


def _keep(file: Path, remembered: dict[str, float]) -> None:
    partial = file.with_suffix(f".{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(remembered, indent=1))
        partial.replace(file)
    except OSError:  # a folder that cannot be written: measured again next time
        partial.unlink(missing_ok=True)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return f"{next(names, 'unknown processor')} ({torch.backends.cpu.get_cpu_capability()})"
