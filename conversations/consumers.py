"""`/ws/chat/`: one socket for all of a user's conversations. Parses, calls, sends; turns run elsewhere."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from channels.generic.websocket import AsyncWebsocketConsumer
from django.db import DatabaseError
from django.utils.translation import gettext as _
from django.utils.translation import override

from accounts.sockets import PROTOCOL, authenticate_socket, origin_allowed, socket_language
from config.db import in_db
from config.errors import AppError
from conversations import frames, services
from conversations.doors import doorkeeper
from conversations.event_log import follow, watch_check
from conversations.job import begin
from conversations.notices import announce, group_of
from conversations.runner import runner
from conversations.selectors import turn_get
from conversations.services import Ask, Begun
from models_registry.downloads.watch import watch as downloads
from models_registry.live import board
from models_registry.selectors import model_visible

log = logging.getLogger(__name__)
T = TypeVar("T")

HEARTBEAT_EVERY = 15.0
#: A client that takes nothing for this long is cut off; it comes back with its seq (seconds).
STUCK_AFTER = 30.0
MOST_FRAMES_AT_ONCE = 32
MOST_WATCHES = 256
UNAUTHORIZED = 4401


class ChatConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._tasks: set[asyncio.Task[None]] = set()
        self._watches: dict[str, asyncio.Task[None]] = {}
        # By what they are about: the frame, and the model whose users alone may have it.
        self._hints: dict[str, tuple[str, str]] = {}
        self._may_see: dict[str, tuple[str, bool]] = {}
        self._hinted = asyncio.Event()
        self._told: dict[str, Any] = {}
        self._sending = 0
        self._moved = time.monotonic()
        self._leave: list[Any] = []
        self._busy = asyncio.Semaphore(MOST_FRAMES_AT_ONCE)

    async def connect(self) -> None:
        if not origin_allowed(self.scope):
            await self.close()  # before the accept: the upgrade itself is refused with 403
            return
        offered = PROTOCOL in (self.scope.get("subprotocols") or [])
        try:
            user, credential = await in_db(authenticate_socket, self.scope)
        except AppError:
            # A close before the accept would reach a browser as 1006, which says nothing.
            await self.accept(PROTOCOL if offered else None)
            await self.close(UNAUTHORIZED)
            return
        self.user_id: str = user.pk
        self._language = socket_language(self.scope, user)
        await self.accept(PROTOCOL)
        runner.ensure_started()
        await self.channel_layer.group_add(group_of(self.user_id), self.channel_name)
        self._leave = [
            doorkeeper.enter(credential, lambda: self._spawn(self.close(UNAUTHORIZED))),
            board.subscribe(self._model_changed),
            downloads.subscribe(self._model_changed, self._language),
        ]
        self._spawn(self._send_hints())
        self._spawn(self._beat())

    async def disconnect(self, code: int) -> None:
        for leave in self._leave:
            leave()
        if hasattr(self, "user_id"):
            await self.channel_layer.group_discard(group_of(self.user_id), self.channel_name)
        for task in [*self._watches.values(), *self._tasks]:
            if task is not asyncio.current_task():
                task.cancel()

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if not hasattr(self, "user_id"):
            return
        # A slow database must not make a stop wait behind a start; the semaphore bounds one client's work.
        await self._busy.acquire()
        self._spawn(self._handle(text_data)).add_done_callback(lambda _done: self._busy.release())

    async def _handle(self, text: str | None) -> None:
        with override(self._language):
            await self._answer(text)

    async def _answer(self, text: str | None) -> None:
        try:
            frame = frames.parse(text)
            await self._dispatch(frame)
        except AppError as error:
            about = frames.identity(text) if text and len(text) <= frames.LONGEST_FRAME else {}
            await self._send(frames.dump(frames.error_frame(error, about)))
        except Exception:
            log.exception("A frame could not be handled")
            broken = AppError("server_error", _("Something went wrong on the server."))
            about = frames.identity(text)
            await self._send(frames.dump(frames.error_frame(broken, about)))

    async def _dispatch(self, frame: frames.Frame) -> None:
        kind = frame["type"]
        if kind == "ping":
            await self._send(frames.dump({"type": "pong", "t": frame.get("t")}))
        elif kind == "turn.stop":
            turn = await in_db(turn_get, self.user_id, frame["turn"])
            await runner.stop(turn.pk)
        elif kind == "turn.watch":
            turn = await in_db(turn_get, self.user_id, frame["turn"])
            await in_db(watch_check, turn, frame["after_seq"])
            self._watch(turn.pk, turn.conversation_id, frame["after_seq"])
        elif kind == "turn.confirm":
            await in_db(turn_get, self.user_id, frame["turn"])
            raise AppError("nothing_to_confirm", _("This turn asks nothing."))
        else:
            await self._begin(frame)

    async def _begin(self, frame: frames.Frame) -> None:
        kind = frame["type"]
        ask = Ask(
            user_id=self.user_id,
            client_id=frame["client_id"],
            model=frame.get("model"),
            task=frame.get("task"),
            params=frame.get("params"),
        )
        if kind == "turn.start":
            starts = _start(
                ask, services.turn_start, conversation_id=frame["conversation"], content=frame["content"]
            )
        elif kind == "turn.edit":
            starts = _start(ask, services.turn_edit, message_id=frame["message"], content=frame["content"])
        elif kind == "turn.retry":
            starts = _start(ask, services.turn_retry, message_id=frame["message"])
        else:
            starts = _start(ask, services.turn_continue, message_id=frame["message"])
        # A socket that closes in this moment cancels us, but not the turn, which is stored by then.
        begun = await asyncio.shield(_keep(starts))
        accepted = {"type": "turn.accepted", "client_id": frame["client_id"], **begun.accepted()}
        await self._send(frames.dump(accepted))
        self._watch(begun.turn, begun.conversation, 0)

    def _watch(self, turn_id: str, conversation_id: str, after: int) -> None:
        """A second watch of the same turn moves the cursor."""
        if len(self._watches) >= MOST_WATCHES and turn_id not in self._watches:
            raise AppError("too_many_watches", _("This socket watches too many turns."), status=429)
        old = self._watches.pop(turn_id, None)
        if old is not None:
            old.cancel()
        task = asyncio.create_task(self._forward(turn_id, conversation_id, after), name=f"watch-{turn_id}")
        self._watches[turn_id] = task

        def ended(done: asyncio.Task[None]) -> None:
            if self._watches.get(turn_id) is done:
                del self._watches[turn_id]
            if not done.cancelled() and done.exception() is not None:
                log.debug("A watch ended: %s", done.exception())

        task.add_done_callback(ended)

    async def _forward(self, turn_id: str, conversation_id: str, after: int) -> None:
        async for events in follow(turn_id, after):
            for event in events:
                await self._send(frames.event_frame(turn_id, conversation_id, event))

    async def user_notice(self, message: dict[str, Any]) -> None:
        frame = message["frame"]
        about = frame.get("turn") or frame.get("conversation", {}).get("id", "")
        self._hint(f"{frame['type']} {about}", frame)

    def _model_changed(self, state: dict[str, Any]) -> None:
        told = (state["state"], state["progress"], state["error"], state.get("download"))
        if self._told.get(state["model"]) == told:
            return  # only its counts of requests changed
        self._told[state["model"]] = told
        frame = {
            "type": "model.changed",
            "model": state["model"],
            "state": state["state"],
            "progress": state["progress"],
            "error": state["error"],
        }
        if state.get("download") is not None:
            frame["download"] = state["download"]
        self._hint(f"model {state['model']}", frame, state["model"])

    def _hint(self, about: str, frame: dict[str, Any], model_id: str = "") -> None:
        """Only the newest hint about one thing waits, so a slow reader costs no memory."""
        self._hints[about] = frames.dump(frame), model_id
        self._hinted.set()

    async def _send_hints(self) -> None:
        while True:
            await self._hinted.wait()
            self._hinted.clear()
            waiting, self._hints = self._hints, {}
            for frame, model_id in waiting.values():
                if not model_id or await self._sees(model_id):
                    await self._send(frame)

    async def _sees(self, model_id: str) -> bool:
        """Asked of the database at each new state only: a load tells its progress many times a second."""
        state = self._told[model_id][0]
        known = self._may_see.get(model_id)
        if known is None or known[0] != state:
            try:
                known = state, await in_db(model_visible, model_id, self.user_id)
            except DatabaseError:  # away for a moment; hints may be lost
                return False
            self._may_see[model_id] = known
        return known[1]

    async def _beat(self) -> None:
        due = time.monotonic() + HEARTBEAT_EVERY
        while True:
            await asyncio.sleep(5)
            now = time.monotonic()
            if self._sending and now - self._moved > STUCK_AFTER:
                abort = self.scope.get("hearth.abort")
                if abort is not None:
                    abort()
                    return
                continue  # daphne has no such door: the reader may yet recover
            if now >= due - 2.5:
                due = now + HEARTBEAT_EVERY
                if not self._sending:
                    await self._send(frames.dump({"type": "heartbeat", "t": time.time()}))

    async def _send(self, text: str) -> None:
        if not self._sending:
            self._moved = time.monotonic()
        self._sending += 1
        try:
            await self.base_send({"type": "websocket.send", "text": text})
        finally:
            self._sending -= 1
            self._moved = time.monotonic()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            # The client went while something was being sent to it.
            log.debug("A task of a socket ended: %s", task.exception())


_kept: set[asyncio.Task[Any]] = set()


def _keep(work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """A task that no socket owns; asyncio itself holds tasks only weakly."""
    task = asyncio.create_task(work)
    _kept.add(task)
    task.add_done_callback(_kept.discard)
    return task


async def _start(ask: Ask, service: Callable[..., Begun], **what: Any) -> Begun:
    begun, job = await in_db(begin, service, ask, **what)
    if begun.created:
        runner.launch(begun.turn, job)
        _keep(announce(ask.user_id, begun))
    return begun
