"""The name of this process as an owner of turns, and whether another owner is gone."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path


def _started(pid: int) -> str:
    """When `pid` started, as an opaque word; "" when it does not run. Ids alone are used again."""
    if sys.platform == "linux":
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return ""
        return "" if fields[0] in "ZX" else fields[19]
    import psutil

    try:
        return str(psutil.Process(pid).create_time())
    except psutil.Error:
        return ""


HOST = socket.gethostname()[:80].replace("|", "_")
OWNER = f"{HOST}|{os.getpid()}|{_started(os.getpid())}"


def is_gone(owner: str) -> bool:
    """True when `owner` ran on this host and runs no more; of other hosts only the lease can tell."""
    if not owner:
        return True
    host, _, rest = owner.partition("|")
    pid, _, started = rest.partition("|")
    return host == HOST and pid.isdigit() and _started(int(pid)) != started
