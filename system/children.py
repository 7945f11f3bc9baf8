"""Children: started so that they end with us, asked to end, and ended with all that they started."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from system import ways

_PR_SET_PDEATHSIG = 1


def start_bound(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
    """Start `PYTHON -m MODULE …` so that it does not outlive this process. On Linux not even this thread."""
    if not ways.WINDOWS:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, **bound(), **options)
    bind()
    python, _, *words = command
    leashed = [python, "-m", "system.leash", *words]
    return subprocess.Popen(leashed, stdin=subprocess.PIPE, **apart(), **options)


def ask_to_end(process: subprocess.Popen[bytes]) -> None:
    """A child of `start_bound` is asked to finish what it does and end."""
    if process.stdin is not None:
        process.stdin.close()  # see system/leash.py
    else:
        process.terminate()


def become(command: list[str], environ: dict[str, str]) -> int:
    """This process goes on as `command`; where none can, it waits for it and returns its exit status."""
    if not ways.WINDOWS:
        os.execve(command[0], command, environ)
    process = start_bound(command, env=environ)
    try:
        return process.wait()
    except KeyboardInterrupt:
        ask_to_end(process)
        return process.wait()


def apart() -> dict[str, Any]:
    """Options of Popen: a group of its own, that Ctrl-C here does not reach and that can be ended whole."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def bound() -> dict[str, Any]:
    """Options of Popen: `apart`, and not to outlive this process. On Linux not even this thread."""
    if ways.WINDOWS:
        bind()
        return apart()
    return {**apart(), "preexec_fn": _die_with(os.getpid())}


def kill(pid: int) -> None:
    """At once, without a word. Raises OSError."""
    os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))


def kill_group(pid: int) -> None:
    """End what was started `apart` as `pid`, with all that it has started, whoever of it is still there."""
    if sys.platform == "win32":
        subprocess.run(["taskkill", "/F", "/T", "/PID", str(pid)], capture_output=True, check=False)
    else:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)


def bind() -> None:
    """On Windows: all that this process starts from now on ends with it."""
    if sys.platform == "win32":
        from system import windows

        windows.bind()


def die_with_parent() -> None:
    """Of Linux: SIGKILL for this process when the thread that started it ends."""
    if sys.platform == "linux" and not ways.WINDOWS:
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _die_with(parent: int) -> Callable[[], None]:
    """What a child runs before its program; what it calls is looked up before the fork."""
    if sys.platform != "linux":
        return lambda: None
    prctl = ctypes.CDLL(None).prctl

    def prepare() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return prepare
