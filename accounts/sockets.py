"""Who is behind a WebSocket: browsers cannot send a header with it, so the token is a subprotocol."""

from __future__ import annotations

from typing import Any
from urllib.parse import SplitResult, urlsplit

from django.conf import settings
from django.http.request import HttpRequest, split_domain_port, validate_host
from django.utils.translation import get_language_from_request, get_supported_language_variant

from accounts.credentials import Credential, credential_resolve, unauthorized
from accounts.credentials import credential_valid as still_valid
from accounts.models import User

__all__ = ["PROTOCOL", "authenticate_socket", "origin_allowed", "socket_language", "still_valid"]

PROTOCOL = "chat.v1"
_DEFAULT_PORTS = {"http": "80", "https": "443"}


def authenticate_socket(scope: dict[str, Any]) -> tuple[User, Credential]:
    """From `Sec-WebSocket-Protocol: chat.v1, <token>`. AppError("unauthorized", 401).

    Queries the database, so not on the event loop.
    """
    offered = list(scope.get("subprotocols") or [])
    if len(offered) != 2 or offered[0] != PROTOCOL:
        raise unauthorized()
    return credential_resolve(offered[1])


def socket_language(scope: dict[str, Any], user: User) -> str:
    """The language to speak on this socket: the user's own choice, or what the handshake asks for."""
    try:
        return get_supported_language_variant(user.language)
    except LookupError:
        request = HttpRequest()
        request.META["HTTP_ACCEPT_LANGUAGE"] = _headers(scope).get(b"accept-language", "")
        return get_language_from_request(request)


def _headers(scope: dict[str, Any]) -> dict[bytes, str]:
    return {bytes(name).lower(): bytes(value).decode("latin-1") for name, value in scope.get("headers", [])}


def origin_allowed(scope: dict[str, Any]) -> bool:
    """Whether the page that opens this socket was served from here, or from a CSRF_TRUSTED_ORIGINS entry.

    Without an Origin it is no browser, and allowed: the token is what lets in, the origin keeps other
    sites' pages from trying.
    """
    headers = _headers(scope)
    origin = headers.get(b"origin")
    if origin is None:
        return True
    host = headers.get(b"host", "")
    if settings.USE_X_FORWARDED_HOST:
        host = headers.get(b"x-forwarded-host", host)
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return _trusted(parts) or (_same_host(parts, host) and _host_allowed(host))


def _same_host(origin: SplitResult, host: str) -> bool:
    default = _DEFAULT_PORTS.get(origin.scheme)
    if default is None or not host:
        return False
    return _with_port(origin.netloc, default) == _with_port(host, default)


def _with_port(netloc: str, default: str) -> tuple[str, str]:
    domain, port = split_domain_port(netloc)
    return domain, port or default


def _host_allowed(host: str) -> bool:
    """As for HTTP; without it a name that was rebound to this machine would be its own origin here."""
    allowed = settings.ALLOWED_HOSTS
    if settings.DEBUG and not allowed:
        allowed = [".localhost", "127.0.0.1", "[::1]"]
    domain, _ = split_domain_port(host)
    return bool(domain) and validate_host(domain, allowed)


def _trusted(origin: SplitResult) -> bool:
    """CSRF_TRUSTED_ORIGINS, whose entries may begin with a wildcard: https://*.example.org."""
    for entry in settings.CSRF_TRUSTED_ORIGINS:
        scheme, _, pattern = entry.lower().partition("://")
        if scheme == origin.scheme and validate_host(origin.netloc.lower(), [pattern.removeprefix("*")]):
            return True
    return False
