"""What the models are doing right now, as the inference process tells it; one board per process."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from collections.abc import Callable
from typing import Any

from asgiref.sync import async_to_sync
from django.conf import settings
from django.utils.translation import gettext_noop

from inference.client import InferenceClient
from inference.errors import InferenceError

log = logging.getLogger(__name__)

State = dict[str, Any]
Callback = Callable[[State], None]

#: Translated where it is shown: the board has no language.
AWAY = gettext_noop("The model service does not answer.")
FIRST_DELAY, LONGEST_DELAY = 0.2, 5.0
#: How long a reader waits for the first word of the model service (seconds).
FIRST_WORD = 1.0


@functools.cache
def client() -> InferenceClient:
    """This process' client of the model service."""
    return InferenceClient(
        settings.HEARTH_INFERENCE, getattr(settings, "HEARTH_INFERENCE_SECRET", "") or None
    )


def logs() -> dict[str, str]:
    """By model, the last lines that the process of a failed one wrote; {} when the service is away.

    For code outside the loop. Paths and addresses may stand in them: for administrators only.
    """

    async def ask() -> State:
        # A client of its own: its connection belongs to this loop, which ends with the call.
        service = InferenceClient(settings.HEARTH_INFERENCE, settings.HEARTH_INFERENCE_SECRET or None)
        try:
            return await asyncio.wait_for(service.state(), FIRST_WORD)
        finally:
            await service.close()

    try:
        lines = async_to_sync(ask)()["models"]
    except (InferenceError, TimeoutError):
        return {}
    return {line["model"]: line["engine_log"] for line in lines if line.get("engine_log")}


def stopped(model_id: str, name: str = "", error: dict[str, str] | None = None) -> State:
    """The state of a model that nothing runs."""
    return {
        "kind": "model",
        "model": model_id,
        "name": name,
        "state": "stopped",
        "progress": None,
        "device": None,
        "memory_bytes": None,
        "predicted_bytes": None,
        "measured_bytes": None,
        "returned_bytes": None,
        "tokens_per_second": None,
        "pid": None,
        "context_length": None,
        "capabilities": [],
        "running": 0,
        "waiting": 0,
        "packed": None,
        "reason": None,
        "error": error,
    }


class StateBoard:
    """The newest state of each model that is not stopped.

    One task watches the model service and comes back with back-off when it is away; meanwhile every model
    reads as stopped, with the reason as its error. All methods but `read` belong to the event loop.
    """

    def __init__(self, connect: Callable[[], InferenceClient] = client) -> None:
        self.states: dict[str, State] = {}
        self.error: dict[str, str] | None = None
        self._connect = connect
        self._callbacks: set[Callback] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._first_word = asyncio.Event()
        # What came back at the last unload, by model: a stopped one has no line that could hold it.
        self._returned: dict[str, int] = {}

    def ensure_started(self) -> None:
        """Keep watching on the running loop. May be called as often as one likes."""
        loop = asyncio.get_running_loop()
        if self._loop is loop and self._task is not None and not self._task.done():
            return
        self._cancel()
        self._loop = loop
        self._first_word = asyncio.Event()
        self._task = loop.create_task(self._watch_until_the_end(), name="models-state-board")

    def _cancel(self) -> None:
        """End a watch that another loop still runs: two would write over each other."""
        if self._loop is not None and self._task is not None and not self._loop.is_closed():
            with contextlib.suppress(RuntimeError):  # closed in this very moment
                self._loop.call_soon_threadsafe(self._task.cancel)

    async def stop(self) -> None:
        if self._task is not None and self._loop is asyncio.get_running_loop():
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self._task = None

    def subscribe(self, callback: Callback) -> Callable[[], None]:
        """Call `callback` with each change, on the loop; returns what ends that."""
        self._callbacks.add(callback)
        return lambda: self._callbacks.discard(callback)

    def state_of(self, model_id: str, name: str = "") -> State:
        known = self.states.get(model_id)
        return known or stopped(model_id, name, self.error) | {"returned_bytes": self._returned.get(model_id)}

    async def settle(self) -> None:
        """Start, and wait until the service has spoken or is known to be away; at most FIRST_WORD seconds."""
        self.ensure_started()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._first_word.wait(), FIRST_WORD)

    def read(self) -> None:
        """`settle` for code outside the loop (views, admin pages): it runs on the server's loop."""
        if self._loop is None or self._loop.is_closed() or not self._first_word.is_set():
            async_to_sync(self.settle)()

    async def _watch_until_the_end(self) -> None:
        try:
            await self._watch()
        finally:
            await self._connect().close()  # the loop is about to end

    async def _watch(self) -> None:
        delay = FIRST_DELAY
        while True:
            try:
                service = self._connect()
                # The watch says nothing while no model runs; only an answer proves that the service is there.
                snapshot = await service.state()
                delay = FIRST_DELAY
                self.error = None
                for entry in snapshot.get("models", []):
                    self._heard(entry)
                self._first_word.set()
                async for event in service.watch():
                    if event.get("kind") == "model":
                        self._heard(event)
            except InferenceError as error:
                self._lost(error)
            except Exception as error:
                # A fault of ours must not end the watch: models would read as they once were, for ever.
                log.exception("The watch of the models failed")
                self._lost(error)
            await asyncio.sleep(delay)
            delay = min(delay * 2, LONGEST_DELAY)

    def _heard(self, event: State) -> None:
        state = {name: event.get(name, empty) for name, empty in stopped(event["model"]).items()}
        model_id = str(event["model"])
        if self.states.get(model_id) == state:
            return  # the watch begins with what the snapshot said
        if state["returned_bytes"] is not None:
            self._returned[model_id] = state["returned_bytes"]
        # A failed model stays on the board: its error is what the page has to show.
        if state["state"] == "stopped":
            self.states.pop(model_id, None)
        else:
            self.states[model_id] = state
        self._tell(state)

    def _lost(self, why: Exception) -> None:
        if self.error is None:
            log.warning("The model service is away: %s", why)
        # Users read this: no addresses and no library's words.
        error = self.error = {"code": "unavailable", "message": AWAY}
        self._first_word.set()
        gone, self.states = self.states, {}
        for model_id, state in gone.items():
            self._tell(stopped(model_id, state.get("name", ""), error))

    def _tell(self, event: State) -> None:
        for callback in list(self._callbacks):
            try:
                callback(event)
            except Exception:
                log.exception("A listener of the models' states failed")


board = StateBoard()
