"""The one owner of what is loaded.

All of it runs on one event loop and every decision is made in `_step`, which never awaits: so there are no
locks. Slow work (load, stop) runs in tasks that come back with a result.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from typing import Any

from inference.engines.base import Engine, Mortal, create
from inference.errors import InferenceError
from inference.protocol import Event, GenerateRequest, ModelSpec
from inference.service.answer import answer
from inference.service.board import Board
from inference.service.deployment import Deployment, State, Ticket
from inference.service.residency import Resident, to_evict

log = logging.getLogger(__name__)

_HOLDS_MEMORY = (State.LOADING, State.READY, State.DRAINING)


class Manager:
    """`resident_limit` bounds the transformers models in memory at a time; `drain_limit` (s) is how long an
    unload waits for running answers; `backoff` (s) is the first and the longest wait before a restart."""

    def __init__(
        self,
        *,
        make_engine: Callable[[ModelSpec], Engine] = create,
        resident_limit: int = 1,
        drain_limit: float = 30.0,
        backoff: tuple[float, float] = (0.25, 30.0),
    ) -> None:
        self.board = Board()
        self._make_engine = make_engine
        self._resident_limit = resident_limit
        self._drain_limit = drain_limit
        self._backoff = backoff
        self._models: dict[str, Deployment] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    # What callers ask for

    async def stream(self, spec: ModelSpec, request: GenerateRequest) -> AsyncGenerator[Event, None]:
        """One answer, from waiting to the last event. Closing the iterator gives the slot back."""
        model = self._model(spec)
        ticket = Ticket(request.user, "run")
        model.queue.push(ticket.user, ticket)
        try:
            async with aclosing(self._wait(ticket)) as statuses:
                async for status in statuses:
                    yield status
            if ticket.error or ticket.engine is None:
                yield (ticket.error or _stopping()).to_event()
                return
            async with aclosing(answer(ticket.engine, ticket.info, request)) as events:
                async for event in events:
                    if event["kind"] == "finished":
                        model.failures = 0
                    elif event["kind"] == "failed" and model.forget:
                        event = _unloaded().to_event()
                    yield event
        finally:
            self._leave(model, ticket)

    async def load(self, spec: ModelSpec) -> AsyncGenerator[Event, None]:
        """Status events until the model is ready; the last is ``{"kind": "ready"}`` or `failed`."""
        model = self._model(spec)
        model.retry_at = 0.0  # somebody asks for it by name: no back-off
        ticket = Ticket("", "load")
        model.loaders.append(ticket)
        try:
            async with aclosing(self._wait(ticket)) as statuses:
                async for status in statuses:
                    yield status
            yield ticket.error.to_event() if ticket.error else {"kind": "ready"}
        finally:
            self._leave(model, ticket)

    async def ensure_ready(self, spec: ModelSpec) -> None:
        """Returns when `spec` is loaded; many callers join one load. Raises InferenceError."""
        async with aclosing(self.load(spec)) as events:
            async for event in events:
                if event["kind"] == "failed":
                    raise InferenceError.from_event(event)

    async def unload(self, model_id: str) -> None:
        """Returns when the model holds nothing any more. Answers that wait for it fail, running ones get
        `drain_limit` seconds. A model that is not here is no error."""
        model = self._models.get(model_id)
        if model is None:
            return
        for ticket in model.waiting():
            self._fail(model, ticket, _unloaded())
        model.leaving = model.forget = True
        if model.state is State.LOADING and model.task is not None:
            model.task.cancel()
        stopped: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        model.stopped.append(stopped)
        timer = asyncio.get_running_loop().call_later(self._drain_limit, self._force, model)
        self._step()
        try:
            await stopped
        finally:
            timer.cancel()

    async def close(self) -> None:
        """End everything at once: running and waiting answers fail, children end."""
        models, self._models = list(self._models.values()), {}
        for model in models:
            for ticket in model.waiting():
                self._fail(model, ticket, _stopping())
        engines = [model.engine for model in models if model.engine is not None]
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, *(engine.unload() for engine in engines), return_exceptions=True)

    # Tickets

    def _model(self, spec: ModelSpec) -> Deployment:
        model = self._models.get(spec.id)
        if model is None:
            model = self._models[spec.id] = Deployment(spec)
        if not spec.runs_like(model.wanted):
            model.failures, model.retry_at = 0, 0.0  # other settings may well work
        model.wanted = spec
        return model

    async def _wait(self, ticket: Ticket) -> AsyncGenerator[Event, None]:
        self._step()
        told: Event | None = None
        while not ticket.done:
            await ticket.changed.wait()
            ticket.changed.clear()
            if not ticket.done and ticket.status is not None and ticket.status != told:
                told = ticket.status
                yield told

    def _leave(self, model: Deployment, ticket: Ticket) -> None:
        if ticket in model.loaders:
            model.loaders.remove(ticket)
        elif ticket.engine is not None and ticket.purpose == "run":
            model.running[ticket.user] -= 1
            if not model.running[ticket.user]:
                del model.running[ticket.user]
            model.last_used = asyncio.get_running_loop().time()
        else:
            model.queue.remove(ticket.user, ticket)
        self._step()

    def _fail(self, model: Deployment, ticket: Ticket, error: InferenceError) -> None:
        if ticket in model.loaders:
            model.loaders.remove(ticket)
        model.queue.remove(ticket.user, ticket)
        ticket.fail(error)

    # Decisions

    def _step(self) -> None:
        """Bring every model to where it can be now. Called after each change; never awaits."""
        for model in list(self._models.values()):
            self._advance(model)
        for model in list(self._models.values()):
            self._tell(model)
            if model.state is State.STOPPED and model.forget and not model.is_wanted:
                del self._models[model.spec.id]
                self.board.remove(model.line())
            else:
                self.board.publish(model.line())

    def _advance(self, model: Deployment) -> None:
        if model.state in (State.STOPPED, State.QUEUED, State.FAILED):
            if model.leaving:
                self._stopped(model)
            if model.is_wanted:
                self._try_load(model)
            elif model.state is State.QUEUED:
                model.state, model.evicting = State.STOPPED, []
        elif model.state is State.READY:
            if model.leaving or model.is_stale:
                model.state = State.DRAINING
            else:
                self._admit(model)
        if model.state is State.DRAINING and not model.running and model.task is None:
            self._stop(model)

    def _admit(self, model: Deployment) -> None:
        assert model.engine is not None
        for ticket in model.loaders:
            ticket.admit(model.engine, model.info)
        model.loaders.clear()
        while len(model.queue) and model.running.total() < model.slots:
            ticket = model.queue.pop(model.running)
            model.running[ticket.user] += 1
            model.last_used = asyncio.get_running_loop().time()
            ticket.admit(model.engine, model.info)

    def _try_load(self, model: Deployment) -> None:
        loop = asyncio.get_running_loop()
        model.state = State.QUEUED
        if loop.time() < model.retry_at:
            loop.call_at(model.retry_at, self._step)
            return
        if model.wanted.engine == "transformers":
            victims = to_evict(self._residents(), self._resident_limit)
            if victims is not None:
                for victim in victims:
                    self._models[victim].leaving = True
                model.evicting = [m.wanted.name for m in self._models.values() if m.leaving]
                if victims:
                    loop.call_soon(self._step)
                return
        model.spec, model.evicting, model.error, model.forget = model.wanted, [], None, False
        model.state, model.progress = State.LOADING, 0.0
        model.task = self._run(self._load(model))

    def _residents(self) -> list[Resident]:
        return [
            Resident(
                model.spec.id,
                model.running.total(),
                model.last_used,
                leaving=model.leaving or model.state is State.DRAINING,
                settled=model.state is State.READY,
            )
            for model in self._models.values()
            if model.spec.engine == "transformers" and model.state in _HOLDS_MEMORY
        ]

    def _tell(self, model: Deployment) -> None:
        """Each who waits learns why: the load, those who have to leave first, or the place in the queue."""
        for place, ticket in enumerate(model.waiting()):
            if model.state is State.LOADING:
                ticket.tell({"kind": "status", "phase": "loading", "progress": model.progress or 0.0})
            elif model.evicting:
                ticket.tell({"kind": "status", "phase": "evicting", "models": model.evicting})
            else:
                ticket.tell({"kind": "status", "phase": "queued", "position": place + 1})

    # Slow work, each as a task that ends in a decision

    async def _load(self, model: Deployment) -> None:
        def report(progress: float) -> None:
            model.progress = round(progress, 3)
            self._tell(model)
            self.board.publish(model.line())

        engine: Engine | None = None
        error: InferenceError | None = None
        try:
            engine = model.engine = self._make_engine(model.spec)
            model.info = await engine.load(report)
        except InferenceError as failure:
            error = failure
        except asyncio.CancelledError:
            error = _unloaded()
        except Exception as failure:
            log.exception("loading %s failed", model.spec.name)
            error = InferenceError("load_failed", f"{type(failure).__name__}: {failure}")
        model.task = None
        if error is None and engine is not None:
            self._loaded(model, engine)
            return
        if engine is not None:
            await engine.unload()
        self._broken(model, error or InferenceError("load_failed", "There is no engine."), State.FAILED)

    def _loaded(self, model: Deployment, engine: Engine) -> None:
        model.state, model.progress = State.READY, None
        model.last_used = asyncio.get_running_loop().time()
        if isinstance(engine, Mortal):
            self._run(self._watch_exit(model, engine, engine.exited))
        # First those who waited for this model, then whoever wants its room.
        self._advance(model)
        self._step()

    async def _watch_exit(self, model: Deployment, engine: Engine, exited: asyncio.Event) -> None:
        await exited.wait()
        if model.engine is not engine or model.task is not None:
            return  # it was told to end
        # From now on nobody is sent to it, while what is left of it is put away.
        model.state, model.task = State.DRAINING, asyncio.current_task()
        await engine.unload()
        model.task = None
        died = InferenceError("engine_died", "The model's process ended.", True)
        self._broken(model, died, State.STOPPED)

    def _broken(self, model: Deployment, error: InferenceError, state: State) -> None:
        """A load that failed, or an engine that died: those who wait for a load are told, a restart waits."""
        first, longest = self._backoff
        model.failures += 1
        wait = min(longest, first * 2 ** min(model.failures - 1, 16))
        model.retry_at = asyncio.get_running_loop().time() + wait
        model.engine, model.progress, model.info = None, None, {}
        model.error, model.state = error, state
        if state is State.FAILED:
            for ticket in model.waiting():
                self._fail(model, ticket, error)
        self._step()

    def _stop(self, model: Deployment) -> None:
        engine = model.engine

        async def stop() -> None:
            if engine is not None:
                await engine.unload()
            model.task = None
            model.engine, model.info, model.state = None, {}, State.STOPPED
            self._stopped(model)
            self._step()

        model.task = self._run(stop())

    def _stopped(self, model: Deployment) -> None:
        model.leaving = False
        if model.forget:
            model.state, model.error = State.STOPPED, None
        for future in model.stopped:
            if not future.done():
                future.set_result(None)
        model.stopped.clear()

    def _force(self, model: Deployment) -> None:
        if model.state is State.DRAINING and model.task is None:
            self._stop(model)

    def _run(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _unloaded() -> InferenceError:
    """Not to be tried again: that would load what somebody just asked to unload."""
    return InferenceError("unloaded", "The model was unloaded.")


def _stopping() -> InferenceError:
    return InferenceError("unavailable", "The service is stopping.", True)
