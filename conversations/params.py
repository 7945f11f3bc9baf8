"""The sampling params that a client may set (the contract's list), each with its type and range."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _

from config.errors import AppError

_NUMBERS: dict[str, tuple[float, float]] = {
    "temperature": (0, 5),
    "top_p": (0, 1),
    "min_p": (0, 1),
    "repetition_penalty": (0.1, 10),
    "presence_penalty": (-2, 2),
}
_INTEGERS: dict[str, tuple[int, int]] = {
    "top_k": (0, 1_000_000),
    "max_tokens": (1, 1_000_000),
    "seed": (0, 2**63 - 1),
    "logprobs": (0, 20),
}


def params_check(params: Any) -> dict[str, Any]:
    """`params` as given, checked. Raises AppError("invalid") naming each wrong field as ``params.<name>``."""
    if params is None:
        return {}
    if not isinstance(params, dict):
        raise _refused({"params": [_("This is an object.")]})
    wrong = {f"params.{name}": [why] for name, value in params.items() if (why := _complaint(name, value))}
    if wrong:
        raise _refused(wrong)
    return params


def _complaint(name: str, value: Any) -> str:
    if value is None:
        return ""
    if name in _NUMBERS:
        low, high = _NUMBERS[name]
        good = isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
        return "" if good else _("This is a number from %(low)s to %(high)s.") % {"low": low, "high": high}
    if name in _INTEGERS:
        if name == "logprobs" and isinstance(value, bool):
            return ""
        least, most = _INTEGERS[name]
        good = isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
        return (
            ""
            if good
            else _("This is a whole number from %(low)s to %(high)s.") % {"low": least, "high": most}
        )
    if name == "thinking":
        return "" if isinstance(value, bool) else _("This is true or false.")
    if name == "stop":
        stops = [value] if isinstance(value, str) else value
        good = isinstance(stops, list) and len(stops) <= 16 and all(isinstance(s, str) and s for s in stops)
        return "" if good else _("This is a text or a list of at most 16 texts.")
    if name in ("logit_bias", "response_format"):
        return "" if isinstance(value, dict) else _("This is an object.")
    return _("There is no such field.")


def _refused(fields: dict[str, list[str]]) -> AppError:
    return AppError("invalid", _("Some fields are not right."), {"fields": fields})
