"""What this machine is doing now. Bytes are bytes, shares are 0..1."""

from __future__ import annotations

import functools
import logging
from typing import Any

from models_registry import live
from models_registry import selectors as models
from monitoring import selectors

log = logging.getLogger(__name__)


def now() -> dict[str, Any]:
    live.board.read()
    return {
        "cpu": _cpu(),
        "memory": _memory(),
        "disk": _disk(),
        "gpus": _gpus(),
        "models": _models(),
        "processes": [
            {"role": beat.role, "pid": beat.pid, "rss_bytes": beat.rss_bytes, "seen": beat.seen.isoformat()}
            for beat in selectors.processes()
        ],
    }


def _cpu() -> dict[str, Any]:
    import psutil

    # Measured since the last call; the first one of a process has nothing to compare with.
    share = psutil.cpu_percent(interval=None if _warm() else 0.1) / 100
    return {"share": share, "cores": psutil.cpu_count() or 1, "load": list(psutil.getloadavg())}


_seen = False


def _warm() -> bool:
    global _seen
    was, _seen = _seen, True
    return was


def _memory() -> dict[str, int]:
    import psutil

    memory = psutil.virtual_memory()
    return {
        "total_bytes": memory.total,
        "used_bytes": memory.total - memory.available,
        "available_bytes": memory.available,
    }


def _disk() -> dict[str, int]:
    """Of the file system that the data folder is on."""
    import psutil

    disk = psutil.disk_usage(selectors.data_folder())
    return {"total_bytes": disk.total, "used_bytes": disk.used, "free_bytes": disk.free}


@functools.cache
def _nvml() -> Any:
    """NVIDIA's library, started once; None where there is no driver."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception as error:  # the package, the library or the driver is missing
        log.info("No NVIDIA figures: %s", error)
        return None
    return pynvml


def _gpus() -> list[dict[str, Any]]:
    nvml = _nvml()
    if nvml is None:
        return []
    try:
        return [_gpu(nvml, index) for index in range(nvml.nvmlDeviceGetCount())]
    except nvml.NVMLError as error:
        log.warning("The GPUs could not be read: %s", error)
        return []


def _gpu(nvml: Any, index: int) -> dict[str, Any]:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    try:
        share: float | None = nvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100
    except nvml.NVMLError:  # not told in MIG mode
        share = None
    name = nvml.nvmlDeviceGetName(handle)
    return {
        "index": index,
        "name": name.decode() if isinstance(name, bytes) else name,
        "share": share,
        "total_bytes": memory.total,
        "used_bytes": memory.used,
    }


def _models() -> list[dict[str, Any]]:
    fields = ("state", "progress", "device", "memory_bytes", "pid", "running", "waiting", "error")
    found = []
    for model in models.model_list(everything=True):
        state = live.board.state_of(model.id, model.name)
        found.append({"id": model.id, "name": model.name, **{name: state.get(name) for name in fields}})
    return found
