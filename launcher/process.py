"""Commands that leave nothing behind: npm, pip and pytest start children of their own."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from typing import Any

from system.children import apart, kill_group


@contextlib.contextmanager
def group(command: list[str], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Start `command` in a process group of its own; leaving the block, however, ends the whole group."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, **apart(), **options)
    try:
        yield process
    finally:
        kill_group(process.pid)
        process.wait()
