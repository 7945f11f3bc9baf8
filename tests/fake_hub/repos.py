"""Repositories in folders: `<root>/<owner>/<name>/…`, with what their owner says in `<owner>/<name>.json`.

That file may hold `license`, `gated` (true), `token` (who has it may read what is gated), `downloads`,
`likes`, `tags`, `parameters`, `updated`, and `listed`: entries `{path, size, sha256?, mode?}` that the list
has beside the files, for lists that lie.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: What both hubs keep in LFS, more or less: large by name, or simply large.
_LFS = (".safetensors", ".gguf", ".bin", ".pt", ".pth", ".onnx", ".h5", ".pkl", ".msgpack")
_LFS_FROM = 10_000_000
FILE, LINK = 0o100644, 0o120000


@dataclass(frozen=True)
class Entry:
    path: str
    size: int
    sha256: str
    sha1: str
    lfs: bool = False
    mode: int = FILE


@dataclass
class Repo:
    id: str
    folder: Path
    said: dict[str, Any]
    entries: list[Entry] = field(default_factory=list)

    @property
    def commit(self) -> str:
        """Another one as soon as anything in the repository is another."""
        text = repr([self.id, [(e.path, e.size, e.sha256) for e in self.entries]])
        return hashlib.sha1(text.encode()).hexdigest()

    @property
    def size(self) -> int:
        return sum(entry.size for entry in self.entries)

    def at(self, revision: str) -> bool:
        """Whether there is such a revision; only the newest commit is kept."""
        return revision in ("main", "master", "HEAD", self.commit)

    def entry(self, path: str) -> Entry | None:
        return next((entry for entry in self.entries if entry.path == path), None)

    def content(self, entry: Entry) -> Path | bytes:
        """A file's path, or the bytes of what is no file on the disk (a link, an entry that was made up)."""
        file = self.folder / entry.path
        if entry.mode == LINK and file.is_symlink():
            return os.readlink(file).encode()
        inside = os.path.normpath(file).startswith(str(self.folder) + os.sep)
        return file if inside and file.is_file() else b"\0" * min(entry.size, 1 << 20)


class Repos:
    """Read anew at each question, so a test may write files while the hub runs. Hashes are kept."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        self._hashes: dict[tuple[str, int, int], tuple[str, str]] = {}

    def all(self) -> list[Repo]:
        ids = [
            f"{owner.name}/{folder.name}"
            for owner in sorted(self.root.iterdir())
            if owner.is_dir()
            for folder in sorted(owner.iterdir())
            if folder.is_dir()
        ]
        return [repo for repo in map(self.get, ids) if repo is not None]

    def get(self, id: str) -> Repo | None:
        owner, _, name = id.partition("/")
        folder = self.root / owner / name
        if not owner or not name or "/" in name or ".." in (owner, name) or not folder.is_dir():
            return None
        said_file = self.root / owner / f"{name}.json"
        said = json.loads(said_file.read_text()) if said_file.exists() else {}
        repo = Repo(id, folder, said)
        repo.entries = [self._entry(folder, file) for file in sorted(folder.rglob("*")) if _is_content(file)]
        repo.entries += [_made_up(line) for line in said.get("listed", [])]
        return repo

    def _entry(self, folder: Path, file: Path) -> Entry:
        path = file.relative_to(folder).as_posix()
        if file.is_symlink():
            target = os.readlink(file).encode()
            return Entry(path, len(target), *_hashes(target), mode=LINK)
        stat = file.stat()
        key = (str(file), stat.st_mtime_ns, stat.st_size)
        if key not in self._hashes:
            self._hashes[key] = _hashes_of(file, stat.st_size)
        lfs = file.suffix in _LFS or stat.st_size >= _LFS_FROM
        return Entry(path, stat.st_size, *self._hashes[key], lfs=lfs)


def _is_content(file: Path) -> bool:
    return file.is_symlink() or file.is_file()


def _made_up(line: dict[str, Any]) -> Entry:
    nothing = "0" * 64
    return Entry(
        line["path"],
        line.get("size", 0),
        line.get("sha256", nothing),
        nothing[:40],
        lfs=line["path"].endswith(_LFS),
        mode=line.get("mode", FILE),
    )


def _hashes(content: bytes) -> tuple[str, str]:
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content)
    return hashlib.sha256(content).hexdigest(), blob.hexdigest()


def _hashes_of(file: Path, size: int) -> tuple[str, str]:
    sha256, blob = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % size)
    with file.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            sha256.update(chunk)
            blob.update(chunk)
    return sha256.hexdigest(), blob.hexdigest()
