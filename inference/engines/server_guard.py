"""Stands between the manager and a server that runs as its child: run as a script, standard library only.

``python -I server_guard.py NICE PROGRAM ARGUMENT...``: the program runs in a session of its own, its output
is ours. When our standard input closes (the manager asks for it, or is gone) or the program ends, everything
that it has started is ended: first asked, then killed. Its pid is the first line of the output. On Linux what
leaves the session is found too, since orphans come to us; elsewhere only the session is ended.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

#: How long the program gets to end by itself (seconds).
PATIENCE = 3.0
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


def main() -> int:
    nice, *command = sys.argv[1:]
    with suppress(OSError, AttributeError):
        os.nice(int(nice))
    # When to end is the manager's decision, and it says so by closing our input.
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    program = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=_die_with_parent
    )
    print(f"pid {program.pid}", flush=True)
    asked = _wait(program)
    if asked:
        _signal(program.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            program.wait(PATIENCE)
    _end_all(program.pid)
    if asked:
        return 0
    code = program.wait()
    print(f"ended by signal {-code}" if code < 0 else f"ended with code {code}", flush=True)
    return 1


def _wait(program: subprocess.Popen[bytes]) -> bool:
    """True when our input closed, False when the program ended."""
    wake, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while program.poll() is None:
        readable, _, _ = select.select([0, wake], [], [])
        if wake in readable:
            os.read(wake, 4096)
        elif not os.read(0, 4096):
            return True
    return False


def _end_all(session: int) -> None:
    """Kill what is left, and wait until it is gone: its memory is back then."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        _signal(session, signal.SIGKILL)
        left = _children()
        for pid in left:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.01)


def _children() -> list[int]:
    with suppress(OSError):
        return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]
    return []


def _signal(session: int, signum: int) -> None:
    with suppress(OSError):
        os.killpg(session, signum)


def _die_with_parent() -> None:
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_DFL)
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(option, value)


if __name__ == "__main__":
    sys.exit(main())
