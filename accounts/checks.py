"""Wrong settings stop the start, with a hint."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from accounts.throttle import limit_parse


@register()
def login_limit_is_readable(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    try:
        limit_parse(settings.HEARTH_LOGIN_LIMIT)
    except ValueError:
        text = f"HEARTH_LOGIN_LIMIT cannot be read: {settings.HEARTH_LOGIN_LIMIT!r}."
        return [Error(text, hint='Write failures/seconds, such as "10/300".', id="accounts.E001")]
    return []
