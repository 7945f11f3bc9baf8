"""Hubs of models. `get("modelscope")` is one; its library is loaded with its first use."""

from __future__ import annotations

from django.conf import settings

from models_registry.hubs import failures
from models_registry.hubs.base import Hub
from models_registry.hubs.huggingface import HuggingFace
from models_registry.hubs.modelscope import ModelScope

_KINDS: dict[str, type[HuggingFace] | type[ModelScope]] = {
    "modelscope": ModelScope,
    "huggingface": HuggingFace,
}


def names() -> list[str]:
    return list(_KINDS)


def get(name: str) -> Hub:
    """Raises AppError("hub_unknown", 404)."""
    if name not in _KINDS:
        raise failures.unknown(name)
    return _KINDS[name](**settings.HEARTH_HUBS[name])
