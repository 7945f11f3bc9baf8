"""The one owner of what is loaded.

All of it runs on one event loop and every decision is made in `Decisions.step`, which never awaits: so there
are no locks. Slow work (looking, loading, stopping) runs in tasks that come back with a result.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Any

from inference.engines.base import Engine, create
from inference.errors import InferenceError, unloaded
from inference.protocol import Event, GenerateRequest, ModelSpec
from inference.service import fitting
from inference.service.answer import answer
from inference.service.board import Board
from inference.service.decisions import Decisions
from inference.service.deployment import Deployment, State
from inference.service.memory import Memory
from inference.service.pulse import Pulse
from inference.service.ticket import Ticket
from inference.service.work import Aside, Work


class Manager:
    """`memory` says what there is; `resident_limit` bounds the local models in memory by their number, too
    (0: only bytes count); `drain_limit` (s) is how long an unload waits for running answers; `backoff` (s) is
    the first and the longest wait before a restart; `aside` runs what blocks."""

    def __init__(
        self,
        *,
        make_engine: Callable[[ModelSpec], Engine] = create,
        memory: Memory | None = None,
        resident_limit: int = 0,
        drain_limit: float = 30.0,
        backoff: tuple[float, float] = (0.25, 30.0),
        aside: Aside = asyncio.to_thread,
    ) -> None:
        self.board = Board()
        self._drain_limit = drain_limit
        self._models: dict[str, Deployment] = {}

        def work(decide: Callable[[], None]) -> Work:
            return Work(
                self._models,
                self.board,
                decide,
                make_engine=make_engine,
                memory=memory or Memory(),
                backoff=backoff,
                aside=aside,
            )

        self._decisions = Decisions(self._models, self.board, work, resident_limit)
        self._work = self._decisions.work
        self._pulse = Pulse(self._work.look_again)

    # What callers ask for

    async def stream(self, spec: ModelSpec, request: GenerateRequest) -> AsyncGenerator[Event, None]:
        """One answer, from waiting to the last event. Closing the iterator gives the slot back."""
        model = self._model(spec)
        if model.is_full:
            yield InferenceError("busy", "Too many wait for this model already.", True).to_event()
            return
        ticket = Ticket(request.user, "run")
        model.join(ticket)
        try:
            async with aclosing(self._wait(ticket)) as statuses:
                async for status in statuses:
                    yield status
            if ticket.error or ticket.engine is None:
                yield (ticket.error or _stopping()).to_event()
                return
            self._pulse.start()
            async with aclosing(answer(ticket.engine, ticket.info, request)) as events:
                async for event in events:
                    model.pieces += 1
                    if event["kind"] == "finished":
                        model.failures = 0
                    elif event["kind"] == "failed" and model.forget:
                        event = unloaded().to_event()
                    yield event
        finally:
            self._leave(model, ticket)

    async def load(self, spec: ModelSpec) -> AsyncGenerator[Event, None]:
        """Status events until the model is ready; the last is ``{"kind": "ready"}`` or `failed`."""
        model = self._model(spec)
        model.retry_at = 0.0  # somebody asks for it by name: no back-off
        ticket = Ticket("", "load")
        model.join(ticket)
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
        model.fail_waiting(unloaded())
        model.leaving = model.forget = True
        model.revive = False
        if model.abort_load is not None:
            model.abort_load()
        loop = asyncio.get_running_loop()
        stopped: asyncio.Future[None] = loop.create_future()
        model.stopped.append(stopped)
        timer = loop.call_later(self._drain_limit, self._force, model)
        self._decisions.step()
        try:
            await stopped
        finally:
            timer.cancel()

    def pin(self, model_id: str, pinned: bool) -> None:
        """A pinned model leaves only when it is unloaded by name. Remembered while this process lives; does
        not load."""
        if pinned:
            self._decisions.pins.add(model_id)
        else:
            self._decisions.pins.discard(model_id)
        self._decisions.step()

    def pins(self) -> list[str]:
        return sorted(self._decisions.pins)

    async def memory(self) -> dict[str, dict[str, int]]:
        """Bytes per device: `budget`, what models may take together as of the last load or unload, and
        `held`, what they are counted with. Only devices that a model was ever meant for, and the CPU."""
        if "cpu" not in self._work.budgets:
            await self._work.look("cpu")
        return {
            device: {"budget": budget, "held": self._work.held(device)}
            for device, budget in self._work.budgets.items()
        }

    async def fit(
        self,
        spec: ModelSpec,
        context: int | None = None,
        concurrency: int | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Whether `spec` would fit, on each device, against the memory that is free now; nothing is loaded.
        `facts` (config, tensors) stand for a folder that is not here yet. Raises InferenceError."""
        if self._work.device(spec) is None:
            return {"devices": [], "best": None, "known": True}
        devices = []
        for device in await self._work.devices(spec):
            plan = await self._work.foresee(spec, device, facts)
            room = await self._decisions.room(device, spec.id)
            devices.append(fitting.judge(plan, room, context, concurrency))
        known = all(entry["weights_bytes"] > 0 for entry in devices)
        return {"devices": devices, "best": fitting.best(devices), "known": known}

    def logs(self) -> dict[str, str]:
        """The last lines that the processes of failed models wrote, by the model's id."""
        return {model.spec.id: model.log for model in self._models.values() if model.log}

    async def close(self) -> None:
        """End everything at once: running and waiting answers fail, children end."""
        self._decisions.close()
        self._pulse.stop()
        models = list(self._models.values())
        self._models.clear()
        for model in models:
            model.fail_waiting(_stopping())
        await self._work.close([model.engine for model in models if model.engine is not None])

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
        self._decisions.step()
        told: Event | None = None
        while not ticket.done:
            await ticket.changed.wait()
            ticket.changed.clear()
            if not ticket.done and ticket.status is not None and ticket.status != told:
                told = ticket.status
                yield told

    def _leave(self, model: Deployment, ticket: Ticket) -> None:
        if ticket.engine is not None and ticket.purpose == "run":
            model.running[ticket.user] -= 1
            if not model.running[ticket.user]:
                del model.running[ticket.user]
            model.last_used = asyncio.get_running_loop().time()
        else:
            model.drop(ticket)
        self._decisions.step()

    def _force(self, model: Deployment) -> None:
        if model.state is State.DRAINING and model.task is None:
            self._work.stop(model)


def _stopping() -> InferenceError:
    return InferenceError("unavailable", "The service is stopping.", True)
