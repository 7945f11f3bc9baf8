"""A model from a hub into this house, told in the terminal. Ctrl-C pauses; the same call goes on."""

from __future__ import annotations

import sys
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.errors import AppError
from models_registry import hubs
from models_registry.downloads import leases, selectors, services, words
from models_registry.downloads.run import download_run
from models_registry.models import Download, Model

LOOK_EVERY = 0.5
OVER = (Download.State.DONE, Download.State.FAILED, Download.State.CANCELLED, Download.State.PAUSED)


class Command(BaseCommand):
    help = "Download a model from ModelScope or Hugging Face and register it. Interrupted, it goes on later."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("repo", help="owner/name")
        parser.add_argument("--hub", choices=hubs.names(), default=hubs.names()[0])
        parser.add_argument("--revision", help="a branch, a tag or a commit; default: the newest")
        parser.add_argument("--name", help="what the model is called here; default: as on the hub")
        parser.add_argument(
            "--file",
            action="append",
            dest="files",
            metavar="PATH",
            help="only this file (a GGUF of several); may be given again",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            download = services.download_request(
                hub=options["hub"],
                repo=options["repo"],
                revision=options["revision"],
                files=options["files"],
                name=options["name"],
                wake=False,  # this process does the work
            )
        except AppError as error:
            raise CommandError(error.message) from error
        self._line = _Line(self.stdout)
        mine = False
        try:
            while download.state not in OVER:
                # Another may have it: a worker, which is followed, or one that died, until its lease ends.
                mine = True
                mine = download_run(download.pk, told=self._line.show)
                if not mine:
                    self._line.show(download)
                    time.sleep(LOOK_EVERY)
                download.refresh_from_db()
        except KeyboardInterrupt:
            self._interrupted(download, mine)
        self._line.end()
        self._tell_end(download)

    def _interrupted(self, download: Download, mine: bool) -> None:
        self._line.end()
        if not mine:
            raise CommandError("The worker goes on with it; the models page shows how far it is.")
        download.refresh_from_db()
        owner = download.owner
        if download.state not in OVER:
            services.download_pause(download)
            leases.let_go(owner)
        raise CommandError("Paused. The same command goes on from here.")

    def _tell_end(self, download: Download) -> None:
        if download.state == Download.State.DONE:
            model = Model.objects.filter(pk=download.model_id).first()
            place = model.source.get("path", "") if model else ""
            self.stdout.write(f"{model.name if model else download.repo}: {place}")
            return
        error = words.told(download.error)
        raise CommandError(error["message"] if error else f"The download is {download.state}.")


class _Line:
    """One line that is written over in a terminal; in a file a line every ten seconds."""

    def __init__(self, out: Any) -> None:
        self._out = out
        self._lasting = not sys.stdout.isatty()
        self._next = 0.0
        self._length = 0

    def show(self, download: Download) -> None:
        if self._lasting and time.monotonic() < self._next:
            return
        self._next = time.monotonic() + 10.0
        text = self._text(download)
        if self._lasting:
            self._out.write(text)
        else:
            self._out.write("\r" + text.ljust(self._length), ending="")
            self._out.flush()
        self._length = len(text)

    def end(self) -> None:
        if self._length and not self._lasting:
            self._out.write("")
        self._length = 0

    @staticmethod
    def _text(download: Download) -> str:
        share = selectors.progress_of(download)
        parts = [
            f"{download.repo}: {download.state}",
            f"{words.size(download.bytes_done)} of {words.size(download.bytes_total)}",
            "" if share is None else f"{share:.1%}",
        ]
        left = selectors.seconds_left(download)
        if left is not None:
            parts += [f"{words.size(download.speed)}/s", f"{int(left) // 60}:{int(left) % 60:02d} left"]
        return ", ".join(filter(None, parts))
