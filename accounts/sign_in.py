"""Signing in, staying signed in, signing out. Writes: families and their refresh tokens."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.contrib.auth import authenticate
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from accounts import tokens
from accounts.ids import new_id
from accounts.models import RefreshToken, TokenFamily, User
from accounts.services import family_end

GRACE = timedelta(seconds=10)


def tokens_for_password(request: HttpRequest, *, username: str, password: str) -> tokens.Tokens | None:
    """None when name or password is wrong; AppError when the door is closed for another reason."""
    user = authenticate(request, username=username, password=password)
    return sign_in(user=user, user_agent=user_agent(request)) if isinstance(user, User) else None


@transaction.atomic
def sign_in(*, user: User, user_agent: str = "") -> tokens.Tokens:
    """A new family with its first refresh token."""
    family = TokenFamily.objects.create(user=user, user_agent=user_agent)
    row = tokens.refresh_new(family.pk)
    row.save(force_insert=True)
    User.objects.filter(pk=user.pk).update(last_login=timezone.now())
    return tokens.tokens_sign(row, user.pk)


def tokens_refresh(raw: str) -> tokens.Tokens | None:
    """The successor of a refresh token; None when it is not good (any more).

    A token is used once: one conditional UPDATE decides between any number of parallel requests. Within GRACE
    the losers are given the same successor; a token that comes back later was copied, so its family ends
    (RFC 9700, 4.14.2).
    """
    claims = tokens.refresh_verify(raw)
    return _refresh(claims) if claims is not None else None


def token_revoke(raw: str) -> None:
    """The whole family of the token stops. What is not a token of ours is no error (RFC 7009, 2.2)."""
    claims = tokens.refresh_verify(raw) or tokens.access_verify(raw)
    if claims is not None:
        with transaction.atomic():
            family_end(family_id=claims.family_id)


def user_agent(request: HttpRequest) -> str:
    return str(request.META.get("HTTP_USER_AGENT", ""))[:255]


@transaction.atomic
def _refresh(claims: tokens.Claims) -> tokens.Tokens | None:
    successor_jti = new_id()
    now = timezone.now()
    first = RefreshToken.objects.filter(jti=claims.jti, family_id=claims.family_id, used_at=None).update(
        used_at=now, successor_jti=successor_jti
    )
    family = TokenFamily.objects.select_related("user").filter(pk=claims.family_id, ended_at=None).first()
    if family is None or family.user_id != claims.user_id or not family.user.may_enter:
        return None
    if first:
        row = tokens.refresh_new(family.pk, jti=successor_jti)
        row.save(force_insert=True)
        return tokens.tokens_sign(row, family.user_id)
    return _again(claims, family, now - GRACE)


def _again(claims: tokens.Claims, family: TokenFamily, since: datetime) -> tokens.Tokens | None:
    used = RefreshToken.objects.filter(jti=claims.jti, family=family).first()
    if used is None or used.used_at is None:
        return None
    if used.used_at < since:
        family_end(family_id=family.pk)
        return None
    return tokens.tokens_sign(RefreshToken.objects.get(jti=used.successor_jti), family.user_id)
