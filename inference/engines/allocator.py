"""How glibc's malloc gets memory and gives it back, in a model's process. Elsewhere nothing happens.

It learns from what is freed: after the first large tensors it takes up to 32 MB at a time from its arenas,
where one small block that stays keeps all the pages round it. While a model is loaded that is weights that
are there for a moment only. So a large block then comes from the system, and goes back when it is freed.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_MMAP_MAX = -1, -3, -4
_MADV_PAGEOUT = 21
_LOADING = 1 << 18  # bytes from which a block is its own mapping
# The most that glibc would come to by itself: what a forward frees, the next one takes again.
_SERVING = 32 << 20
# The system allows a process 65,530 mappings; a model of many small experts must leave some.
_MOST_MAPPINGS = 32_768


def before_load() -> None:
    _set(_M_MMAP_THRESHOLD, _LOADING)
    _set(_M_MMAP_MAX, _MOST_MAPPINGS)


def after_load() -> None:
    """Gives back what the load needed for a while only."""
    _set(_M_MMAP_THRESHOLD, _SERVING)
    _set(_M_TRIM_THRESHOLD, 2 * _SERVING)  # is no longer learnt, either
    gc.collect()
    if (libc := _glibc()) is not None:
        libc.malloc_trim(0)
    _leave_files()


def _set(parameter: int, value: int) -> None:
    if (libc := _glibc()) is not None:
        libc.mallopt(parameter, value)


def _glibc() -> Any:
    """The C library of this process where it is glibc: musl has no such calls, or does nothing in them."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "gnu_get_libc_version") else None


def _leave_files() -> None:
    """A table that is used as it is stored stays in the file that is mapped, and with it all that was read of
    the file. What is needed of that comes back with its use; what was written to stays. Linux only."""
    with suppress(OSError, AttributeError, ValueError):
        call = ctypes.CDLL(None).madvise
        for line in Path("/proc/self/maps").read_text().splitlines():
            if line.endswith(".safetensors"):
                begin, end = (int(place, 16) for place in line.split()[0].split("-"))
                call(ctypes.c_void_p(begin), ctypes.c_size_t(end - begin), _MADV_PAGEOUT)
