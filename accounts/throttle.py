"""How often a password may be tried. Counted in the database: many processes, one count.

An attempt is counted before the password is looked at and taken back when it was right, so a burst of
parallel guesses cannot slip through. It does not stop guesses that come from many addresses at many names.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import ngettext

from accounts.models import LoginAttempt
from accounts.names import username_key
from config.errors import AppError

# One address may be a whole house behind a router.
_ADDRESS_FACTOR = 10


class LoginRefused(AppError, ValidationError):  # type: ignore[misc]
    """Also a ValidationError, so that the login forms of the admin and the browsable API can show it."""


@dataclass(frozen=True)
class Limit:
    failures: int
    seconds: int


@dataclass
class Attempt:
    succeeded: bool = False


def limit_parse(text: str) -> Limit:
    """ "10/300" is 10 failures in 300 seconds. ValueError for anything else."""
    failures, seconds = (int(part) for part in text.split("/"))
    if failures < 1 or seconds < 1:
        raise ValueError(text)
    return Limit(failures, seconds)


@contextmanager
def login_attempt(username: str, address: str) -> Iterator[Attempt]:
    """Wraps one look at a password; set `succeeded` when it was right. LoginRefused (429) past the limit."""
    limit = limit_parse(settings.HEARTH_LOGIN_LIMIT)
    place = _place(address)
    person_key, place_key = _key("person", username_key(username), place), _key("place", place)
    allowed = {person_key: limit.failures, place_key: limit.failures * _ADDRESS_FACTOR}
    made = _reserve(allowed, limit.seconds)
    attempt = Attempt()
    try:
        yield attempt
    finally:
        if attempt.succeeded:
            # The address keeps its other failures: one's own account must not clear guesses at others.
            _delete({*made, *LoginAttempt.objects.filter(key=person_key).values_list("pk", flat=True)})


def _reserve(allowed: dict[str, int], seconds: int) -> list[int]:
    """Each row is committed before the count, so that attempts in parallel see each other."""
    now = timezone.now()
    since = now - timedelta(seconds=seconds)
    _delete(LoginAttempt.objects.filter(key__in=allowed, at__lt=since).values_list("pk", flat=True))
    made = [LoginAttempt.objects.create(key=key, at=now).pk for key in allowed]
    for key, most in allowed.items():
        counted = (
            LoginAttempt.objects.filter(key=key, at__gte=since).order_by("at").values_list("at", flat=True)
        )
        times = list(counted)
        if len(times) > most:
            _delete(made)  # knocking at a closed door does not keep it closed
            raise _refused(times[len(times) - 1 - most], now, seconds)
    return made


def _delete(pks: Iterable[int]) -> None:
    """By primary key and in order: deleting by another index can deadlock with this on InnoDB."""
    if ordered := sorted(pks):
        LoginAttempt.objects.filter(pk__in=ordered).delete()


def _refused(oldest: datetime, now: datetime, seconds: int) -> LoginRefused:
    wait = max(1, int((oldest - now).total_seconds()) + seconds + 1)
    text = ngettext(
        "Too many attempts. Try again in %(seconds)d second.",
        "Too many attempts. Try again in %(seconds)d seconds.",
        wait,
    )
    return LoginRefused("too_many_attempts", text % {"seconds": wait}, {"retry_after": wait}, status=429)


def _place(address: str) -> str:
    """An IPv6 customer owns a /64, so that counts as one place."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((ip, 64), strict=False)) if ip.version == 6 else str(ip)


def _key(*parts: str) -> str:
    """Hashed: people type passwords into the name field."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
