"""Which names of repositories and revisions are asked for at all."""

from __future__ import annotations

import re

from models_registry.hubs import failures

_REPO = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,99}")


def check(title: str, repo: str, revision: str | None = None) -> None:
    """ "owner/name", and a branch, tag or commit. Raises AppError("repo_not_found") for anything else."""
    for text, pattern in ((repo, _REPO), (revision, _REVISION)):
        if text is not None and (not pattern.fullmatch(text) or ".." in text):
            raise failures.not_found(title, f"{repo}@{revision}" if revision else repo)
