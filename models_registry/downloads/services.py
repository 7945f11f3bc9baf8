"""What people want of downloads: asking for one, pausing, going on, calling it off, taking files away."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from accounts.models import User
from config.errors import AppError
from models_registry import catalogue, hubs
from models_registry.deadlock import retried
from models_registry.downloads import clean, leases, places, storage, words
from models_registry.downloads.code import code_check
from models_registry.downloads.failure import Failure, Wanted
from models_registry.downloads.landed import engine_expected, files_of
from models_registry.downloads.run import place_of, promised_bytes
from models_registry.hubs.base import HubFile, RepoInfo
from models_registry.hubs.choose import wanted_files
from models_registry.models import Download, Model, Once

log = logging.getLogger(__name__)

TASK = "models_registry.download_run"
State = Download.State
#: A free name that another took in the same moment is looked for again.
_TRIES = 5


def download_request(
    *,
    hub: str,
    repo: str,
    revision: str | None = None,
    files: Sequence[str] | None = None,
    user: User | None = None,
    name: str | None = None,
    wake: bool = True,
    first: bool = False,
) -> Download:
    """The download of these files at the commit that `revision` stands for now, and its model, made at once.

    Who asks for the same gets the same; one that is paused or failed goes on. Without `files` it is what a
    model needs. `first`: the house brings this in for itself, once (see `models_registry.first`).
    Raises AppError: the hub's (see `hubs.base`), "unsafe_repository", "disk_full" (507), "invalid",
    "name_taken" (409), and what of the list cannot be checked ("unverifiable", "unsafe_path");
    IntegrityError for a `first` that is there already.
    """
    at = hubs.get(hub)
    info = at.info(repo, revision)
    choice = wanted_files(info, list(files) if files else None)
    if choice.refused is not None:
        raise choice.refused
    wanted = _wanted(choice.files)
    key = places.key_of(hub, info.repo, info.revision, wanted)
    found = _again(key)
    if found is None:
        code_check(at, info, choice.files)
        found = _create(info, wanted, key, user, name, first=first)
    if wake and found.state == State.QUEUED:
        transaction.on_commit(lambda: _wake(found.id))
    return found


def download_pause(download: Download) -> Download:
    """What has come stays. Raises AppError("download_over", 409)."""
    return _change(download, [State.QUEUED, *leases.HELD], State.PAUSED)


def download_resume(download: Download) -> Download:
    """Go on with one that is paused or failed. Raises AppError: "download_over" (409), "disk_full" (507)."""
    if download.state in (State.PAUSED, State.FAILED):
        _room(place_of(download), files_of(download), but=download.pk)
    changed = _change(
        download, [State.PAUSED, State.FAILED], State.QUEUED, error=None, attempts=0, finished=None
    )
    if changed.state == State.QUEUED:
        transaction.on_commit(lambda: _wake(changed.id))
    return changed


@retried
def download_cancel(download: Download) -> Download:
    """Call it off: the worker takes the files away, and the model that they were for is forgotten.

    Raises AppError("download_over", 409) when the files are all here.
    """
    with transaction.atomic():
        changed = _change(
            download,
            [State.QUEUED, State.PAUSED, State.FAILED, *leases.HELD],
            State.CANCELLED,
            key=None,
            finished=None,
        )
        if changed.state == State.CANCELLED:
            Model.objects.filter(pk=changed.model_id).exclude(source__has_key="path").delete()
    return changed


def files_remove(model: Model) -> None:
    """Take a hub model's files off the disk, unless another model uses them. Call it before the row goes.

    Nothing outside `<data>/models/<hub>/` is touched, so a folder that a person named stays.
    """
    if model.source.get("kind") != "hub":
        return
    downloads = list(Download.objects.filter(model_id=model.pk).exclude(state=State.CANCELLED))
    for download in downloads:
        if download.state == State.DONE:
            clean.files_take_away(download)
            Download.objects.filter(pk=download.pk).delete()
        else:
            Download.objects.filter(pk=download.pk).update(state=State.CANCELLED, key=None, finished=None)


def _wanted(files: Sequence[HubFile]) -> list[Wanted]:
    """Raises AppError for what could not be checked, or would lie elsewhere."""
    wanted = []
    for file in files:
        one = Wanted(file.path, file.size, file.sha256, None if file.sha256 else file.blob_sha1)
        try:
            places.path_check(one.path)
            if not one.digest or one.size < 0:
                raise Failure("unverifiable", name=one.path)
        except Failure as failure:
            raise _as_app_error(failure, 400) from None
        wanted.append(one)
    return wanted


def _again(key: str) -> Download | None:
    """The one that is the same, set going again where it stands still."""
    found = Download.objects.filter(key=key).first()
    if found is None:
        return None
    model = Model.objects.filter(pk=found.model_id).first()
    if model is None:  # deleted: its download is history, and what lies on the disk is checked again
        over = State.DONE if found.state == State.DONE else State.CANCELLED
        Download.objects.filter(pk=found.pk).update(key=None, state=over)
        return None
    if found.state in (State.PAUSED, State.FAILED):
        return download_resume(found)
    if found.state == State.DONE and not _is_complete(found):
        Model.objects.filter(pk=model.pk).update(
            source={name: value for name, value in model.source.items() if name != "path"}
        )
        return _change(found, [State.DONE], State.QUEUED, attempts=0, finished=None)
    return found


def _is_complete(download: Download) -> bool:
    folder = place_of(download)
    return all(storage.has_size(folder / file.path, file.size) for file in files_of(download))


def _create(
    info: RepoInfo, wanted: list[Wanted], key: str, user: User | None, name: str | None, *, first: bool
) -> Download:
    folder = places.folder_of(info.hub, info.repo, info.revision, wanted)
    _room(folder, wanted)
    row = Download(
        hub=info.hub,
        repo=info.repo,
        revision=info.revision,
        files=[_line(file) for file in wanted],
        key=key,
        bytes_total=sum(file.size for file in wanted),
        bytes_done=places.present_bytes(folder, wanted),
        asked_by=user,
    )
    for _attempt in range(_TRIES):
        try:
            _store(row, _model(info, wanted, name), first=first)
            return row
        except AppError as error:
            if error.code != "name_taken" or name is not None:
                raise
        except IntegrityError:  # another asked for the same in this moment
            found = Download.objects.filter(key=key).first()
            if found is None:
                raise
            return found
    raise AppError("name_taken", _("Another model has this name."), status=409)


@retried
def _store(row: Download, model: Model, *, first: bool) -> None:
    """Both or none. The download's key goes first: who asks for the same waits there, and then finds it."""
    from models_registry.services import model_add

    with transaction.atomic():
        row.model_id = model.pk
        row.save(force_insert=True)
        model_add(model)
        if first:
            Once.objects.create(key=Once.FIRST_MODEL, model_id=model.pk)


