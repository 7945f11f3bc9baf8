"""The shapes of /api/models/. What administrators see beyond the rest is added by `model_body`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext
from rest_framework import serializers

from config.api import StrictSerializer
from models_registry.live import AWAY, State
from models_registry.models import Download, Model

STATES = ["absent", "downloading", "stopped", "queued", "loading", "ready", "draining", "failed"]
MOST_USERS = 10_000


class ModelErrorSerializer(serializers.Serializer[Any]):
    code = serializers.CharField()
    message = serializers.CharField()


class ModelDownloadSerializer(serializers.Serializer[Any]):
    id = serializers.CharField()
    state = serializers.ChoiceField(choices=Download.State.values)
    bytes_done = serializers.IntegerField()
    bytes_total = serializers.IntegerField()
    speed = serializers.FloatField(help_text="Bytes per second.")
    seconds_left = serializers.FloatField(allow_null=True)


class ModelSerializer(serializers.Serializer[Any]):
    """Only for the description of the API; `model_body` makes the bodies."""

    id = serializers.CharField()
    name = serializers.CharField()
    family = serializers.CharField()
    engine = serializers.CharField()
    context_length = serializers.IntegerField(allow_null=True, help_text="Tokens.")
    capabilities = serializers.ListField(child=serializers.CharField())
    languages = serializers.ListField(
        child=serializers.CharField(),
        help_text="Tags, as `zh`; empty where nobody has said what the model speaks.",
    )
    is_default = serializers.BooleanField()
    default_for_me = serializers.BooleanField(help_text="It answers where a conversation names no model.")
    becomes_default = serializers.BooleanField(
        help_text="The house brings it in for itself, and it is the default once its files are here."
    )
    state = serializers.ChoiceField(choices=STATES)
    progress = serializers.FloatField(allow_null=True, help_text="0..1, while it loads.")
    device = serializers.CharField(allow_null=True)
    memory_bytes = serializers.IntegerField(allow_null=True)
    predicted_bytes = serializers.IntegerField(
        allow_null=True, help_text="What the fit said before it was loaded; null while it is not."
    )
    measured_bytes = serializers.IntegerField(allow_null=True, help_text="What it takes in truth.")
    returned_bytes = serializers.IntegerField(
        allow_null=True, help_text="What came back when it was last unloaded."
    )
    running = serializers.IntegerField(help_text="Answers being made.")
    waiting = serializers.IntegerField(help_text="Requests that wait for their turn.")
    tokens_per_second = serializers.FloatField(
        allow_null=True, help_text="Of the last seconds, all answers together; null when it rests."
    )
    download = ModelDownloadSerializer(allow_null=True)
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
    for_everyone = serializers.BooleanField(
        required=False, help_text="For administrators: else only they and `users` may use it."
    )
    users = serializers.ListField(
        child=serializers.CharField(), required=False, help_text="For administrators: user names."
    )
    log = serializers.CharField(
        required=False,
        allow_null=True,
        help_text="For administrators: the last lines that its process wrote before it failed.",
    )


class ModelListSerializer(serializers.Serializer[Any]):
    results = ModelSerializer(many=True)
    next = serializers.CharField(allow_null=True)


class ModelCreateSerializer(StrictSerializer):
    name = serializers.CharField(max_length=128)
    source = serializers.JSONField(  # type: ignore[assignment]
        help_text='`{"kind": "folder" | "gguf" | "hub" | "remote" | "echo", …}`'
    )
    engine = serializers.ChoiceField(choices=Model.Engine.values, required=False)
    settings = serializers.JSONField(required=False)


class ModelUpdateSerializer(StrictSerializer):
    name = serializers.CharField(max_length=128, required=False)
    engine = serializers.ChoiceField(
        choices=Model.Engine.values, required=False, help_text="One that can run this source."
    )
    settings = serializers.JSONField(required=False)
    is_default = serializers.BooleanField(required=False)
    enabled = serializers.BooleanField(required=False)
    for_everyone = serializers.BooleanField(required=False)
    users = serializers.ListField(
        child=serializers.CharField(max_length=150),
        required=False,
        max_length=MOST_USERS,
        help_text="User names: all who may use it when it is not for everyone.",
    )


class ModelDeleteSerializer(StrictSerializer):
    files = serializers.BooleanField(default=False)


class PinSerializer(StrictSerializer):
    pinned = serializers.BooleanField(default=True)


class JobSerializer(serializers.Serializer[Any]):
    job = serializers.CharField()
    model = serializers.CharField()
    state = serializers.CharField()


@dataclass(frozen=True)
class Surroundings:
    """What bodies need beside the row: asked once for a whole list."""

    administrator: bool = False
    #: Id of the model that answers where the reader names none.
    default: str = ""
    #: Id of the model that takes the default's place once it is here (`selectors.default_to_be`).
    to_be: str = ""
    downloads: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    logs: Mapping[str, str] = field(default_factory=dict)


def model_body(model: Model, state: State, around: Surroundings) -> dict[str, Any]:
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
        "languages": model.languages,
        "is_default": bool(model.is_default),
        "default_for_me": model.id == around.default,
        "becomes_default": model.id == around.to_be and not model.is_default,
        "state": state["state"],
        "progress": state.get("progress"),
        "device": state.get("device"),
        "memory_bytes": state.get("memory_bytes"),
        "predicted_bytes": state.get("predicted_bytes"),
        "measured_bytes": state.get("measured_bytes"),
        "returned_bytes": state.get("returned_bytes"),
        "running": state.get("running") or 0,
        "waiting": state.get("waiting") or 0,
        "tokens_per_second": state.get("tokens_per_second"),
        "download": around.downloads.get(model.id),
        "error": _error(state.get("error")),
        "packed": state.get("packed"),
        "unpacked_reason": state.get("reason") or None,
    }
    if around.administrator:
        body |= {
            "enabled": model.enabled,
            "pinned": model.pinned,
            "source": {name: value for name, value in model.source.items() if name != "api_key"},
            "settings": model.settings,
            "has_api_key": bool(model.secret),
            "created": model.created.isoformat(),
            "for_everyone": model.for_everyone,
            "users": sorted(user.username for user in model.users.all()),
            "log": around.logs.get(model.id),
        }
    return body


def _error(error: dict[str, str] | None) -> dict[str, str] | None:
    """In the reader's language where the words are ours."""
    if error is None or error["message"] != AWAY:
        return error
    return error | {"message": gettext(AWAY)}
