"""The part that only Windows can run, held against the documented sizes and a stand-in of kernel32."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import pytest

from system import windows


class Function:
    """Takes `restype` and `argtypes`, as a function of ctypes does."""

    def __init__(self, call: Callable[..., int]) -> None:
        self.call = call
        self.restype: Any = None
        self.argtypes: list[Any] = []

    def __call__(self, *words: Any) -> int:
        assert len(words) == len(self.argtypes)
        return self.call(*words)


class Kernel:
    """One process, 42, that runs while `runs`; every call is in `calls`."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.runs = True
        self.fails = ""
        self.flags = 0

    def __getattr__(self, name: str) -> Function:
        made = Function(lambda *words: self.answer(name, words))
        setattr(self, name, made)
        return made

    def answer(self, name: str, words: tuple[Any, ...]) -> int:
        self.calls.append(name)
        if name == self.fails:
            return 0
        if name == "SetInformationJobObject":
            job, kind, limits, size = words
            assert (job, kind, size) == (5, 9, ctypes.sizeof(windows._ExtendedLimits))
            self.flags = limits._obj.BasicLimitInformation.LimitFlags
        if name == "AssignProcessToJobObject":
            assert words == (5, 7)
        if name == "OpenProcess":
            return 6 if words[2] == 42 else 0
        if name == "GetExitCodeProcess":
            words[1]._obj.value = 259 if self.runs else 0
        if name == "GetProcessTimes":
            words[1]._obj.value = 133_000_000_000_000_000
        if name == "K32GetProcessMemoryInfo":
            words[1]._obj.WorkingSetSize = 1 << 33
        return {"CreateJobObjectW": 5, "GetCurrentProcess": 7}.get(name, 1)


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    made = Kernel()
    monkeypatch.setattr(windows, "_kernel", windows._typed(made))
    monkeypatch.setattr(windows, "_job", None)
    monkeypatch.setattr(windows, "_last_error", lambda: 5)
    return made


def test_the_structures_have_the_sizes_of_64_bit_windows() -> None:
    assert ctypes.sizeof(windows._BasicLimits) == 64
    assert ctypes.sizeof(windows._ExtendedLimits) == 144
    assert ctypes.sizeof(windows._MemoryCounters) == 72
    assert windows._BasicLimits.LimitFlags.offset == 16
    assert windows._MemoryCounters.WorkingSetSize.offset == 16


def test_the_job_kills_what_is_in_it_and_is_made_once(kernel: Kernel) -> None:
    windows.bind()
    windows.bind()
    assert kernel.flags == 0x2000
    assert kernel.calls == [
        "CreateJobObjectW",
        "SetInformationJobObject",
        "GetCurrentProcess",
        "AssignProcessToJobObject",
    ]


@pytest.mark.parametrize("call", ["CreateJobObjectW", "SetInformationJobObject", "AssignProcessToJobObject"])
def test_a_job_that_cannot_be_made_is_an_error(kernel: Kernel, call: str) -> None:
    kernel.fails = call
    with pytest.raises(OSError, match="error 5"):
        windows.bind()


def test_when_a_process_started(kernel: Kernel) -> None:
    assert windows.started(42) == "133000000000000000"
    assert kernel.calls[-1] == "CloseHandle"
    kernel.runs = False
    assert windows.started(42) is None
    assert windows.started(43) is None


def test_what_a_process_holds(kernel: Kernel) -> None:
    assert windows.rss_bytes(42) == 1 << 33
    assert windows.rss_bytes(43) == 0
    assert [kernel.calls.count(name) for name in ("OpenProcess", "CloseHandle")] == [2, 1]
