"""The one error of the web side. Edges turn it into `{code, message, extra}` over HTTP and sockets alike.

Imports nothing of ours, so that every app may raise it.
"""

from __future__ import annotations

from typing import Any


class AppError(Exception):
    """A refusal or failure that the caller is told of.

    `code` is a stable word for programs, `message` is for people (translated where it is raised),
    `extra` holds facts that belong to it, `status` is the HTTP status.
    """

    status = 400

    def __init__(
        self, code: str, message: str, extra: dict[str, Any] | None = None, *, status: int | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.extra = extra or {}
        if status is not None:
            self.status = status

    def as_dict(self) -> dict[str, Any]:
        return {"code": self.code, "message": self.message, "extra": self.extra}


class NotFound(AppError):
    """What another user owns is answered exactly like what does not exist."""

    status = 404

    def __init__(self, message: str = "Not found.") -> None:
        super().__init__("not_found", message)
