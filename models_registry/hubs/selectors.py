"""Which models of the hubs this house has already."""

from __future__ import annotations

from pathlib import Path

from models_registry.models import Model


def by_repo() -> dict[tuple[str, str], str]:
    """(hub, repository) → the model's id; of several revisions the one that was added last."""
    found = Model.objects.filter(source__kind="hub").order_by("created").values_list("id", "source")
    return {(str(source.get("hub")), str(source.get("repo"))): id for id, source in found}


def by_path() -> dict[str, str]:
    """The folder or file that a model uses → its id."""
    found = Model.objects.exclude(source__path=None).values_list("id", "source")
    return {str(Path(source["path"])): id for id, source in found if source.get("path")}


def by_endpoint() -> dict[tuple[str, str], str]:
    """(base_url, name of the model there) → the model's id."""
    found = Model.objects.filter(source__kind="remote").values_list("id", "source")
    return {(str(source.get("base_url")), str(source.get("model"))): id for id, source in found}
