"""Everything that writes accounts: users, the door policy, API keys."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import timedelta

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.credentials import KEY_PREFIX, key_hash
from accounts.models import ApiKey, LoginAttempt, RefreshToken, SiteSettings, TokenFamily, User
from accounts.names import username_key
from accounts.signals import announce_ended
from accounts.throttle import login_attempt
from config.errors import AppError, NotFound

_PREFIX_SHOWN = 8


def invalid(**fields: list[str]) -> AppError:
    return AppError("invalid", _("Please check the marked fields."), {"fields": fields}, status=400)


def user_register(*, username: str, password: str, email: str = "") -> User:
    """The first account becomes the administrator; later ones go by the site's door policy.

    AppError("invalid", 400) with `extra.fields`; AppError("registration_closed", 403).
    """
    user = User(username=User.normalize_username(username), email=User.objects.normalize_email(email))
    password_check(password, user=user, field="password")
    user.set_password(password)  # slow on purpose, so before the lock
    site_settings_ensure()
    with transaction.atomic():
        site = site_settings_lock()
        if not User.objects.exists():
            user.is_staff = user.is_superuser = True
        elif site.registration == SiteSettings.Registration.CLOSED:
            raise AppError(
                "registration_closed", _("Registration is closed. Ask an administrator."), status=403
            )
        else:
            user.is_approved = site.registration == SiteSettings.Registration.OPEN
        if User.objects.filter(username_key=username_key(user.username)).exists():
            raise _taken()
        try:
            with transaction.atomic():
                user.save()
        except IntegrityError:
            # Made past the lock, by a command or the admin.
            raise _taken() from None
    return user


def user_update(*, user: User, **changes: str) -> User:
    for name, value in changes.items():
        setattr(user, name, value)
    user.save(update_fields=list(changes))
    return user


def password_change(*, user: User, current: str, new: str, keep_family: str | None, address: str) -> None:
    """All sign-ins of the user end, but `keep_family`. Wrong current passwords count as failed sign-ins."""
    with login_attempt(user.username, address) as attempt:
        attempt.succeeded = user.check_password(current)
    if not attempt.succeeded:
        raise invalid(current=[_("This is not your current password.")])
    password_check(new, user=user, field="new")
    user.set_password(new)
    user.keep_family_id = keep_family
    with transaction.atomic():
        user.save(update_fields=["password"])


def password_check(password: str, *, user: User, field: str) -> None:
    """AppError("invalid", 400) with every complaint of Django's validators at `field`."""
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise invalid(**{field: error.messages}) from None


def admin_ensure(*, username: str, password: str, email: str = "") -> tuple[User, bool]:
    """An administrator of that name and password exists afterwards. Returns (user, whether made now)."""
    user = User.objects.filter(username_key=username_key(username)).first()
    made = user is None
    user = user or User(username=User.normalize_username(username))
    if made or not user.check_password(password):
        password_check(password, user=user, field="password")
        user.set_password(password)
    user.email = email or user.email
    user.is_staff = user.is_superuser = user.is_active = user.is_approved = True
    try:
        user.full_clean(exclude=["password", "username_key"])
    except ValidationError as error:
        raise invalid(**error.message_dict) from None
    site_settings_ensure()
    with transaction.atomic():
        site_settings_lock()
        user.save()
    return user, made


def users_approve(users: Iterable[User]) -> int:
    """How many were waiting."""
    waiting = [user for user in users if not user.is_approved]
    for user in waiting:
        user.is_approved = True
        user.save(update_fields=["is_approved"])
    return len(waiting)


def users_deactivate(users: Iterable[User]) -> int:
    """They lose every sign-in, socket, session and key at once."""
    active = [user for user in users if user.is_active]
    for user in active:
        user.is_active = False
        with transaction.atomic():
            user.save(update_fields=["is_active"])
    return len(active)


def families_end(*, user_id: str, keep: str | None = None) -> None:
    living = TokenFamily.objects.filter(user_id=user_id, ended_at=None).exclude(pk=keep)
    for family_id in living.values_list("pk", flat=True):
        family_end(family_id=family_id)


def family_end(*, family_id: str) -> bool:
    """False when it had ended before (or never was)."""
    ended = TokenFamily.objects.filter(pk=family_id, ended_at=None).update(ended_at=timezone.now())
    if ended:
        announce_ended(family_id=family_id)
    return bool(ended)


def api_key_create(*, user: User, name: str) -> tuple[ApiKey, str]:
    """The key itself is returned here and nowhere else: only its hash is kept.

    256 random bits in base64url, whose characters may all stand in a WebSocket subprotocol.
    """
    key = KEY_PREFIX + secrets.token_urlsafe(32)
    row = ApiKey.objects.create(user=user, name=name, prefix=key[:_PREFIX_SHOWN], hash=key_hash(key))
    return row, key


def api_key_revoke(*, user: User, key_id: str) -> None:
    with transaction.atomic():
        now = timezone.now()
        if not ApiKey.objects.filter(pk=key_id, user=user, revoked_at=None).update(revoked_at=now):
            raise NotFound()
        announce_ended(key_id=key_id)


def site_settings_ensure() -> None:
    """Before the transaction that locks it: on MariaDB, transactions that both insert the row deadlock."""
    SiteSettings.objects.get_or_create(pk=SiteSettings.SINGLETON)


def site_settings_lock() -> SiteSettings:
    """The one row, locked until the transaction ends. The update comes before any read, so that what the
    transaction then sees is as new as the lock."""
    row = SiteSettings.objects.filter(pk=SiteSettings.SINGLETON)
    row.update(changed=timezone.now())
    return row.get()


def accounts_prune() -> None:
    """What no one can use any more: expired refresh tokens, the sign-ins they leave empty, old attempts."""
    now = timezone.now()
    RefreshToken.objects.filter(expires__lt=int(now.timestamp())).delete()
    TokenFamily.objects.filter(refresh_tokens=None).delete()
    LoginAttempt.objects.filter(at__lt=now - timedelta(days=1)).delete()


def _taken() -> AppError:
    return invalid(username=[_("A user with that username already exists.")])
