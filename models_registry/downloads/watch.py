"""Tells open sockets how far the downloads are. Looks at the database only while somebody listens."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from django.utils.translation import override

from config.db import in_db
from models_registry.downloads import leases, selectors, words
from models_registry.live import Callback, State, stopped
from models_registry.models import Download

log = logging.getLogger(__name__)

#: Seconds between looks while a download is open; and while none is, as another process may begin one.
QUICK, CALM = 1.0, 5.0


class Watch:
    """One per process; all methods but `look` belong to the event loop."""

    def __init__(self) -> None:
        self._listeners: dict[int, tuple[Callback, str]] = {}
        self._next = 0
        self._known: dict[str, tuple[State, dict[str, Any] | None]] = {}
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._nudge = asyncio.Event()

    def subscribe(self, callback: Callback, language: str) -> Callable[[], None]:
        """Call `callback` on the loop with each change, what is known at once; returns what ends that."""
        number = self._next = self._next + 1
        self._listeners[number] = (callback, language)
        self._ensure_started()
        for state, error in self._known.values():
            self._say(callback, language, state, error)
        return lambda: self._leave(number)

    def look(self) -> None:
        """Something has begun: look now. From any thread; nothing happens where nobody listens."""
        loop = self._loop
        if loop is not None and self._listeners and not loop.is_closed():
            loop.call_soon_threadsafe(self._nudge.set)

    def _leave(self, number: int) -> None:
        self._listeners.pop(number, None)
        if not self._listeners and self._task is not None:
            self._task.cancel()
            self._task, self._known = None, {}

    def _ensure_started(self) -> None:
        loop = asyncio.get_running_loop()
        if self._loop is loop and self._task is not None and not self._task.done():
            return
        self._loop, self._nudge, self._known = loop, asyncio.Event(), {}
        self._task = loop.create_task(self._watch(), name="downloads-watch")

    async def _watch(self) -> None:
        while True:
            try:
                self._compare(await in_db(_read, list(self._known)))
            except Exception as error:  # the database may be away for a moment
                log.debug("The downloads could not be read: %s", error)
            try:
                async with asyncio.timeout(QUICK if self._known else CALM):
                    await self._nudge.wait()
            except TimeoutError:
                continue
            self._nudge.clear()

    def _compare(self, now: dict[str, tuple[State, dict[str, Any] | None]]) -> None:
        for model_id, told in now.items():
            if self._known.get(model_id) != told:
                self._tell(*told)
        # What is over is told once; what moves or waits is looked at again.
        self._known = {model_id: told for model_id, told in now.items() if told[0]["state"] == "downloading"}

    def _tell(self, state: State, error: dict[str, Any] | None) -> None:
        for callback, language in list(self._listeners.values()):
            self._say(callback, language, state, error)

    def _say(self, callback: Callback, language: str, state: State, error: dict[str, Any] | None) -> None:
        try:
            with override(language):
                callback(state | {"error": words.told(error)})
        except Exception:
            log.exception("A listener of the downloads failed")


def _read(known: list[str]) -> dict[str, tuple[State, dict[str, Any] | None]]:
    """Of all models on their way, and of the `known` ones, which may have come or gone: state and error."""
    moving = Download.objects.filter(state__in=(*leases.OPEN, Download.State.PAUSED)).exclude(model_id="")
    rows = {row.model_id: row for row in moving.order_by("created").defer("files")}
    missing = [model_id for model_id in known if model_id not in rows]
    rows |= selectors.downloads_of(missing) if missing else {}
    found: dict[str, tuple[State, dict[str, Any] | None]] = {}
    for model_id, row in rows.items():
        here = row.state == Download.State.DONE
        state = stopped(model_id) if here else selectors.state_of(model_id, "", row)
        found[model_id] = (state | {"download": selectors.download_brief(row), "error": None}, row.error)
    return found


watch = Watch()
