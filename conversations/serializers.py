"""Bodies of the REST calls. Their meaning is checked by the services."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from config.api import StrictSerializer


@extend_schema_field({"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "object"}}]})
class ContentField(serializers.JSONField):
    """A string, or a list of parts."""


@extend_schema_field(OpenApiTypes.OBJECT)
class ObjectField(serializers.DictField):
    pass


class ConversationWrite(StrictSerializer):
    title = serializers.CharField(max_length=200, allow_blank=True, required=False)
    model = serializers.CharField(max_length=128, allow_null=True, required=False)
    system = serializers.CharField(max_length=100_000, allow_blank=True, required=False)
    params = ObjectField(required=False)


class ConversationPatch(ConversationWrite):
    pinned = serializers.BooleanField(required=False)
    archived = serializers.BooleanField(required=False)
    folder = serializers.CharField(max_length=100, allow_blank=True, required=False)


class ConversationRead(serializers.Serializer[Any]):
    id = serializers.CharField()
    title = serializers.CharField()
    model = serializers.CharField(allow_null=True)
    lost_model = serializers.CharField(help_text="Name of the chosen model, if it was deleted; else empty.")
    system = serializers.CharField()
    params = ObjectField()
    pinned = serializers.BooleanField()
    archived = serializers.BooleanField()
    folder = serializers.CharField()
    running = serializers.BooleanField()
    created = serializers.DateTimeField()
    updated = serializers.DateTimeField()


class TurnWrite(StrictSerializer):
    content = ContentField()
    model = serializers.CharField(max_length=128, allow_null=True, required=False)
    task = serializers.CharField(max_length=32, allow_null=True, required=False)
    datasource = serializers.CharField(max_length=64, allow_null=True, required=False)
    params = ObjectField(allow_null=True, required=False)
    client_id = serializers.CharField(max_length=64, allow_null=True, required=False)


class ChatStreamWrite(TurnWrite):
    conversation = serializers.CharField(max_length=64, allow_null=True, required=False)


class TestStreamWrite(StrictSerializer):
    content = ContentField(required=False)
    tokens = serializers.IntegerField(min_value=1, max_value=100_000, required=False)
    delay_ms = serializers.FloatField(min_value=0, max_value=60_000, required=False)
    first_delay_ms = serializers.FloatField(min_value=0, max_value=600_000, required=False)


class Accepted(serializers.Serializer[Any]):
    turn = serializers.CharField()
    conversation = serializers.CharField()
    user_message = serializers.CharField(allow_null=True)
    assistant_message = serializers.CharField()


class LiveTurn(serializers.Serializer[Any]):
    id = serializers.CharField()
    seq = serializers.IntegerField()


class MessageRead(serializers.Serializer[Any]):
    id = serializers.CharField()
    parent = serializers.CharField(allow_null=True)  # type: ignore[assignment]
    siblings = serializers.ListField(child=serializers.CharField())
    role = serializers.CharField()
    status = serializers.CharField()
    parts = serializers.ListField(child=ObjectField())
    model = serializers.CharField(allow_null=True)
    usage = ObjectField(allow_null=True)
    error = ObjectField(allow_null=True)
    created = serializers.DateTimeField()
    turn = LiveTurn(allow_null=True)


class MessagePage(serializers.Serializer[Any]):
    results = MessageRead(many=True)
    next = serializers.URLField(allow_null=True)


class ActiveWrite(StrictSerializer):
    message = serializers.CharField(max_length=64)


class StopAccepted(serializers.Serializer[Any]):
    turn = serializers.CharField()
