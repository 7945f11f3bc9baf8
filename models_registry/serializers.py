"""The shapes of /api/models/. What administrators see beyond the rest is added by `model_body`."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext
from rest_framework import serializers

from config.api import StrictSerializer
from models_registry.live import AWAY, State
from models_registry.models import Model

STATES = ["absent", "downloading", "stopped", "queued", "loading", "ready", "draining", "failed"]


class ModelErrorSerializer(serializers.Serializer[Any]):
    code = serializers.CharField()
    message = serializers.CharField()


class ModelSerializer(serializers.Serializer[Any]):
    """Only for the description of the API; `model_body` makes the bodies."""

    id = serializers.CharField()
    name = serializers.CharField()
    family = serializers.CharField()
    engine = serializers.CharField()
    context_length = serializers.IntegerField(allow_null=True, help_text="Tokens.")
    capabilities = serializers.ListField(child=serializers.CharField())
    is_default = serializers.BooleanField()
    state = serializers.ChoiceField(choices=STATES)
    progress = serializers.FloatField(allow_null=True, help_text="0..1, while it loads.")
    device = serializers.CharField(allow_null=True)
    memory_bytes = serializers.IntegerField(allow_null=True)
    error = ModelErrorSerializer(allow_null=True)
    packed = serializers.BooleanField(
        allow_null=True, help_text="Whether its answers share each step; null while that is not known."
    )
    unpacked_reason = serializers.CharField(
        allow_null=True, help_text="Why its answers run one by one, in English."
    )
    enabled = serializers.BooleanField(required=False, help_text="For administrators.")
    pinned = serializers.BooleanField(
        required=False, help_text="For administrators: it stays in memory until it is unloaded."
    )
    source = serializers.JSONField(  # type: ignore[assignment]  # a field of that name, not the argument
        required=False, help_text="For administrators; never with a key."
    )
    settings = serializers.JSONField(required=False, help_text="For administrators.")
    has_api_key = serializers.BooleanField(required=False, help_text="For administrators.")
    created = serializers.DateTimeField(required=False, help_text="For administrators.")


class ModelListSerializer(serializers.Serializer[Any]):
    results = ModelSerializer(many=True)
    next = serializers.CharField(allow_null=True)


class ModelCreateSerializer(StrictSerializer):
    name = serializers.CharField(max_length=128)
    source = serializers.JSONField(  # type: ignore[assignment]
        help_text='`{"kind": "folder" | "remote" | "echo", …}`'
    )
    engine = serializers.ChoiceField(choices=Model.Engine.values, required=False)
    settings = serializers.JSONField(required=False)


class ModelUpdateSerializer(StrictSerializer):
    name = serializers.CharField(max_length=128, required=False)
    settings = serializers.JSONField(required=False)
    is_default = serializers.BooleanField(required=False)
    enabled = serializers.BooleanField(required=False)


class PinSerializer(StrictSerializer):
    pinned = serializers.BooleanField(default=True)


class JobSerializer(serializers.Serializer[Any]):
    job = serializers.CharField()
    model = serializers.CharField()
    state = serializers.CharField()


def model_body(model: Model, state: State, *, for_administrator: bool) -> dict[str, Any]:
    """The row and what the model is doing now, in one. What a running model says of itself goes first."""
    body: dict[str, Any] = {
        "id": model.id,
        "name": model.name,
        "family": model.family,
        "engine": model.engine,
        "context_length": state.get("context_length")
        or model.settings.get("context_length")
        or model.context_length,
        "capabilities": state.get("capabilities") or model.capabilities,
        "is_default": bool(model.is_default),
        "state": state["state"],
        "progress": state.get("progress"),
        "device": state.get("device"),
        "memory_bytes": state.get("memory_bytes"),
        "error": _error(state.get("error")),
        "packed": state.get("packed"),
        "unpacked_reason": state.get("reason") or None,
    }
    if for_administrator:
        body |= {
            "enabled": model.enabled,
            "pinned": model.pinned,
            "source": {name: value for name, value in model.source.items() if name != "api_key"},
            "settings": model.settings,
            "has_api_key": bool(model.secret),
            "created": model.created.isoformat(),
        }
    return body


def _error(error: dict[str, str] | None) -> dict[str, str] | None:
    """In the reader's language where the words are ours."""
    if error is None or error["message"] != AWAY:
        return error
    return error | {"message": gettext(AWAY)}
