"""Django's SQLite backend with a fair queue of writers inside one process.

SQLite lets waiting writers poll the file's lock and the luckiest wins; with a few busy threads a commit that
takes 2 ms waits for hundreds. Threads of one process therefore line up in memory before `BEGIN IMMEDIATE`.
Other processes still meet at the file's lock, with the busy timeout.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Any

from django.db.backends.sqlite3 import base


class FairLock:
    """First come, first served. The holder may be another thread than the one that releases."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._held = False
        self._line: deque[threading.Lock] = deque()

    def acquire(self, timeout: float) -> bool:
        """False when it was not our turn within `timeout` seconds."""
        with self._guard:
            if not self._held:
                self._held = True
                return True
            place = threading.Lock()
            place.acquire()
            self._line.append(place)
        if place.acquire(timeout=timeout):
            return True
        with self._guard:
            if place in self._line:
                self._line.remove(place)
                return False
        return True  # handed over in the very moment we gave up

    def release(self) -> None:
        with self._guard:
            if self._line:
                self._line.popleft().release()
            else:
                self._held = False


_locks: dict[str, FairLock] = {}


class DatabaseWrapper(base.DatabaseWrapper):
    _holds: FairLock | None = None

    def _start_transaction_under_autocommit(self) -> None:
        lock = _locks.setdefault(str(self.settings_dict["NAME"]), FairLock())
        # Past the time limit we go on without our turn and let the busy timeout decide.
        self._holds = lock if lock.acquire(timeout=20) else None
        try:
            super()._start_transaction_under_autocommit()  # type: ignore[misc]
        except BaseException:
            self._release()
            raise

    def _commit(self) -> Any:
        try:
            return super()._commit()  # type: ignore[misc]
        finally:
            if not self.needs_rollback_after_failed_commit():
                self._release()

    def _rollback(self) -> Any:
        try:
            return super()._rollback()  # type: ignore[misc]
        finally:
            self._release()

    def _close(self) -> Any:
        try:
            return super()._close()  # type: ignore[misc]
        finally:
            self._release()

    def needs_rollback_after_failed_commit(self) -> bool:
        """A commit that failed leaves the transaction open, so the place in the line is kept."""
        return self.connection is not None and self.connection.in_transaction

    def _release(self) -> None:
        held, self._holds = self._holds, None
        if held is not None:
            held.release()
