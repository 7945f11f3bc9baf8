"""One download, from taking it to its end: the transfer works, this thread keeps the row."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.db import DatabaseError
from django.utils import timezone

from config.errors import AppError
from models_registry import hubs
from models_registry.downloads import leases, places
from models_registry.downloads.failure import Failure, stored
from models_registry.downloads.landed import files_of, inspect, land
from models_registry.downloads.transfer import Transfer
from models_registry.models import Download, Model

log = logging.getLogger(__name__)

#: Seconds between looks at what a person wants, and between words on how far it is.
LOOK_EVERY, TELL_EVERY = 0.5, 1.0
#: The speed told is of about so many seconds.
SPEED_OVER = 5.0
#: Workers that may die over it without one byte more.
MOST_ATTEMPTS = 5

Told = Callable[[Download], None]


def download_run(download_id: str, told: Told | None = None) -> bool:
    """Take the download and fetch it. False when another has it or it is over. Never raises for the download.

    Ends when the files are here, when it failed, or when the row says paused, cancelled or another owner.
    """
    owner = leases.take(download_id)
    if owner is None:
        return False
    download = Download.objects.get(pk=download_id)
    try:
        _Run(download, owner, told).run()
    except (Failure, AppError) as error:
        _fail(download, owner, stored(error, **_about(download)))
    except Exception as error:
        log.exception("Download %s failed", download_id)
        _fail(download, owner, {"code": "internal", "values": {"name": type(error).__name__}})
    finally:
        leases.let_go(owner)
    return True


def place_of(download: Download) -> Path:
    return places.folder_of(download.hub, download.repo, download.revision, files_of(download))


def promised_bytes(but: str | None = None) -> int:
    """What is still to come for the other downloads that are under way or will be."""
    others = Download.objects.filter(state__in=leases.OPEN).exclude(pk=but)
    return sum(max(0, total - done) for total, done in others.values_list("bytes_total", "bytes_done"))


class _Run:
    def __init__(self, download: Download, owner: str, told: Told | None) -> None:
        self.download, self.owner, self.told = download, owner, told
        self.files = files_of(download)
        self.folder = place_of(download)
        self._speed = _Speed(SPEED_OVER)
        self._before = download.bytes_done

    def run(self) -> None:
        download = self.download
        if download.attempts > MOST_ATTEMPTS:
            raise Failure("download_lost")
        places.room_check(self.folder, self.files, promised_bytes(but=download.pk))
        trusted = frozenset(line["path"] for line in download.files if line.get("checked"))
        transfer = Transfer(
            hubs.get(download.hub), download.repo, download.revision, self.folder, self.files, trusted=trusted
        )
        transfer.start()
        try:
            if not self._watch(transfer):
                return
        finally:
            transfer.stop()
            transfer.join()
        self._tell(transfer)
        if transfer.error is not None:
            raise transfer.error
        land(download, inspect(self.folder, self.files), self.owner)
        if self.told is not None:
            download.refresh_from_db()
            self.told(download)

    def _watch(self, transfer: Transfer) -> bool:
        """Until the transfer ends (True), or the row is not ours any more."""
        tell_at = 0.0
        while transfer.is_alive():
            try:
                if time.monotonic() >= tell_at:
                    tell_at = time.monotonic() + TELL_EVERY
                    mine = self._tell(transfer)
                else:
                    mine = self._rows().exists()
                if not mine:
                    return False
            except DatabaseError as error:  # locked or away: the files go on, and the next look tells
                log.warning("The progress of %s could not be written: %s", self.download.pk, error)
            transfer.join(LOOK_EVERY)
        return True

    def _tell(self, transfer: Transfer) -> bool:
        """Write how far it is and keep the lease; False when the row is not ours any more."""
        download = self.download
        done, checked = dict(transfer.done), set(transfer.checked)
        download.bytes_done = sum(done.values())
        download.speed = self._speed(download.bytes_done)
        download.files = [
            {**line, "done": done[line["path"]], "checked": line["path"] in checked}
            for line in download.files
        ]
        download.state = Download.State.VERIFYING if transfer.verifying else Download.State.RUNNING
        values: dict[str, Any] = {
            name: getattr(download, name) for name in ("state", "bytes_done", "speed", "files")
        }
        if download.bytes_done > self._before:  # this worker got further, so none before it died of this
            values["attempts"] = download.attempts = 0
        if self.told is not None:
            self.told(download)
        there = Model.objects.filter(pk=download.model_id).exists()
        if not there:
            self._rows().update(state=Download.State.CANCELLED, key=None)
            return False
        return bool(self._rows().update(lease_until=timezone.now() + leases.LEASE, **values))

    def _rows(self) -> Any:
        return Download.objects.filter(pk=self.download.pk, owner=self.owner, state__in=leases.HELD)


class _Speed:
    """Bytes per second, smoothed over about `over` seconds."""

    def __init__(self, over: float) -> None:
        self._over = over
        self._at: float | None = None
        self._bytes = 0
        self._speed: float | None = None

    def __call__(self, count: int) -> float:
        now = time.monotonic()
        if self._at is not None and now > self._at:
            # A file that begins anew is no negative speed.
            current = max(0, count - self._bytes) / (now - self._at)
            weight = min(1.0, (now - self._at) / self._over)
            self._speed = current if self._speed is None else self._speed + weight * (current - self._speed)
        self._at, self._bytes = now, count
        return self._speed or 0.0


def _about(download: Download) -> dict[str, str]:
    return {"hub": hubs.get(download.hub).title, "repo": download.repo}


def _fail(download: Download, owner: str, error: dict[str, Any]) -> None:
    Download.objects.filter(pk=download.pk, owner=owner, state__in=leases.HELD).update(
        state=Download.State.FAILED,
        error=error,
        speed=0.0,
        owner="",
        lease_until=None,
        finished=timezone.now(),
    )
