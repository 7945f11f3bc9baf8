"""Closes sockets whose credential has ended: at once when this process ended it, else within a second."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from accounts.selectors import Credential, credentials_ended
from accounts.signals import credential_ended
from config.db import in_db

log = logging.getLogger(__name__)

LOOK_EVERY = 0.5


class Doorkeeper:
    """Knows the open sockets of this process by their credential."""

    def __init__(self) -> None:
        self._open: dict[Credential, set[Callable[[], object]]] = {}
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._look = asyncio.Event()
        credential_ended.connect(self._heard, weak=False, dispatch_uid="doorkeeper")

    def enter(self, credential: Credential, close: Callable[[], object]) -> Callable[[], None]:
        """Call `close` on the loop when the credential ends; returns what to call when the socket is gone."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._open, self._loop, self._look = {}, loop, asyncio.Event()
        self._open.setdefault(credential, set()).add(close)
        if self._task is None or self._task.done() or self._task.get_loop() is not loop:
            self._task = loop.create_task(self._watch(), name="doorkeeper")

        def leave() -> None:
            mine = self._open.get(credential)
            if mine is not None:
                mine.discard(close)
                if not mine:
                    self._open.pop(credential, None)

        return leave

    def _heard(self, **kwargs: Any) -> None:
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._look.set)

    async def _watch(self) -> None:
        while self._open:
            try:
                for credential in await in_db(credentials_ended, list(self._open)):
                    for close in list(self._open.get(credential, ())):
                        close()
            except Exception:
                log.exception("Open sockets could not be checked; trying again")
            self._look.clear()
            try:
                async with asyncio.timeout(LOOK_EVERY):
                    await self._look.wait()
            except TimeoutError:
                pass


doorkeeper = Doorkeeper()
