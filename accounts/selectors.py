"""Everything that reads accounts."""

from __future__ import annotations

from typing import TypedDict

from django.db.models import QuerySet

from accounts.credentials import Credential, credential_resolve, credential_valid
from accounts.models import ApiKey, SiteSettings, User

__all__ = [
    "Credential",
    "HouseState",
    "api_key_list",
    "credential_resolve",
    "credential_valid",
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


def api_key_list(*, user: User) -> QuerySet[ApiKey]:
    """Newest first, without revoked ones."""
    return ApiKey.objects.filter(user=user, revoked_at=None)
