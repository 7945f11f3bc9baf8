"""How much memory there is for models, per device, and how much they take. Everything here may block."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from inference import gguf_header, model_folder
from inference.bounded import Refused
from inference.engines import fit
from inference.errors import InferenceError
from inference.protocol import ModelSpec

_UNITS = {
    "": 1,
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "KIB": 1 << 10,
    "MIB": 1 << 20,
    "GIB": 1 << 30,
}
# What is left to the rest of the machine, and to the driver of a GPU.
_LEAST_RESERVE = 512 << 20
_RESERVE_SHARE = 20


def bytes_of(text: str) -> int:
    """``"8GB"``, ``"512 MiB"`` or plain bytes. Raises ValueError."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMG]?I?B?)\s*", text.upper())
    if match is None or match[2] not in _UNITS:
        raise ValueError(f"{text!r} is no amount of memory, as 8GB or 8589934592 is")
    return int(float(match[1]) * _UNITS[match[2]])


class Memory:
    """`limit` (bytes) bounds what all models together may take of the machine's memory; without it they may
    take what is free, less a reserve. GPUs are asked through NVML."""

    def __init__(self, limit: int | None = None) -> None:
        self._limit = limit

    def device(self, spec: ModelSpec) -> str | None:
        """Where the model will hold memory that is worth counting ("cpu", "cuda:0"); None: nowhere."""
        if spec.settings.get("inline") or spec.engine == "openai":
            return None
        if spec.engine == "echo":
            return "cpu" if spec.settings.get("memory_bytes") else None
        asked = _asked(spec)
        cards = [f"cuda:{index}" for index in range(len(_gpus()))]
        if not cards or asked not in ("auto", "cuda"):
            return "cpu" if asked == "auto" else asked
        return max(cards, key=self.free)

    def devices(self, spec: ModelSpec) -> list[str]:
        """Where the model may run: the device that its settings name, else the CPU and each GPU."""
        asked = _asked(spec)
        if asked not in ("auto", "cuda") or spec.engine == "echo":
            return ["cpu"] if asked == "auto" else [asked]
        cards = [f"cuda:{index}" for index in range(len(_gpus()))]
        return ["cpu", *cards] if asked == "auto" or not cards else cards

    def total_of(self, device: str) -> int:
        return int(psutil.virtual_memory().total) if device == "cpu" else int(_gpu(device).total)

    def foresee(self, spec: ModelSpec, device: str, facts: Mapping[str, Any] | None = None) -> fit.Fit:
        """What the model would take there, from its files or from `facts`; files that are damaged give too
        small a figure. Raises InferenceError("model_not_found", "invalid_request")."""
        if spec.engine == "echo":
            return fit.Fit(int(spec.settings.get("memory_bytes") or 0), 0, 0, 0, 0)
        known = fit.Facts.given(facts) if facts is not None else fit.Facts.of(spec.source)
        return fit.foresee(known, spec.settings, device, spec.engine)

    def plan(self, spec: ModelSpec, device: str) -> fit.Fit | None:
        """What a load will take. None for a model that is larger than any card and may lie on several: it is
        not counted. Files that no load can succeed with are found out here, before anybody leaves for it.
        Raises InferenceError("model_not_found", "load_failed")."""
        plan = self.foresee(spec, device)
        _check_files(spec)
        if device == "cpu" or _asked(spec) not in ("auto", "cuda") or len(_gpus()) < 2:
            return plan
        largest = max(int(_gpu(f"cuda:{index}").total) for index in range(len(_gpus())))
        return plan if plan.total(plan.least_tokens) <= largest else None

    def budget(self, device: str, pids: Iterable[int], held: int) -> int:
        """What all models together may take of `device`: what is free, and what they hold already. `pids` are
        those of the models there, `held` is what they are counted with."""
        if device == "cpu":
            total = int(psutil.virtual_memory().total)
            room = self.free(device) + sum(self.used(pid) or 0 for pid in pids)
        else:
            total = int(_gpu(device).total)
            room = self.free(device) + held
        room = min(total, room) - max(_LEAST_RESERVE, total // _RESERVE_SHARE)
        return max(0, room if self._limit is None or device != "cpu" else min(room, self._limit))

    def free(self, device: str) -> int:
        if device != "cpu":
            return int(_gpu(device).free)
        available = int(psutil.virtual_memory().available)
        inside = _cgroup_free()
        return available if inside is None else max(0, min(available, inside))

    def used(self, pid: int) -> int | None:
        """The memory of a process and of those below it, shared pages by their share where the system tells;
        None: it is gone."""
        with suppress(psutil.Error):
            root = psutil.Process(pid)
            # A server of others has processes of its own; one of ours has none that is worth counting.
            return sum(_held(process) for process in (root, *root.children(recursive=True)))
        return None

    def is_back(self, device: str, pid: int | None, before: int, held: int) -> bool:
        """Whether what the process `pid` held is free again; `before` is what was free while it ran."""
        if pid is not None:
            with suppress(psutil.NoSuchProcess):
                if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                    return False
        # The end of a process gives back the machine's memory; a GPU's driver may come a little later.
        return device == "cpu" or self.free(device) >= before + held // 2


def _check_files(spec: ModelSpec) -> None:
    if not spec.source.get("path"):
        return
    path = Path(str(spec.source.get("path", "")))
    try:
        if path.is_dir():
            model_folder.inspect(path)
        elif path.is_file():
            gguf_header.read_header(path)
    except Refused as error:
        raise InferenceError("load_failed", str(error)) from error
    except OSError as error:
        raise InferenceError("load_failed", f"{path.name} cannot be read.") from error


def _held(process: psutil.Process) -> int:
    with suppress(psutil.NoSuchProcess):
        info = process.memory_full_info()
        return int(getattr(info, "pss", 0) or info.uss)
    return 0


def _asked(spec: ModelSpec) -> str:
    return str(spec.settings.get("device") or "auto")


def _cgroup_free() -> int | None:
    """What a container's own limit leaves (cgroup v2); file pages that can be dropped are free."""
    root = Path("/sys/fs/cgroup")
    try:
        most = (root / "memory.max").read_text().strip()
        if most == "max":
            return None
        current = int((root / "memory.current").read_text())
        pages = re.search(r"^inactive_file (\d+)$", (root / "memory.stat").read_text(), re.MULTILINE)
    except (OSError, ValueError):
        return None
    return int(most) - current + (int(pages[1]) if pages else 0)


@functools.cache
def _nvml() -> Any:
    """The library with its connection to the driver, or None."""
    try:
        import pynvml

        pynvml.nvmlInit()
        return pynvml
    except Exception:  # no library, no driver, no right to it: there is no GPU for us
        return None


@functools.cache
def _gpus() -> tuple[Any, ...]:
    """The handles of the GPUs that a child will see, in its order."""
    nvml = _nvml()
    if nvml is None:
        return ()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return tuple(nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount()))
    handles = []
    for name in filter(None, visible.split(",")):
        try:
            by_index = name.strip().isdigit()
            find = nvml.nvmlDeviceGetHandleByIndex if by_index else nvml.nvmlDeviceGetHandleByUUID
            handles.append(find(int(name) if by_index else name.strip()))
        except nvml.NVMLError:
            break  # as CUDA does: what comes after an unknown one is not seen
    return tuple(handles)


def _gpu(device: str) -> Any:
    """NVML's memory figures. Raises InferenceError("load_failed") when there is no such GPU."""
    index, gpus = int(device.partition(":")[2] or 0), _gpus()
    if index >= len(gpus):
        raise InferenceError("load_failed", f"There is no device {device}.")
    return _nvml().nvmlDeviceGetMemoryInfo(gpus[index])
