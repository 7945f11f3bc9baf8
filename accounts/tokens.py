"""JSON Web Tokens: what is in them, signed and read by simplejwt. Nothing here touches the database."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.tokens import AccessToken
from rest_framework_simplejwt.tokens import RefreshToken as RefreshJwt

from accounts.ids import new_id
from accounts.models import RefreshToken

FAMILY_CLAIM = "family"


@dataclass(frozen=True)
class Claims:
    jti: str
    user_id: str
    family_id: str


@dataclass(frozen=True)
class Tokens:
    """One answer of the token endpoint. `expires_in`: seconds that the access token lives."""

    access_token: str
    refresh_token: str
    expires_in: int
    token_type: str = "Bearer"


def refresh_new(family_id: str, *, jti: str | None = None) -> RefreshToken:
    """An unsaved row. Its times are whole seconds, because that is what the claims hold."""
    issued = int(time.time())
    lifetime = int(api_settings.REFRESH_TOKEN_LIFETIME.total_seconds())
    return RefreshToken(jti=jti or new_id(), family_id=family_id, issued=issued, expires=issued + lifetime)


def tokens_sign(row: RefreshToken, user_id: str) -> Tokens:
    """The refresh token is the same bytes each time it is signed; the access token beside it is a new one."""
    access = AccessToken()
    access[api_settings.USER_ID_CLAIM] = user_id
    access[FAMILY_CLAIM] = row.family_id
    lifetime = int(api_settings.ACCESS_TOKEN_LIFETIME.total_seconds())
    return Tokens(str(access), _refresh_sign(row, user_id), lifetime)


def access_verify(raw: str) -> Claims | None:
    return _read(AccessToken, raw)


def refresh_verify(raw: str) -> Claims | None:
    return _read(RefreshJwt, raw)


def _refresh_sign(row: RefreshToken, user_id: str) -> str:
    jwt = RefreshJwt()
    # Built anew in a fixed order, so that the bytes depend on the row alone.
    jwt.payload = {
        api_settings.TOKEN_TYPE_CLAIM: RefreshJwt.token_type,
        "exp": row.expires,
        "iat": row.issued,
        api_settings.JTI_CLAIM: row.jti,
        api_settings.USER_ID_CLAIM: user_id,
        FAMILY_CLAIM: row.family_id,
    }
    return str(jwt)


def _read(kind: type[AccessToken] | type[RefreshJwt], raw: str) -> Claims | None:
    """None for what is expired, of the other kind, or not signed by us."""
    try:
        payload: dict[str, Any] = kind(raw).payload  # type: ignore[arg-type]
        names = (api_settings.JTI_CLAIM, api_settings.USER_ID_CLAIM, FAMILY_CLAIM)
        jti, user_id, family_id = (payload[name] for name in names)
    except (TokenError, KeyError, ValueError):
        return None
    return Claims(str(jti), str(user_id), str(family_id))
