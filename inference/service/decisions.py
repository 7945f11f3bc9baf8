"""What every model does next. `step` is the only place that decides, and it never awaits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import count
from typing import Any

from inference.errors import InferenceError
from inference.service.board import Board
from inference.service.deployment import Deployment, State
from inference.service.fitting import Room
from inference.service.residency import Resident, to_evict
from inference.service.work import Work

_HOLDS_MEMORY = (State.LOADING, State.READY, State.DRAINING)
_IDLE = (State.STOPPED, State.QUEUED, State.FAILED)


class Decisions:
    """`resident_limit` bounds the local models in memory by their number (0: only bytes count); `pins` are
    ids of models that stay."""

    def __init__(
        self,
        models: dict[str, Deployment],
        board: Board,
        make_work: Callable[[Callable[[], None]], Work],
        resident_limit: int,
    ) -> None:
        self.pins: set[str] = set()
        self.work = make_work(self.step)
        self._models = models
        self._board = board
        self._resident_limit = resident_limit
        self._turns = count(1)
        self._alarm: asyncio.TimerHandle | None = None

    def step(self) -> None:
        """Bring every model to where it can be now. Called after each change."""
        # Those that hold nothing first: whether they still wait decides about those that leave for them.
        for model in sorted(self._models.values(), key=lambda model: model.state not in _IDLE):
            self._advance(model)
        # The one that has waited longest is served first, so no model is starved by two that take turns.
        for model in sorted(self._models.values(), key=lambda model: model.turn):
            if model.state is State.QUEUED:
                self._try_load(model)
        for model in list(self._models.values()):
            self._tell(model)
            if model.state is State.STOPPED and model.forget and not model.is_wanted:
                del self._models[model.spec.id]
                self._board.remove(model.line())
            else:
                self._board.publish(model.line())

    def close(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()

    def _advance(self, model: Deployment) -> None:
        if model.state in _IDLE:
            if model.leaving:
                model.has_stopped()
            if model.is_wanted and model.state is not State.QUEUED:
                model.state, model.turn = State.QUEUED, next(self._turns)
                model.planned, model.device = None, self.work.device(model.wanted)
            elif not model.is_wanted and model.state is State.QUEUED:
                model.state, model.evicting = State.STOPPED, []
            return
        if model.yields_to is not None and model.yields_to.state is not State.QUEUED:
            self._call_back(model)
        if model.state is State.READY:
            self._let_go_when_idle(model)
            if not model.is_stale and not model.forget:
                self._admit(model)
            # Who waited when it was decided that it leaves is served before it does.
            if model.is_stale or model.forget or (model.leaving and not len(model.queue)):
                model.state = State.DRAINING
        if model.state is State.DRAINING and not model.running and model.task is None:
            self.work.stop(model)

    def _admit(self, model: Deployment) -> None:
        assert model.engine is not None
        if not model.leaving:
            for ticket in model.loaders:
                ticket.admit(model.engine, model.info)
            model.loaders.clear()
        while len(model.queue) and model.running.total() < model.slots:
            ticket = model.queue.pop(model.running)
            model.running[ticket.user] += 1
            model.last_used = _now()
            ticket.admit(model.engine, model.info)

    def _let_go_when_idle(self, model: Deployment) -> None:
        keep = model.wanted.settings.get("keep_alive")
        if keep is None or model.running or model.is_wanted or model.leaving or model.spec.id in self.pins:
            return
        due = model.last_used + float(keep)
        if _now() >= due:
            model.leaving = True
        else:
            self._wake_at(due)

    def _call_back(self, model: Deployment) -> None:
        """Nobody needs its room any more: those who did have gone, or have found room elsewhere."""
        if model.task is None and not model.forget:
            model.stay()
            model.state = State.READY

    # Loading

    def _try_load(self, model: Deployment) -> None:
        if _now() < model.retry_at:
            self._wake_at(model.retry_at)
            return
        if model.device is None:
            self.work.load(model, {})
            return
        if not model.is_planned:
            if not model.planning:
                self.work.plan(model)
            return
        if not self._is_its_turn(model):
            return
        need, kv_tokens = self._need(model, model.device)
        verdict = to_evict(need, self._residents(model.device), self._budget(model), self._resident_limit)
        if verdict is None:
            model.held = need
            self._load(model, model.device, kv_tokens)
        elif verdict == "never":
            self._refuse(model, need)
        elif model.is_asked_for:
            self._make_room(model, verdict)
        else:
            # It died and would come back unasked: not at another model's cost.
            model.revive, model.state = False, State.STOPPED

    def _load(self, model: Deployment, device: str, kv_tokens: int) -> None:
        settings: dict[str, Any] = {}
        model.granted = 0
        model.predicted = model.plan.total(kv_tokens) if model.plan is not None else 0
        if kv_tokens and model.plan is not None:
            settings["kv_tokens"] = kv_tokens
            model.granted = kv_tokens * model.plan.kv_per_token
        if device.startswith("cuda"):
            settings["device"] = device  # the card for which the room was made
        self.work.load(model, settings)

    def _is_its_turn(self, model: Deployment) -> bool:
        """One load per device at a time, in the order in which they were asked for."""
        for other in self._models.values():
            if other is model or other.device != model.device:
                continue
            waits = other.state is State.QUEUED and _now() >= other.retry_at
            if other.state is State.LOADING or (waits and other.turn < model.turn):
                return False
        return True

    def _need(self, model: Deployment, device: str) -> tuple[int, int]:
        """The bytes that it will take, and the tokens of KV among them that were decided here (0: none)."""
        assert model.plan is not None
        pinned = sum(other.bytes for other in self._residents(device) if other.pinned)
        tokens = model.plan.tokens(self._budget(model) - pinned)
        return model.plan.need(tokens), tokens if model.plan.kv_per_token else 0

    def _budget(self, model: Deployment) -> int:
        return self.work.budgets.get(model.device or "", 0)

    def _residents(self, device: str) -> list[Resident]:
        return [
            Resident(
                model.spec.id,
                model.held,
                model.running.total(),
                model.last_used,
                leaving=model.leaving or model.state is State.DRAINING,
                settled=model.state is State.READY,
                pinned=model.spec.id in self.pins,
            )
            for model in self._models.values()
            if model.device == device and model.state in _HOLDS_MEMORY
        ]

    async def room(self, device: str, without: str) -> Room:
        """What there is on `device` now for the model `without`, which does not stand in its own way."""
        budget, total = await self.work.survey(device)
        residents = [r for r in self._residents(device) if r.model != without]
        names = {model.spec.id: model.wanted.name for model in self._models.values()}
        return Room(device, total, budget, residents, names, self._resident_limit)

    def _make_room(self, model: Deployment, victims: list[str]) -> None:
        for victim in victims:
            self._models[victim].leaving, self._models[victim].yields_to = True, model
            if self._models[victim] not in model.displaced:
                model.displaced.append(self._models[victim])
            self._advance(self._models[victim])
        model.evicting = [other.wanted.name for other in self._models.values() if other.yields_to is model]

    def _refuse(self, model: Deployment, need: int) -> None:
        budget = self._budget(model)
        extra: dict[str, Any] = {"needed": need, "budget": budget}
        message = f"The model needs {_gigabytes(need)} of memory, there are {_gigabytes(budget)} for models."
        kept = [other.wanted.name for other in self._models.values() if other.spec.id in self.pins]
        if kept and need <= budget:
            extra["pinned"] = kept
            message = f"The models that are pinned leave no room: {', '.join(kept)}."
        model.revive, model.state = False, State.FAILED
        model.error = InferenceError("out_of_memory", message, extra=extra)
        model.fail_waiting(model.error)
        self.work.bring_back(model)

    # Telling

    def _tell(self, model: Deployment) -> None:
        """Each who waits learns why: the load, those who have to leave first, or the place in the queue."""
        for place, ticket in enumerate(model.waiting()):
            if model.state is State.LOADING:
                ticket.tell({"kind": "status", "phase": "loading", "progress": model.progress or 0.0})
            elif model.evicting:
                ticket.tell({"kind": "status", "phase": "evicting", "models": model.evicting})
            else:
                ticket.tell({"kind": "status", "phase": "queued", "position": place + 1})

    def _wake_at(self, when: float) -> None:
        """One timer, for whatever is due first."""
        if self._alarm is not None and self._alarm.when() <= when:
            return
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = asyncio.get_running_loop().call_at(when, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        self.step()


def _now() -> float:
    return asyncio.get_running_loop().time()


def _gigabytes(amount: int) -> str:
    return f"{amount / 1e9:.1f} GB"
