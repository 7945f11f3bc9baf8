"""The shapes of /api/downloads/."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rest_framework import serializers

from config.api import StrictSerializer
from models_registry.downloads import selectors, words
from models_registry.models import Download, Model


class DownloadCreateSerializer(StrictSerializer):
    hub = serializers.CharField(max_length=16)
    repo = serializers.CharField(max_length=200, help_text="`owner/name`")
    revision = serializers.CharField(
        max_length=100, required=False, allow_null=True, help_text="A branch, a tag or a commit."
    )
    files = serializers.ListField(
        child=serializers.CharField(max_length=1000),
        required=False,
        allow_null=True,
        max_length=2000,
        help_text="Paths in the repository; without it what a model needs.",
    )
    name = serializers.CharField(max_length=128, required=False, allow_null=True)


class DownloadFileSerializer(serializers.Serializer[Any]):
    path = serializers.CharField()
    size = serializers.IntegerField(help_text="Bytes.")
    done = serializers.IntegerField(help_text="Bytes.")


class DownloadErrorSerializer(serializers.Serializer[Any]):
    code = serializers.CharField()
    message = serializers.CharField()


class DownloadModelSerializer(serializers.Serializer[Any]):
    id = serializers.CharField()
    name = serializers.CharField()


class DownloadSerializer(serializers.Serializer[Any]):
    """Only for the description of the API; `download_body` makes the bodies."""

    id = serializers.CharField()
    hub = serializers.CharField()
    repo = serializers.CharField()
    revision = serializers.CharField(help_text="The commit.")
    state = serializers.ChoiceField(choices=Download.State.values)
    bytes_done = serializers.IntegerField()
    bytes_total = serializers.IntegerField()
    progress = serializers.FloatField(allow_null=True, help_text="0..1")
    speed = serializers.FloatField(help_text="Bytes per second.")
    seconds_left = serializers.FloatField(allow_null=True)
    files = DownloadFileSerializer(many=True)
    error = DownloadErrorSerializer(allow_null=True)
    model = DownloadModelSerializer(allow_null=True)
    created = serializers.DateTimeField()
    finished = serializers.DateTimeField(allow_null=True)


class DownloadListSerializer(serializers.Serializer[Any]):
    results = DownloadSerializer(many=True)
    next = serializers.CharField(allow_null=True)


def download_bodies(downloads: Iterable[Download]) -> list[dict[str, Any]]:
    rows = list(downloads)
    names = dict(Model.objects.filter(pk__in={row.model_id for row in rows}).values_list("pk", "name"))
    return [_body(row, names.get(row.model_id)) for row in rows]


def download_body(download: Download) -> dict[str, Any]:
    return download_bodies([download])[0]


def _body(download: Download, model_name: str | None) -> dict[str, Any]:
    return {
        "id": download.id,
        "hub": download.hub,
        "repo": download.repo,
        "revision": download.revision,
        "state": download.state,
        "bytes_done": download.bytes_done,
        "bytes_total": download.bytes_total,
        "progress": selectors.progress_of(download),
        "speed": download.speed,
        "seconds_left": selectors.seconds_left(download),
        "files": [{name: line[name] for name in ("path", "size", "done")} for line in download.files],
        "error": words.told(download.error),
        "model": None if model_name is None else {"id": download.model_id, "name": model_name},
        "created": download.created.isoformat(),
        "finished": download.finished.isoformat() if download.finished else None,
    }
