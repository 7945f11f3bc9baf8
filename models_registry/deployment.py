"""The settings of a deployment: how a model is run. An unknown one is an error, never ignored."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from django.utils.translation import gettext as _

from models_registry.sources import invalid

Check = Callable[[Any], bool]


def _whole(low: int, high: int) -> Check:
    return lambda value: type(value) is int and low <= value <= high


def _one_of(*words: str) -> Check:
    return lambda value: isinstance(value, str) and value in words


def _device(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"auto|cpu|cuda(:\d{1,2})?", value) is not None


_LOCAL: dict[str, Check] = {
    "slots": _whole(1, 1024),
    "context_length": _whole(16, 16_777_216),
    "threads": _whole(1, 1024),
    "device": _device,
    "dtype": _one_of("auto", "float32", "bfloat16", "float16"),
}
_REMOTE: dict[str, Check] = {
    "slots": _whole(1, 4096),
    "context_length": _LOCAL["context_length"],
    "silence_limit": _whole(1, 86_400),
}
_ECHO: dict[str, Check] = {
    "slots": _whole(1, 4096),
    "context_length": _LOCAL["context_length"],
    "inline": lambda value: isinstance(value, bool),
    "load_ms": _whole(0, 600_000),
    "load_fault": lambda value: isinstance(value, str | bool),
}
_KNOWN = {"transformers": _LOCAL, "openai": _REMOTE, "echo": _ECHO}


def settings_check(engine: str, settings: Any) -> dict[str, Any]:
    """The settings, when each is known to the engine and in range. Raises AppError("invalid")."""
    if not isinstance(settings, dict):
        raise invalid("settings", _("An object is expected."))
    known = _KNOWN[engine]
    for name, value in settings.items():
        if name not in known:
            raise invalid("settings", _("Unknown setting: %(name)s.") % {"name": str(name)[:64]})
        if not known[name](value):
            raise invalid("settings", _("%(name)s is out of range.") % {"name": name})
    return settings
