"""Commands that leave nothing behind: npm, pip and pytest start children of their own."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from typing import Any

from system.children import bound, kill_group

_leaders: set[int] = set()


@contextlib.contextmanager
def group(command: list[str], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Start `command` in a process group of its own; leaving the block, however, ends the whole group.

    A pip that outlives a killed start.py would install beside that of the next one.
    """
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, **bound(), **options)
    _leaders.add(process.pid)
    try:
        yield process
    finally:
        _leaders.discard(process.pid)
        kill_group(process.pid)
        process.wait()


def end_all() -> None:
    """End the groups that are still running; who waits for one goes on."""
    for pid in list(_leaders):
        kill_group(pid)
