"""What Windows itself has: job objects, locks, facts of a process. By ctypes, so that no package is needed.

Not run: there was no Windows to run it on. Its structures are held against their sizes, its calls against a
stand-in of kernel32 (`system/tests/test_windows.py`).
"""

from __future__ import annotations

import ctypes
import time
from typing import Any

# Microsoft's documentation of winnt.h, jobapi2.h, processthreadsapi.h and psapi.h has the names and numbers.
_KILL_ON_JOB_CLOSE = 0x2000
_EXTENDED_LIMIT_INFORMATION = 9
_QUERY_LIMITED_INFORMATION = 0x1000
_STILL_ACTIVE = 259
# A byte past any data: Windows keeps others from reading what is locked.
_LOCKED_BYTE = 1 << 62

# Not ctypes.wintypes, whose DWORD has eight bytes where this is tested.
_DWORD, _SIZE, _HANDLE = ctypes.c_uint32, ctypes.c_size_t, ctypes.c_void_p


class _BasicLimits(ctypes.Structure):
    _fields_ = [
        ("PerProcessUserTimeLimit", ctypes.c_int64),
        ("PerJobUserTimeLimit", ctypes.c_int64),
        ("LimitFlags", _DWORD),
        ("MinimumWorkingSetSize", _SIZE),
        ("MaximumWorkingSetSize", _SIZE),
        ("ActiveProcessLimit", _DWORD),
        ("Affinity", _SIZE),
        ("PriorityClass", _DWORD),
        ("SchedulingClass", _DWORD),
    ]


class _ExtendedLimits(ctypes.Structure):
    _fields_ = [
        ("BasicLimitInformation", _BasicLimits),
        ("IoInfo", ctypes.c_uint64 * 6),
        ("ProcessMemoryLimit", _SIZE),
        ("JobMemoryLimit", _SIZE),
        ("PeakProcessMemoryUsed", _SIZE),
        ("PeakJobMemoryUsed", _SIZE),
    ]


class _MemoryCounters(ctypes.Structure):
    _fields_ = [("cb", _DWORD), ("PageFaultCount", _DWORD)] + [
        (name, _SIZE)
        for name in (
            "PeakWorkingSetSize", "WorkingSetSize", "QuotaPeakPagedPoolUsage", "QuotaPagedPoolUsage",
            "QuotaPeakNonPagedPoolUsage", "QuotaNonPagedPoolUsage", "PagefileUsage", "PeakPagefileUsage",
        )
    ]  # fmt: skip


_kernel: Any = None
_job: int | None = None  # held until this process ends, and that end is the end of all in it


def kernel32() -> Any:
    """With the types of what is called: a handle is cut to four bytes otherwise."""
    global _kernel
    if _kernel is None:
        windows_own: Any = ctypes
        _kernel = _typed(windows_own.WinDLL("kernel32", use_last_error=True))
    return _kernel


def _typed(library: Any) -> Any:
    for name, result, arguments in (
        ("CreateJobObjectW", _HANDLE, [_HANDLE, ctypes.c_wchar_p]),
        ("SetInformationJobObject", ctypes.c_int, [_HANDLE, ctypes.c_int, _HANDLE, _DWORD]),
        ("AssignProcessToJobObject", ctypes.c_int, [_HANDLE, _HANDLE]),
        ("GetCurrentProcess", _HANDLE, []),
        ("OpenProcess", _HANDLE, [_DWORD, ctypes.c_int, _DWORD]),
        ("CloseHandle", ctypes.c_int, [_HANDLE]),
        ("GetExitCodeProcess", ctypes.c_int, [_HANDLE, _HANDLE]),
        ("GetProcessTimes", ctypes.c_int, [_HANDLE] * 5),
        ("K32GetProcessMemoryInfo", ctypes.c_int, [_HANDLE, _HANDLE, _DWORD]),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def bind() -> None:
    """Put this process into a job: all that it starts is in it too, and ends when this process does, however.
    Raises OSError. May be called again."""
    global _job
    if _job is not None:
        return
    kernel = kernel32()
    job = kernel.CreateJobObjectW(None, None)
    limits = _ExtendedLimits()
    limits.BasicLimitInformation.LimitFlags = _KILL_ON_JOB_CLOSE
    size = ctypes.sizeof(limits)
    if (
        not job
        or not kernel.SetInformationJobObject(job, _EXTENDED_LIMIT_INFORMATION, ctypes.byref(limits), size)
        or not kernel.AssignProcessToJobObject(job, kernel.GetCurrentProcess())
    ):
        raise OSError(f"no job object could be made (error {_last_error()})")
    _job = job


def _last_error() -> int:
    return int(ctypes.get_last_error())  # type: ignore[attr-defined,unused-ignore]


def lock(descriptor: int, wait: bool) -> bool:
    """As `ways.lock`. msvcrt gives up after 10 s when it is told to wait, so it is asked again."""
    import msvcrt
    import os

    calls: Any = msvcrt
    here = os.lseek(descriptor, 0, os.SEEK_CUR)
    try:
        while True:
            os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
            try:
                calls.locking(descriptor, calls.LK_NBLCK, 1)
                return True
            except OSError:
                if not wait:
                    return False
            time.sleep(0.1)
    finally:
        os.lseek(descriptor, here, os.SEEK_SET)


def started(pid: int) -> str | None:
    """When `pid` started, in 100 ns since 1601; None when it does not run."""
    kernel = kernel32()
    handle = kernel.OpenProcess(_QUERY_LIMITED_INFORMATION, 0, pid)
    if not handle:
        return None
    try:
        code, times = _DWORD(), [ctypes.c_uint64() for _ in range(4)]
        if not kernel.GetExitCodeProcess(handle, ctypes.byref(code)) or code.value != _STILL_ACTIVE:
            return None
        if not kernel.GetProcessTimes(handle, *map(ctypes.byref, times)):
            return None
        return str(times[0].value)
    finally:
        kernel.CloseHandle(handle)


def rss_bytes(pid: int) -> int:
    """0 when it does not run or is not ours."""
    kernel = kernel32()
    handle = kernel.OpenProcess(_QUERY_LIMITED_INFORMATION, 0, pid)
    if not handle:
        return 0
    try:
        counters = _MemoryCounters()
        counters.cb = ctypes.sizeof(counters)
        if not kernel.K32GetProcessMemoryInfo(handle, ctypes.byref(counters), counters.cb):
            return 0
        return int(counters.WorkingSetSize)
    finally:
        kernel.CloseHandle(handle)
