"""Everything that reads accounts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypedDict

from django.db.models import QuerySet

from accounts.credentials import Credential, credential_resolve, credential_valid
from accounts.models import ApiKey, SiteSettings, TokenFamily, User

__all__ = [
    "Credential",
    "HouseState",
    "api_key_list",
    "credential_resolve",
    "credential_valid",
    "credentials_ended",
    "has_admin",
    "house_state",
]


class HouseState(TypedDict):
    has_users: bool
    registration: str


def house_state() -> HouseState:
    """What the page must know before anyone has signed in. A house without users is open to the first."""
    has_users = User.objects.exists()
    site = SiteSettings.objects.filter(pk=SiteSettings.SINGLETON).first() if has_users else None
    return {
        "has_users": has_users,
        "registration": site.registration if site else SiteSettings.Registration.OPEN.value,
    }


def has_admin() -> bool:
    """Somebody who may do everything, and may enter."""
    return User.objects.filter(is_superuser=True, is_active=True, is_approved=True).exists()


def api_key_list(*, user: User) -> QuerySet[ApiKey]:
    """Newest first, without revoked ones."""
    return ApiKey.objects.filter(user=user, revoked_at=None)


def credentials_ended(credentials: Iterable[Credential]) -> set[Credential]:
    """Those that let nobody in any more (family or key ended, user gone or shut out); two queries at most.

    Expiry of an access token does not count: a socket belongs to its family.
    """
    asked = set(credentials)
    families = {c.family_id for c in asked if c.family_id}
    keys = {c.key_id for c in asked if c.key_id}
    alive: set[str] = set()
    entering = {"user__is_active": True, "user__is_approved": True}
    if families:
        found = TokenFamily.objects.filter(pk__in=families, ended_at=None, **entering)
        alive.update(found.values_list("pk", flat=True))
    if keys:
        found_keys = ApiKey.objects.filter(pk__in=keys, revoked_at=None, **entering)
        alive.update(found_keys.values_list("pk", flat=True))
    return {c for c in asked if (c.family_id or c.key_id) not in alive}