def _model(info: RepoInfo, wanted: list[Wanted], name: str | None) -> Model:
    return Model(
        name=_name(info, wanted, name),
        engine=engine_expected(wanted),
        source={"kind": "hub", "hub": info.hub, "repo": info.repo, "revision": info.revision},
        languages=catalogue.languages_of(info.hub, info.repo),
    )


def _name(info: RepoInfo, wanted: list[Wanted], name: str | None) -> str:
    """The given one, checked; else the repository's (a GGUF's own), with a number where it is taken."""
    from models_registry.services import name_check, name_free

    if name is not None:
        return name_check(name)
    ggufs = [file.path for file in wanted if file.path.endswith(".gguf")]
    plain = PurePosixPath(ggufs[0]).stem if len(ggufs) == 1 else info.repo.rpartition("/")[2]
    return name_free(plain)


def _line(file: Wanted) -> dict[str, Any]:
    hash_ = {"sha256": file.sha256} if file.sha256 else {"sha1": file.sha1}
    return {"path": file.path, "size": file.size, **hash_, "done": 0}


def _room(folder: Path, wanted: Sequence[Wanted], but: str | None = None) -> None:
    try:
        places.room_check(folder, wanted, promised_bytes(but))
    except Failure as failure:
        raise _as_app_error(failure, 507) from None


def _as_app_error(failure: Failure, status: int) -> AppError:
    message = words.sentence(failure.code, failure.values)
    return AppError(failure.code, message, failure.values, status=status)


def _change(download: Download, before: list[State], after: State, **values: Any) -> Download:
    """One conditional UPDATE; asking for what is so already is no error."""
    rows = Download.objects.filter(pk=download.pk, state__in=before)
    changed = rows.update(state=after, speed=0.0, **values)
    download.refresh_from_db()
    if not changed and download.state != after and not _on_its_way(download, after):
        raise AppError(
            "download_over", _("This download has come to its end."), {"state": download.state}, status=409
        )
    return download


def _on_its_way(download: Download, after: State) -> bool:
    """Going on is what one that runs does."""
    return (after == State.QUEUED and download.state in leases.HELD) or (
        after == State.PAUSED and download.state == State.FAILED
    )


def _wake(download_id: str) -> None:
    from config.celery import app
    from models_registry.downloads.watch import watch

    watch.look()
    try:
        app.send_task(TASK, args=[download_id], retry=False, ignore_result=True)
    except Exception as error:  # whatever a broker raises: the worker's sweep delivers instead
        log.warning("The broker did not take download %s (%s); the worker will find it", download_id, error)
