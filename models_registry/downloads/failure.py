"""Why a download cannot go on: a code and facts, told in the reader's language (`words`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from config.errors import AppError


class Failure(Exception):
    """`code` is stable; `values` are JSON and fill the sentence of `words`."""

    def __init__(self, code: str, **values: Any) -> None:
        super().__init__(code)
        self.code = code
        self.values = values


def stored(error: Failure | AppError, **more: Any) -> dict[str, Any]:
    """What the row keeps: {"code", "values"}, and the words of an error that has its own as "message"."""
    if isinstance(error, AppError):
        return {"code": error.code, "message": error.message, "values": more}
    return {"code": error.code, "values": more | error.values}


@dataclass(frozen=True)
class Wanted:
    """One file to be had: `sha256` of the content, or `sha1` of git's blob. One of them is there."""

    path: str
    size: int
    sha256: str | None = None
    sha1: str | None = None

    @property
    def digest(self) -> str:
        return self.sha256 or self.sha1 or ""
