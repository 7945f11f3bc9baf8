"""What a load frees goes back to the system, whatever small blocks lie between."""

from __future__ import annotations

import subprocess
import sys

import pytest

from inference.engines import allocator

# Large blocks and small ones by turns, after glibc has learnt to take such blocks from its heap.
FREES = """
import ctypes, sys
from pathlib import Path
from inference.engines import allocator
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
def block(size):
    at = libc.malloc(size)
    ctypes.memset(at, 1, size)
    return at
def held():
    return int(Path("/proc/self/status").read_text().split("RssAnon:")[1].split()[0])
libc.free(block(30 << 20))
if sys.argv[1] == "load":
    allocator.before_load()
before = held()
large, small = [], []
for _ in range(200):
    large.append(block(700_000))
    small.append(block(20_000))
for at in large[::2] + large[1::2]:
    libc.free(at)
print(held() - before)
if sys.argv[1] == "load":
    allocator.after_load()
    maps = len(Path("/proc/self/maps").read_text().splitlines())
    kept = [block(700_000) for _ in range(20)]
    print(len(Path("/proc/self/maps").read_text().splitlines()) - maps)
"""


def frees(how: str) -> list[int]:
    """KB left of 144 MB of which 140 were freed; and then how many mappings twenty large blocks take."""
    run = subprocess.run([sys.executable, "-c", FREES, how], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    return [int(line) for line in run.stdout.split()]


@pytest.mark.skipif(allocator._glibc() is None, reason="glibc alone is told")
def test_what_is_freed_in_a_load_goes_back_and_later_blocks_come_from_the_heap_again() -> None:
    (usual,) = frees("usual")
    left, mappings = frees("load")
    assert usual > 100_000 and left < 8_000
    assert mappings < 5


def test_elsewhere_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr("ctypes.CDLL", None)  # must not be asked
    allocator.before_load()
    assert allocator._glibc() is None
