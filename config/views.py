"""The page, and the answers for addresses that lead nowhere."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache

from config.errors import AppError
from models_registry.openai_api.errors import ApiError

_MACHINES = ("/api/", "/v1/", "/ws/", "/chat/", "/healthz", "/readyz", "/metrics", "/static/")


@lru_cache(maxsize=1)
def _index(path: Path, changed_ns: int) -> str:
    return path.read_text(encoding="utf-8")


@never_cache
def page(request: HttpRequest, path: str = "") -> HttpResponse:
    """index.html of the built page, with this response's nonce."""
    index = settings.PAGE_DIST / "index.html"
    try:
        html = _index(index, index.stat().st_mtime_ns)
    except FileNotFoundError:
        return HttpResponse(
            _("The page is not built yet: cd frontend && npm install && npm run build"),
            status=503,
            content_type="text/plain; charset=utf-8",
        )
    return HttpResponse(html.replace("__CSP_NONCE__", str(request.csp_nonce)))  # type: ignore[attr-defined]


def _answer(request: HttpRequest, error: AppError) -> HttpResponse:
    if request.path.startswith("/v1/"):  # clients of OpenAI's API read no other shape
        return ApiError(error.status, error.message, code=error.code).response()
    if request.path.startswith(_MACHINES):
        return JsonResponse(error.as_dict(), status=error.status)
    return HttpResponse(error.message, status=error.status, content_type="text/plain; charset=utf-8")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, AppError("bad_request", _("The request cannot be understood.")))


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, AppError("permission_denied", _("This is not allowed."), status=403))


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if not request.path.startswith((*_MACHINES, "/admin/")):
        return page(request)
    return _answer(request, AppError("not_found", _("Not found."), status=404))


def server_error(request: HttpRequest) -> HttpResponse:
    return _answer(request, AppError("server_error", _("Something went wrong on the server."), status=500))
