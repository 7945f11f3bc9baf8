"""Models whose files a hub has: registering one starts its download, and so does loading one."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _

from accounts.models import User
from config.errors import AppError
from models_registry.deployment import settings_check
from models_registry.downloads.selectors import download_of
from models_registry.downloads.services import download_request, download_resume
from models_registry.models import Download, Model
from models_registry.services import model_create, model_update
from models_registry.sources import invalid


def model_register(
    *,
    name: str,
    source: Any,
    user: User | None = None,
    engine: str | None = None,
    settings: dict[str, Any] | None = None,
) -> Model:
    """`model_create` for what an administrator names; files of a hub start to come, and the model is there.

    Raises AppError: what `model_create` and `downloads.services.download_request` raise.
    """
    if not isinstance(source, dict) or source.get("kind") != "hub":
        return model_create(name=name, source=source, engine=engine, settings=settings)
    unknown = sorted(set(map(str, source)) - {"kind", "hub", "repo", "revision", "files"})
    if unknown:
        raise invalid("source", _("Unknown field: %(name)s.") % {"name": unknown[0][:64]})
    asked = {key: source.get(key) for key in ("hub", "repo", "revision")}
    if not all(isinstance(asked[key], str) and asked[key] for key in ("hub", "repo")):
        raise invalid("source", _("%(name)s must be a text.") % {"name": "hub, repo"})
    files = source.get("files")
    if not isinstance(asked["revision"], str | None) or not _are_names(files):
        raise invalid("source", _("%(name)s must be a text.") % {"name": "revision, files"})
    if settings is not None:
        settings_check(engine or "transformers", settings)
    download = download_request(
        hub=str(asked["hub"]),
        repo=str(asked["repo"]),
        revision=asked["revision"],
        files=files,
        user=user,
        name=name,
    )
    model = Model.objects.get(pk=download.model_id)
    changes = {"settings": settings} if settings else {}
    return model_update(model, **changes, **({"engine": engine} if engine else {}))


def _are_names(files: Any) -> bool:
    return files is None or (isinstance(files, list) and all(isinstance(name, str) for name in files))


def model_fetch(model: Model) -> Download | None:
    """The download that brings this model's files, set going where it stands still; None: they are here.

    Raises AppError: "not_downloaded" (409) when none was ever asked for, and what resuming raises.
    """
    if model.source.get("kind") != "hub" or model.source.get("path"):
        return None
    download = download_of(model.pk)
    if download is None or download.state == Download.State.CANCELLED:
        message = _("The files of %(name)s are not here, and no download brings them.") % {"name": model.name}
        raise AppError("not_downloaded", message, status=409)
    if download.state in (Download.State.PAUSED, Download.State.FAILED):
        return download_resume(download)
    return download
