"""Every failure in OpenAI's shape: ``{"error": {"message", "type", "param", "code"}}`` and its status."""

from __future__ import annotations

from typing import Any

from django.http import JsonResponse

from config.errors import AppError
from inference.errors import InferenceError

#: What the model service says, as OpenAI would: status, type, code.
_INFERENCE: dict[str, tuple[int, str, str]] = {
    "invalid_request": (400, "invalid_request_error", "invalid_value"),
    "cannot_continue": (400, "invalid_request_error", "invalid_value"),
    "context_too_long": (400, "invalid_request_error", "context_length_exceeded"),
    "model_not_found": (404, "invalid_request_error", "model_not_found"),
    "busy": (429, "rate_limit_error", "rate_limit_exceeded"),
    "unavailable": (503, "server_error", "service_unavailable"),
    "unloaded": (503, "server_error", "model_unloaded"),
    "load_failed": (503, "server_error", "model_load_failed"),
    "out_of_memory": (503, "server_error", "out_of_memory"),
}
_FAULT = (500, "server_error", "server_error")


class ApiError(Exception):
    """A refusal or failure as the client gets it."""

    def __init__(
        self, status: int, message: str, *, kind: str = "", param: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, message, param, code
        self.kind = kind or ("invalid_request_error" if status < 500 else "server_error")

    def body(self) -> dict[str, Any]:
        error = {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}
        return {"error": error}

    def response(self) -> JsonResponse:
        response = JsonResponse(self.body(), status=self.status)
        if self.status == 401:
            response["WWW-Authenticate"] = 'Bearer realm="hearth"'
        return response


def refused(param: str | None, message: str, code: str = "invalid_value") -> ApiError:
    """400 for one field of the body."""
    return ApiError(400, message, param=param, code=code)


def of_inference(error: InferenceError) -> ApiError:
    status, kind, code = _INFERENCE.get(error.code, _FAULT)
    param = error.extra.get("field")
    if error.code in ("context_too_long", "model_not_found"):
        param = "messages" if error.code == "context_too_long" else "model"
    return ApiError(status, error.message, kind=kind, param=param, code=code)


def of_app(error: AppError) -> ApiError:
    if error.status == 401:
        return ApiError(401, error.message, code="invalid_api_key")
    param = "model" if error.code in ("model_not_found", "no_model") else None
    return ApiError(error.status, error.message, param=param, code=error.code)
