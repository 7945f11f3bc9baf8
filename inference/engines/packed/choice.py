"""Whether a model runs faster in int8 on this processor: measured once, then remembered."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import torch
from torch import Tensor, nn

from inference.engines.packed import linears, weights

_ROWS = (1, 16)  # one answer, and a full pack
# int8 costs some quality, so it must be worth it.
_WORTH = 0.8


def best(model: nn.Module) -> str:
    """ "int8" or "float32" for a float32 model on a processor. Takes up to half a second the first time; the
    result is kept in the folder HEARTH_CACHE, by processor, threads, torch and shapes."""
    parts = {
        (part.out_features, part.in_features): part
        for name, part in weights.known(model)
        if name != "lm_head"
    }
    if not parts or not linears.int8_works():
        return "float32"
    file = _folder() / "int8.json"
    key = f"{_processor()}, {torch.get_num_threads()} threads, torch {torch.__version__}, {sorted(parts)}"
    try:
        remembered: dict[str, float] = json.loads(file.read_text())
    except (OSError, ValueError):
        remembered = {}
    if not isinstance(remembered.get(key), float):
        remembered[key] = _ratio(list(parts.values()))
        _keep(file, remembered)
    return "int8" if remembered[key] < _WORTH else "float32"


def _ratio(parts: list[nn.Linear]) -> float:
    """Time of the int8 products over that of the float ones; the mean over the numbers of rows."""
    ratios = []
    with torch.inference_mode():
        made = [(linears.product([part], "float32"), linears.product([part], "int8")) for part in parts]
        for rows in _ROWS:
            spent = [0.0, 0.0]
            for part, pair in zip(parts, made, strict=True):
                x = torch.randn(rows, part.in_features)
                for i, product in enumerate(pair):
                    spent[i] += _fastest(product, x)
            ratios.append(spent[1] / spent[0])
    return round(sum(ratios) / len(ratios), 3)


def _fastest(product: linears.Product, x: Tensor) -> float:
    """Seconds; the least of many, as whatever else runs here only adds to it."""
    product(x)
    times: list[float] = []
    end = time.perf_counter() + 0.02
    while len(times) < 5 or (time.perf_counter() < end and len(times) < 200):
        began = time.perf_counter()
        product(x)
        times.append(time.perf_counter() - began)
    return min(times)


def _keep(file: Path, remembered: dict[str, float]) -> None:
    partial = file.with_suffix(f".{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(remembered, indent=1))
        partial.replace(file)
    except OSError:  # a folder that cannot be written: measured again next time
        partial.unlink(missing_ok=True)


def _folder() -> Path:
    return Path(os.environ.get("HEARTH_CACHE") or Path.home() / ".cache" / "hearth")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return f"{next(names, 'unknown processor')} ({torch.backends.cpu.get_cpu_capability()})"
