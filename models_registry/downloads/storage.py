"""One file on its way onto the disk: a `.part` that only grows, is checked as a whole, and then renamed."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import threading
from pathlib import Path

from models_registry.downloads.failure import Failure, Wanted
from models_registry.downloads.places import part_name, path_check
from system import ways

_READ = 1 << 20


class Part:
    """Held by one process at a time: a worker that lost its lease cannot write beside the next one.

    A process may die at any instant: what was written stays, and is gone on with. Links are not followed;
    the file is 0644 and owned by us.
    """

    def __init__(self, folder: Path, file: Wanted) -> None:
        path_check(file.path)
        self.file = file
        self.final = folder / file.path
        self.path = self.final.with_name(part_name(file))
        self.size = 0
        #: False once the hub gave another range than was asked for: from then on the whole is asked for.
        self.in_pieces = True
        self._folder = folder
        self._descriptor = -1

    def open(self) -> bool:
        """False while another holds it. Raises OSError, Failure."""
        _make_folders(self._folder, self.final.parent)
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | ways.PLAIN
        descriptor = os.open(self.path, flags, 0o644)
        try:
            if not ways.lock(descriptor):
                return False
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise Failure("unsafe_path", name=self.file.path)
            if not self._is_named(descriptor):
                return False  # renamed or removed between open and lock
            self._descriptor, descriptor = descriptor, -1
        finally:
            if descriptor >= 0:
                os.close(descriptor)
        self.size = os.fstat(self._descriptor).st_size
        if self.size > self.file.size:
            self.restart()
        return True

    def write(self, data: bytes) -> None:
        """At the end. Raises OSError; what fitted onto the disk counts."""
        view = memoryview(data)
        while view:
            written = os.write(self._descriptor, view)
            self.size += written
            view = view[written:]

    def restart(self) -> None:
        os.ftruncate(self._descriptor, 0)
        self.size = 0

    def is_right(self, stop: threading.Event) -> bool:
        """Whether size and hash are the hub's. Raises InterruptedError once `stop` is set."""
        return _matches(self._descriptor, self.file, stop)

    def finish(self) -> bool:
        """Onto the disk and under its own name. False when somebody took the file away under us."""
        ways.set_mode(self._descriptor, 0o644)
        os.fsync(self._descriptor)
        if not self._is_named(self._descriptor):
            return False
        if ways.WINDOWS:  # which renames no open file
            self.close()
        ways.replace(self.path, self.final)
        ways.sync_folder(self.final.parent)
        return True

    def discard(self) -> None:
        if self._is_named(self._descriptor):
            if ways.WINDOWS:  # which removes no open file
                self.close()
            self.path.unlink()

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _is_named(self, descriptor: int) -> bool:
        try:
            named = os.lstat(self.path)
        except FileNotFoundError:
            return False
        mine = os.fstat(descriptor)
        return (named.st_ino, named.st_dev) == (mine.st_ino, mine.st_dev)


def is_whole(path: Path, file: Wanted, stop: threading.Event) -> bool:
    """Whether the plain file at `path` is what the hub says. Raises InterruptedError once `stop` is set."""
    try:
        descriptor = os.open(path, os.O_RDONLY | ways.PLAIN)
    except OSError:
        return False
    try:
        return _matches(descriptor, file, stop)
    finally:
        os.close(descriptor)


def has_size(path: Path, size: int) -> bool:
    try:
        found = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_size == size


def remove(folder: Path, files: list[Wanted], *, whole: bool, below: Path) -> None:
    """Take away these files' parts (with `whole` the files too), and what is empty then, under `below`.

    A part that somebody holds stays: it is his.
    """
    for file in files:
        final = folder / file.path
        with contextlib.suppress(OSError):
            part = Part(folder, file)
            if part.path.exists() and part.open():
                part.discard()
                part.close()
        if whole:
            with contextlib.suppress(OSError):
                final.unlink()
        _remove_empty(final.parent, below)
    _remove_empty(folder, below)


def _remove_empty(folder: Path, below: Path) -> None:
    with contextlib.suppress(OSError):
        while below in folder.parents:
            folder.rmdir()
            folder = folder.parent


def _matches(descriptor: int, file: Wanted, stop: threading.Event) -> bool:
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_size != file.size:
        return False
    digest = hashlib.sha256() if file.sha256 else hashlib.sha1(b"blob %d\0" % file.size)
    os.lseek(descriptor, 0, os.SEEK_SET)
    while data := os.read(descriptor, _READ):
        if stop.is_set():
            raise InterruptedError
        digest.update(data)
    return digest.hexdigest() == file.digest


def _make_folders(top: Path, folder: Path) -> None:
    """`folder` and what is above it; below `top` no link is accepted as one."""
    missing = []
    at = folder
    while not at.exists() and not at.is_symlink():
        missing.append(at)
        at = at.parent
    for path in reversed(missing):
        with contextlib.suppress(FileExistsError):
            path.mkdir()
            ways.sync_folder(path.parent)
    for path in (folder, *folder.parents):
        if not path.is_dir() or (path.is_symlink() and (path == top or top in path.parents)):
            raise Failure("unsafe_path", name=str(folder.relative_to(top)))
        if path == top:
            return
