"""Where a download's files lie, which names are taken at all, and how much room there is."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path, PurePosixPath

from django.conf import settings

from models_registry.downloads.failure import Failure, Wanted

#: Kept free beside what is to come: the database and the logs lie on the same disk (bytes).
SPARE = 64 << 20
_COMMIT = re.compile(r"[0-9a-f]{40}")
_LONGEST_PATH, _LONGEST_NAME = 1000, 200


def root() -> Path:
    return Path(settings.HEARTH_DATA) / "models"


def folder_of(hub: str, repo: str, revision: str, files: Sequence[Wanted]) -> Path:
    """`<data>/models/<hub>/<owner>--<name>/<commit>`.

    A branch (where a hub does not tell the commit) moves, so its folder's name also says what was in it.
    """
    name = revision
    if not _COMMIT.fullmatch(revision):
        plain = re.sub(r"[^A-Za-z0-9._-]", "-", revision).lstrip(".")[:60]
        name = f"{plain}-{key_of(hub, repo, revision, files)[:12]}"
    return root() / hub / repo.replace("/", "--") / name


def key_of(hub: str, repo: str, revision: str, files: Sequence[Wanted]) -> str:
    """What makes two downloads the same one (64 hex characters)."""
    lines = sorted(f"{file.path}\0{file.size}\0{file.digest}" for file in files)
    return sha256("\n".join([hub, repo, revision, *lines]).encode()).hexdigest()


def path_check(path: str) -> None:
    """Raises Failure("unsafe_path") unless `path` stays inside a folder, on every system."""
    parts = PurePosixPath(path).parts
    fine = (
        0 < len(path) <= _LONGEST_PATH
        and path == "/".join(parts)
        and path.isprintable()
        and not any(sign in path for sign in '\\:*?"<>|')
        and not path.endswith(".part")
        and all(part not in ("..", ".") and len(part.encode()) <= _LONGEST_NAME for part in parts)
        and not path.startswith("/")
    )
    if not fine:
        raise Failure("unsafe_path", name=path[:200].encode(errors="replace").decode())


def free_bytes(folder: Path) -> int:
    """What is free on the disk where `folder` is or will be."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


def present_bytes(folder: Path, files: Sequence[Wanted]) -> int:
    """What has come already, whole or in part."""
    return sum(min(file.size, _size(folder, file)) for file in files)


def room_check(folder: Path, files: Sequence[Wanted], promised: int = 0) -> None:
    """Raises Failure("disk_full", needed, free); `promised` bytes are to come for other downloads."""
    needed = sum(file.size for file in files) - present_bytes(folder, files)
    free = free_bytes(folder)
    if needed > 0 and needed + promised + SPARE > free:
        raise Failure("disk_full", needed=needed, free=max(0, free - promised))


def part_name(file: Wanted) -> str:
    """The hash is in the name, so bytes of another version are never gone on with."""
    return f"{PurePosixPath(file.path).name}.{file.digest[:12]}.part"


def _size(folder: Path, file: Wanted) -> int:
    whole = folder / file.path
    for path in (whole, whole.with_name(part_name(file))):
        try:
            return os.lstat(path).st_size
        except OSError:
            continue
    return 0
