"""Takes away what a cancelled download, or a deleted model, left in the data folder."""

from __future__ import annotations

from pathlib import Path

from django.utils import timezone

from models_registry.downloads import places, storage
from models_registry.downloads.landed import files_of
from models_registry.downloads.run import place_of
from models_registry.models import Download, Model


def download_clean(download_id: str) -> None:
    """The files of a cancelled download; what another one or a model needs stays."""
    download = Download.objects.filter(pk=download_id, state=Download.State.CANCELLED).first()
    if download is None:
        return
    files_take_away(download)
    Download.objects.filter(pk=download_id).update(finished=timezone.now(), owner="", lease_until=None)


def files_take_away(download: Download) -> None:
    """Only below `<data>/models/<hub>/`, and only what nobody else uses."""
    folder = place_of(download)
    if _used_by_a_model(folder, but=download.model_id):
        return
    same = Download.objects.filter(hub=download.hub, repo=download.repo, revision=download.revision)
    others = [
        other
        for other in same.exclude(pk=download.pk).exclude(state=Download.State.CANCELLED)
        if place_of(other) == folder and Model.objects.filter(pk=other.model_id).exists()
    ]
    needed = {line["path"] for other in others for line in other.files}
    mine = [file for file in files_of(download) if file.path not in needed]
    storage.remove(folder, mine, whole=True, below=places.root() / download.hub)


def _used_by_a_model(folder: Path, but: str) -> bool:
    """A model whose files were not brought by a download of ours but lie here: a folder named by hand."""
    for model in Model.objects.exclude(pk=but).exclude(source__kind="hub").only("source"):
        path = model.source.get("path")
        if isinstance(path, str) and (Path(path) == folder or folder in Path(path).parents):
            return True
    return False
