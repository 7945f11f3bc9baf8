"""File systems on which a data folder cannot live: locks that do not hold, sockets that cannot be made."""

from __future__ import annotations

import re
from pathlib import Path

from launcher.words import t
from system import ways

#: SQLite's WAL and our own locks need a kernel that knows of every reader: these speak to another machine.
REMOTE = {"9p", "drvfs", "nfs", "nfs3", "nfs4", "cifs", "smb2", "smb3", "smbfs", "fuse.sshfs", "afs", "ncpfs"}
#: Shared with the host of a virtual machine: locks hold, sockets may not.
WITHOUT_SOCKETS = {"virtiofs", "vboxsf", "osxfs", "fakeowner", "fuse.grpcfuse", "prl_fs"}


def mounts() -> str:
    try:
        return Path("/proc/self/mounts").read_text()
    except OSError:
        return ""


def kind(path: Path, table: str) -> str:
    """The type of the file system that `path` is on, by the lines of /proc/self/mounts; '' when unknown."""
    found, longest = "", -1
    for line in table.splitlines():
        words = line.split(" ")
        if len(words) < 3:
            continue
        # Spaces and the like are written as octal numbers; a later mount hides an earlier one.
        target = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), words[1])
        if len(target) >= longest and (path == Path(target) or path.is_relative_to(target)):
            found, longest = words[2], len(target)
            if found == "9p" and "aname=drvfs" in line:
                found = "drvfs"
    return found


def problem(data: Path, table: str) -> str:
    """Why a data folder cannot be there, and what to type; '' when it can."""
    found = kind(data, table)
    if found not in REMOTE:
        return ""
    if found == "drvfs":
        hint = t("Take a folder of Linux' own, as --data ~/hearth-data (Windows sees it as \\\\wsl$).")
    else:
        hint = t(
            "Take a folder on this machine's own disk, as --data /var/tmp/hearth-{user}.", user=ways.user()
        )
    said = t(
        "{data} is on {kind}, where locks do not hold and a database would break.", data=data, kind=found
    )
    return said + "\n" + hint


def holds_sockets(folder: Path, table: str) -> bool:
    return kind(folder, table) not in REMOTE | WITHOUT_SOCKETS
