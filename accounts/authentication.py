"""`Authorization: Bearer <access token or API key>` for REST (RFC 6750)."""

from __future__ import annotations

from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from accounts.credentials import Credential, credential_resolve, unauthorized
from accounts.models import User
from config.errors import AppError

__all__ = ["BearerAuthentication", "Credential"]


class BearerAuthentication(BaseAuthentication):
    """`request.auth` is a Credential. One query a request, so what is revoked ends at once."""

    def authenticate(self, request: Request) -> tuple[User, Credential] | None:
        words = get_authorization_header(request).split()
        if not words or words[0].lower() != b"bearer":
            return None
        try:
            if len(words) != 2:
                raise unauthorized()
            return credential_resolve(words[1].decode("ascii", errors="replace"))
        except AppError as error:
            raise AuthenticationFailed(error.message, code=error.code) from None

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="hearth"'
