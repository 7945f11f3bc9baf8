"""Which ways are taken on this system: Unix' or Windows'. Elsewhere nothing asks which system this is.

|                          | Unix                                  | Windows                               |
|--------------------------|---------------------------------------|---------------------------------------|
| a model's process        | forked from a warm parent, or spawned | spawned                               |
| the model service        | a Unix socket (0600)                  | TCP on loopback, a secret per start   |
| manager and model        | a pair of Unix sockets                | a pair of TCP sockets                 |
| a child is asked to end  | by SIGTERM                            | by the end of its input               |
| our end ends a child     | by Linux' parent-death signal         | by the end of its input; a job object |
| a child's death          | is told by a signal                   | is looked for                         |
| the event loop           | uvloop                                | asyncio's own                         |
| kernels in C             | built where there is a compiler       | none                                  |
| servers of other engines | children on a Unix socket             | none: they are remote endpoints       |

HEARTH_PLATFORM=windows takes the right column on any system, which is how it is tested. What only Windows
itself has (`system/windows.py`) cannot be tried so.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

PLATFORMS = ("auto", "windows")


def _asked() -> str:
    word = os.environ.get("HEARTH_PLATFORM") or "auto"
    if word not in PLATFORMS:
        sys.exit(f"HEARTH_PLATFORM is {word!r}; it can be {' or '.join(PLATFORMS)}")
    return word


WINDOWS = sys.platform == "win32" or _asked() == "windows"
#: How long one may sleep who waits for the death of a child, or for a word from another process (seconds).
LOOK_EVERY = 0.2 if WINDOWS else 60.0
#: How long a file that somebody reads is tried to be replaced: Windows refuses meanwhile (seconds).
_REPLACE_WITHIN = 2.0


def lock(descriptor: int, *, wait: bool = False) -> bool:
    """Lock the file for this process until the descriptor is closed. False: another has it, and we do not
    wait. Raises OSError."""
    if sys.platform == "win32":
        from system import windows

        return windows.lock(descriptor, wait)
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def replace(part: Path, target: Path) -> None:
    """`part` under the name of `target`, at once. Raises OSError."""
    until = time.monotonic() + _REPLACE_WITHIN
    while True:
        try:
            os.replace(part, target)
            return
        except PermissionError:
            if not WINDOWS or time.monotonic() > until:
                raise
        time.sleep(0.01)


#: Flags of os.open: bytes as they are, no link is followed, no pipe waited for, no child inherits it.
PLAIN = sum(
    getattr(os, name, 0) for name in ("O_BINARY", "O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_NOINHERIT")
)


def set_mode(descriptor: int, mode: int) -> None:
    """Raises OSError. Windows has no such modes."""
    if sys.platform != "win32":
        os.fchmod(descriptor, mode)


def sync_folder(folder: Path) -> None:
    """A rename is on the disk once its folder is. Raises OSError. Windows opens no folders."""
    if sys.platform != "win32":
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def user() -> str:
    """A word for the user in names of folders."""
    if sys.platform == "win32":
        return os.environ.get("USERNAME", "user")
    return str(os.getuid())


def is_ours(path: Path) -> bool:
    """Whether the file belongs to this user. On Windows a folder below the user's own does."""
    if sys.platform == "win32":
        return True
    return path.stat().st_uid == os.getuid()


def python_of(environment: Path) -> Path:
    """The interpreter of a virtual environment."""
    return environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
