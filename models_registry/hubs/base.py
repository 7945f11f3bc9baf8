"""What a hub of models is to us: search, one repository's files with sizes and hashes, and bytes of a file.

Both hubs are read through their own client libraries; fetching whole files is the downloads' part, which
takes `Hub.address` and keeps its own `.part`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class HubFile:
    """One file as the hub lists it. Nothing here is trusted: `choose` says what is wanted.

    `size` in bytes. Hashes are lower-case hex: `sha256` of the content, where the hub gives it; else
    `blob_sha1`, git's object name: sha1 of ``b"blob %d\\0" % size + content``. ModelScope gives sha256 for
    every file; Hugging Face for large (LFS) files, and the blob's name for small ones.
    """

    path: str
    size: int
    sha256: str | None = None
    blob_sha1: str | None = None
    link: bool = False


@dataclass(frozen=True)
class RepoInfo:
    """A repository at one commit. `gated`: the hub hands files only to who has agreed to its terms."""

    hub: str
    repo: str
    revision: str
    license: str | None
    files: tuple[HubFile, ...]
    gated: bool = False


@dataclass(frozen=True)
class SearchHit:
    """One line of a search; None where the hub does not say.

    `updated` is ISO 8601 in UTC, `parameters` a count, `size_bytes` of all files together.
    """

    repo: str
    name: str
    downloads: int | None = None
    likes: int | None = None
    license: str | None = None
    tags: tuple[str, ...] = ()
    updated: str | None = None
    parameters: int | None = None
    size_bytes: int | None = None


class Hub(Protocol):
    """Every call blocks, for at most the seconds in `limits`, and raises AppError.

    "hub_unreachable" (503), "repo_not_found" (404; also an unknown revision or file), "repo_gated" (403),
    "hub_busy" (429, `extra.retry_after` seconds or absent), "hub_error" (502: an answer that makes no sense).
    """

    name: str
    title: str
    endpoint: str

    def search(self, q: str, limit: int = 20) -> list[SearchHit]: ...

    def info(self, repo: str, revision: str | None = None) -> RepoInfo:
        """`revision` is a branch, a tag or a commit; the answer's is the commit that it stands for now."""
        ...

    def address(self, repo: str, revision: str, path: str) -> tuple[str, dict[str, str]]:
        """Where GET with Range finds the file, and the headers (a token among them) for that host only.

        The answer may be a redirect to another host: Authorization must not be sent there.
        """
        ...

    def read(self, repo: str, revision: str, path: str, start: int, end: int) -> bytes:
        """The bytes [start, end) of a file, fewer where it ends before; at most `limits.LONGEST_READ`."""
        ...
