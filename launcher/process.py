"""Commands that leave nothing behind: npm, pip and pytest start children of their own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from typing import Any


def kill_group(pid: int) -> None:
    """End the process group that `pid` leads, whoever of it is still there."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


@contextlib.contextmanager
def group(command: list[str], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Start `command` in a process group of its own; leaving the block, however, ends the whole group."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, **options)
    try:
        yield process
    finally:
        kill_group(process.pid)
        process.wait()
