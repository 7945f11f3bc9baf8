"""The two endpoints that follow RFCs instead of our conventions: token (RFC 6749) and revoke (RFC 7009)."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.core.exceptions import SuspiciousOperation
from django.http import QueryDict
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.exceptions import APIException, MethodNotAllowed
from rest_framework.parsers import FormParser
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import serializers, sign_in
from accounts.tokens import Tokens
from config.bodies import JSONParser
from config.errors import AppError

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_ERROR = OpenApiResponse(serializers.OAuthErrorSerializer, description="RFC 6749, 5.2")


class OAuthError(Exception):
    """`description` stays in plain ASCII and untranslated: the RFC allows nothing else there."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.error, self.description, self.status = error, description, status


class OAuthView(APIView):
    """Public clients only: no client authentication, and an Authorization header is not looked at."""

    authentication_classes: list[Any] = []
    permission_classes = [AllowAny]
    parser_classes = [FormParser, JSONParser]

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, OAuthError):
            return _error(exc.error, exc.description, exc.status)
        if isinstance(exc, AppError):
            return _refused(exc)
        if isinstance(exc, APIException) and exc.status_code in (400, 415):
            return _error("invalid_request", "The body must be form-encoded or JSON.", 400)
        if isinstance(exc, SuspiciousOperation):  # too large, or too many fields
            return _error("invalid_request", "The body is too large.", 413)
        if isinstance(exc, MethodNotAllowed):
            response = _error("invalid_request", "Send a POST.", 405)
            response["Allow"] = ", ".join(self.allowed_methods)
            return response
        return super().handle_exception(exc)


class TokenView(OAuthView):
    @extend_schema(
        operation_id="auth_token",
        request={
            "application/x-www-form-urlencoded": serializers.TokenRequestSerializer,
            "application/json": serializers.TokenRequestSerializer,
        },
        responses={200: serializers.TokensSerializer, 400: _ERROR, 429: _ERROR},
        auth=[],
    )
    def post(self, request: Request) -> Response:
        """OAuth 2.0 token endpoint. A refresh token is good for one use; the answer brings the next."""
        fields = _fields(request)
        grant = _required(fields, "grant_type")
        if grant == "password":
            tokens = sign_in.tokens_for_password(
                request._request,
                username=_required(fields, "username"),
                password=_required(fields, "password"),
            )
        elif grant == "refresh_token":
            tokens = sign_in.tokens_refresh(_required(fields, "refresh_token"))
        else:
            raise OAuthError("unsupported_grant_type", "grant_type is password or refresh_token.")
        if tokens is None:
            raise OAuthError("invalid_grant", _WRONG[grant])
        return Response(tokens_body(tokens), headers=NO_STORE)


class RevokeView(OAuthView):
    @extend_schema(
        operation_id="auth_revoke",
        request={
            "application/x-www-form-urlencoded": serializers.RevokeRequestSerializer,
            "application/json": serializers.RevokeRequestSerializer,
        },
        responses={
            200: OpenApiResponse(description="Also for a token that is unknown or ended before."),
            400: _ERROR,
        },
        auth=[],
    )
    def post(self, request: Request) -> Response:
        """Ends the sign-in that the token belongs to, with all its access and refresh tokens."""
        sign_in.token_revoke(_required(_fields(request), "token"))
        return Response({}, headers=NO_STORE)


_WRONG = {
    "password": "Username or password is wrong.",
    "refresh_token": "The refresh token is expired, used or revoked.",
}


def tokens_body(tokens: Tokens) -> dict[str, Any]:
    return asdict(tokens)


def _fields(request: Request) -> dict[str, Any]:
    """Unknown parameters are ignored, repeated ones refused (RFC 6749, 3.2)."""
    data = request.data
    if isinstance(data, QueryDict):
        if any(len(values) > 1 for _name, values in data.lists()):
            raise OAuthError("invalid_request", "A parameter is given more than once.")
        return data.dict()
    if not isinstance(data, dict):
        raise OAuthError("invalid_request", "The body must be an object.")
    return data


def _required(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        raise OAuthError("invalid_request", f"The parameter {name} is missing.")
    try:
        value.encode()
    except UnicodeEncodeError:  # half a surrogate pair, from JSON's \\ud800
        raise OAuthError("invalid_request", f"The parameter {name} is not valid Unicode.") from None
    return value


def _refused(error: AppError) -> Response:
    """The RFC's word for programs, and ours beside it for people: a reader of either shape understands it."""
    word = "temporarily_unavailable" if error.status == 429 else "invalid_grant"
    body = {"error": word, "error_description": error.code, **error.as_dict()}
    return Response(
        body, status=429 if error.status == 429 else 400, headers={**NO_STORE, **retry_after(error)}
    )


def retry_after(error: AppError) -> dict[str, str]:
    return {"Retry-After": str(error.extra["retry_after"])} if "retry_after" in error.extra else {}


def _error(error: str, description: str, status: int) -> Response:
    return Response({"error": error, "error_description": description}, status=status, headers=NO_STORE)
