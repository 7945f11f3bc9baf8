"""Where a password is checked: the token endpoint, the admin and the browsable API all come through here."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from django.utils.translation import gettext as _

from accounts.models import User
from accounts.throttle import LoginRefused, login_attempt


class PasswordBackend(ModelBackend):
    """Django's own, with a limit on attempts, names without case, and accounts that wait for approval."""

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> User | None:
        """The user, or None when name or password is wrong; LoginRefused when it is something else."""
        if username is None or password is None:
            return None
        with login_attempt(username, client_address(request)) as attempt:
            user = self._check(username, password)
            attempt.succeeded = user is not None
        if user is None or not user.is_active:
            return None
        if not user.is_approved:
            raise LoginRefused(
                "awaiting_approval", _("An administrator has to approve this account first."), status=403
            )
        return user

    def user_can_authenticate(self, user: User | AnonymousUser | None) -> bool:
        """Asked for each request of a session: who may not enter any more loses it."""
        return isinstance(user, User) and user.may_enter

    def _check(self, username: str, password: str) -> User | None:
        try:
            user = User.objects.get_by_natural_key(username)
        except User.DoesNotExist:
            User().set_password(password)  # takes as long as for a name that exists
            return None
        return user if user.check_password(password) else None


def client_address(request: HttpRequest | None) -> str:
    """As the server says. Behind a proxy it is the server's task to trust X-Forwarded-For or not."""
    return str(request.META.get("REMOTE_ADDR") or "") if request is not None else ""
