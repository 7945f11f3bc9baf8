"""The one error of the model service. It crosses the wire as a `failed` event or a JSON error body."""

from __future__ import annotations

from typing import Any


class InferenceError(Exception):
    """`code` is for programs, `message` for people, `retryable` says whether the same may succeed later.

    Codes: model_not_found, invalid_request, unauthorized, context_too_long, out_of_memory, engine_died,
    engine_error, unavailable, busy, cannot_continue, load_failed, malformed_output, unloaded.
    """

    def __init__(
        self, code: str, message: str, retryable: bool = False, extra: dict[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retryable = retryable
        self.extra = extra or {}

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"

    def to_event(self) -> dict[str, Any]:
        event: dict[str, Any] = {
            "kind": "failed",
            "code": self.code,
            "message": self.message,
            "retryable": self.retryable,
        }
        if self.extra:
            event["extra"] = self.extra
        return event

    @classmethod
    def from_event(cls, event: dict[str, Any]) -> InferenceError:
        return cls(
            str(event.get("code", "engine_error")),
            str(event.get("message", "")),
            bool(event.get("retryable", False)),
            event.get("extra"),
        )


def unloaded() -> InferenceError:
    """Not to be tried again: that would load what somebody just asked to unload."""
    return InferenceError("unloaded", "The model was unloaded.")
