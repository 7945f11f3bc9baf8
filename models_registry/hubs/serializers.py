"""The shapes of /api/hubs/ and /api/catalogue/, for the description of the API; and their queries."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from config.api import StrictSerializer
from models_registry.fit_view import FitSerializer


class SearchQuerySerializer(StrictSerializer):
    q = serializers.CharField(max_length=200, trim_whitespace=True)
    limit = serializers.IntegerField(required=False, default=20, min_value=1, max_value=50)


class RepoQuerySerializer(StrictSerializer):
    repo = serializers.CharField(max_length=200)
    revision = serializers.CharField(required=False, max_length=100)
    file = serializers.CharField(
        required=False, max_length=512, help_text="A GGUF file instead of the usual."
    )
    context = serializers.IntegerField(required=False, min_value=1, max_value=1 << 31)  # type: ignore[assignment]
    concurrency = serializers.IntegerField(required=False, min_value=1, max_value=4096)


class HubSerializer(serializers.Serializer[Any]):
    hub = serializers.CharField()
    title = serializers.CharField()
    endpoint = serializers.CharField()
    reachable = serializers.BooleanField(allow_null=True)
    latency_ms = serializers.IntegerField(allow_null=True)
    suggested = serializers.BooleanField(help_text="The faster one of those that answer.")


class HitSerializer(serializers.Serializer[Any]):
    hub = serializers.CharField()
    repo = serializers.CharField()
    name = serializers.CharField()
    downloads = serializers.IntegerField(allow_null=True)
    likes = serializers.IntegerField(allow_null=True)
    license = serializers.CharField(allow_null=True)
    tags = serializers.ListField(child=serializers.CharField())
    updated = serializers.DateTimeField(allow_null=True)
    parameters = serializers.IntegerField(allow_null=True)
    size_bytes = serializers.IntegerField(allow_null=True)
    model = serializers.CharField(allow_null=True, help_text="Its id, when it is here already.")


class RepoFileSerializer(serializers.Serializer[Any]):
    path = serializers.CharField()
    size = serializers.IntegerField()
    wanted = serializers.BooleanField()
    why = serializers.CharField(allow_null=True, help_text="Why it is not wanted.")


class RefusedSerializer(serializers.Serializer[Any]):
    code = serializers.CharField()
    message = serializers.CharField()


class RepoSerializer(serializers.Serializer[Any]):
    hub = serializers.CharField()
    repo = serializers.CharField()
    revision = serializers.CharField(help_text="The commit.")
    license = serializers.CharField(allow_null=True)
    gated = serializers.BooleanField()
    files = RepoFileSerializer(many=True)
    size_bytes = serializers.IntegerField(help_text="Of the wanted files.")
    family = serializers.CharField()
    context_length = serializers.IntegerField(allow_null=True)
    quantization = serializers.CharField(allow_null=True)
    capabilities = serializers.ListField(child=serializers.CharField())
    refused = RefusedSerializer(allow_null=True)
    fit = FitSerializer(allow_null=True)
    free_bytes = serializers.IntegerField(help_text="On the disk of the models.")
    model = serializers.CharField(allow_null=True)


class CachedSerializer(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(choices=["folder", "gguf"])
    path = serializers.CharField()
    name = serializers.CharField()
    hub = serializers.CharField()
    repo = serializers.CharField()
    size_bytes = serializers.IntegerField()
    model = serializers.CharField(allow_null=True)


class RemoteSerializer(serializers.Serializer[Any]):
    base_url = serializers.CharField()
    model = serializers.CharField()


class CatalogueEntrySerializer(serializers.Serializer[Any]):
    id = serializers.CharField()
    name = serializers.CharField()
    family = serializers.CharField()
    parameters = serializers.IntegerField()
    size_bytes = serializers.IntegerField(help_text="Of the weights.")
    context_length = serializers.IntegerField()
    license = serializers.CharField()
    capabilities = serializers.ListField(child=serializers.CharField())
    languages = serializers.ListField(child=serializers.CharField())
    needed_bytes = serializers.IntegerField(
        help_text="Of memory, for one answer of 4096 tokens; an estimate."
    )
    modelscope = serializers.CharField(allow_null=True)
    huggingface = serializers.CharField(allow_null=True)
    remote = RemoteSerializer(allow_null=True)
    note = serializers.CharField()
    model = serializers.CharField(allow_null=True)


def _list(name: str, of: type[serializers.Serializer[Any]]) -> type[serializers.Serializer[Any]]:
    fields = {"results": of(many=True), "next": serializers.CharField(allow_null=True)}
    return type(name, (serializers.Serializer,), fields)


HubListSerializer = _list("HubListSerializer", HubSerializer)
HitListSerializer = _list("HitListSerializer", HitSerializer)
CachedListSerializer = _list("CachedListSerializer", CachedSerializer)
CatalogueSerializer = _list("CatalogueSerializer", CatalogueEntrySerializer)
