"""What all REST views share: the one error shape, strict bodies, cursor pages."""

from __future__ import annotations

import logging
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.core.exceptions import ValidationError as InvalidValue
from django.http import Http404
from django.utils.translation import gettext as _
from rest_framework import exceptions, serializers
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import set_rollback

from config.errors import AppError

log = logging.getLogger(__name__)


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """`{code, message, extra}` for everything a view may raise; what is unknown stays a logged 500."""
    found = as_app_error(error)
    if found is None:
        return None
    set_rollback()
    headers: dict[str, str] = {}
    if getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = error.auth_header  # type: ignore[attr-defined]
    wait = getattr(error, "wait", None) or found.extra.get("retry_after")
    if wait:
        headers["Retry-After"] = str(int(wait) + 1)
    return Response(found.as_dict(), status=found.status, headers=headers)


def as_app_error(error: Exception) -> AppError | None:
    if isinstance(error, AppError):
        return error
    if isinstance(error, Http404):
        return AppError("not_found", _("Not found."), status=404)
    if isinstance(error, RequestDataTooBig):
        return AppError("too_large", _("The request is too large."), status=413)
    if isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    if isinstance(error, exceptions.ValidationError):
        return AppError("invalid", _("Some fields are not right."), {"fields": field_messages(error.detail)})
    if isinstance(error, exceptions.APIException):
        code = error.default_code
        detail: Any = error.detail
        message = detail.get("detail", "") if isinstance(detail, dict) else detail
        codes = {"not_authenticated": "unauthorized", "authentication_failed": "unauthorized"}
        return AppError(codes.get(code, code), str(message), status=error.status_code)
    return None


def field_messages(detail: Any) -> dict[str, list[str]]:
    """DRF's nested detail, flattened: ``{"source.path": ["…"]}``."""
    if isinstance(detail, dict):
        found: dict[str, list[str]] = {}
        for name, inner in detail.items():
            for path, messages in field_messages(inner).items():
                found[f"{name}.{path}" if path else str(name)] = messages
        return found
    if isinstance(detail, list) and any(isinstance(item, dict | list) for item in detail):
        return field_messages({str(index): item for index, item in enumerate(detail) if item})
    return {"": [str(item) for item in (detail if isinstance(detail, list) else [detail])]}


class StrictSerializer(serializers.Serializer[Any]):
    """A body with a field we do not know is refused: a typing error must not be a silent default."""

    def to_internal_value(self, data: Any) -> Any:
        refuse_unknown(data, self.fields)
        return super().to_internal_value(data)


class StrictModelSerializer(serializers.ModelSerializer[Any]):
    def to_internal_value(self, data: Any) -> Any:
        refuse_unknown(data, self.fields)
        return super().to_internal_value(data)


def refuse_unknown(data: Any, fields: Any) -> None:
    if not isinstance(data, dict):
        return
    known = {name for name, field in fields.items() if not field.read_only}
    unknown = [name for name in data if name not in known and name != "csrfmiddlewaretoken"]
    if unknown:
        raise serializers.ValidationError({str(name): [_("There is no such field.")] for name in unknown})


class CursorPage(CursorPagination):
    """``{"results": [...], "next": url|null}``."""

    page_size = 50
    page_size_query_param = "limit"
    max_page_size = 200
    ordering = "-created"

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any] | None:
        try:
            return super().paginate_queryset(queryset, request, view)
        except InvalidValue:  # a cursor that somebody made up, which names no time
            raise exceptions.NotFound(self.invalid_cursor_message) from None

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"results": data, "next": self.get_next_link()})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        return {
            "type": "object",
            "required": ["results", "next"],
            "properties": {
                "results": schema,
                "next": {"type": "string", "nullable": True, "format": "uri"},
            },
        }


def validated(serializer: type[serializers.BaseSerializer[Any]], request: Request) -> dict[str, Any]:
    """The checked body of `request`. Raises ValidationError, or ParseError where it is no JSON."""
    checked = serializer(data=request.data, context={"request": request})
    checked.is_valid(raise_exception=True)
    return dict(checked.validated_data)
