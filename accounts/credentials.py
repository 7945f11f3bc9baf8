"""From the string a client shows to the user behind it. One query each, since every request asks."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import tokens
from accounts.models import ApiKey, TokenFamily, User
from config.errors import AppError

KEY_PREFIX = "hk_"
_LAST_USED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True)
class Credential:
    """What a request or socket came in with; it lives as long as its family or key does."""

    kind: Literal["access", "key"]
    user_id: str
    family_id: str | None = None
    key_id: str | None = None


def unauthorized() -> AppError:
    return AppError(
        "unauthorized", _("Please sign in: the token is missing, expired or revoked."), status=401
    )


def key_hash(key: str) -> str:
    """A plain hash is enough: the key is 256 random bits, nothing to guess."""
    return hashlib.sha256(key.encode()).hexdigest()


def credential_resolve(token: str) -> tuple[User, Credential]:
    """The user of an access token or API key; AppError("unauthorized", 401) for anything else."""
    return _key_resolve(token) if token.startswith(KEY_PREFIX) else _access_resolve(token)


def credential_valid(credential: Credential) -> bool:
    """Whether it has been revoked since. The expiry of an access token is not asked."""
    who = Q(user_id=credential.user_id, user__is_active=True, user__is_approved=True)
    if credential.kind == "key":
        return ApiKey.objects.filter(who, pk=credential.key_id, revoked_at=None).exists()
    return TokenFamily.objects.filter(who, pk=credential.family_id, ended_at=None).exists()


def _access_resolve(token: str) -> tuple[User, Credential]:
    claims = tokens.access_verify(token)
    if claims is None:
        raise unauthorized()
    family = TokenFamily.objects.select_related("user").filter(pk=claims.family_id, ended_at=None).first()
    if family is None or family.user_id != claims.user_id or not family.user.may_enter:
        raise unauthorized()
    return family.user, Credential("access", family.user_id, family_id=family.pk)


def _key_resolve(token: str) -> tuple[User, Credential]:
    key = ApiKey.objects.select_related("user").filter(hash=key_hash(token), revoked_at=None).first()
    if key is None or not key.user.may_enter:
        raise unauthorized()
    _touch(key)
    return key.user, Credential("key", key.user_id, key_id=key.pk)


def _touch(key: ApiKey) -> None:
    """At most one write a minute, or a busy key would make every read a write."""
    now = timezone.now()
    if key.last_used is None or key.last_used < now - _LAST_USED_EVERY:
        ApiKey.objects.filter(pk=key.pk).update(last_used=now)
