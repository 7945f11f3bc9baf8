"""The worker's threads for downloads. They are apart from those of loads, which never wait for a download."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from models_registry.downloads import leases
from models_registry.downloads.clean import download_clean
from models_registry.downloads.run import download_run

log = logging.getLogger(__name__)

#: Downloads at the same time; each fetches up to three files at once.
AT_ONCE = 2


class Pool:
    """Threads are made when the first download comes. `take_up` returns at once."""

    def __init__(self) -> None:
        self._runs = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="download")
        self._broom = ThreadPoolExecutor(1, thread_name_prefix="broom")
        self._under_way: set[str] = set()
        self._lock = threading.Lock()

    def take_up(self, download_id: str) -> None:
        self._submit(self._runs, download_run, download_id)

    def sweep(self) -> None:
        """Take up what no message brought and what a dead worker left; called every few seconds."""
        leases.cancel_orphans()
        for download_id in leases.due():
            self.take_up(download_id)
        for download_id in leases.to_clean():
            self._submit(self._broom, download_clean, download_id)

    def _submit(self, threads: ThreadPoolExecutor, work: Callable[[str], object], download_id: str) -> None:
        with self._lock:
            if download_id in self._under_way:
                return
            self._under_way.add(download_id)
        threads.submit(self._work, work, download_id)

    def _work(self, work: Callable[[str], object], download_id: str) -> None:
        from django.db import connections

        try:
            work(download_id)
        except Exception:
            log.exception("Download %s could not be handled", download_id)
        finally:
            connections.close_all()
            with self._lock:
                self._under_way.discard(download_id)


pool = Pool()
