"""What takes time: looking at memory, loading, stopping, waiting for an engine's end. Each is a task that
writes its result to the model and then has the decisions made anew."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import replace
from typing import Any, cast

from inference.engines.base import Engine, Mortal
from inference.engines.fit import Fit
from inference.errors import InferenceError, unloaded
from inference.protocol import ModelSpec
from inference.service.board import Board
from inference.service.deployment import Deployment, State
from inference.service.memory import Memory
from inference.service.pulse import MEMORY_EVERY

log = logging.getLogger(__name__)

Aside = Callable[..., Awaitable[Any]]

#: How often it is looked whether an ended process' memory is back, and how long at most (seconds).
_LOOK_EVERY = 0.05
_BACK_LIMIT = 10.0
#: A model that dies so often without an answer in between, or this long a life, is not loaded again unasked.
_MOST_FAILURES = 5
_STABLE_AFTER = 60.0
_LONGEST_LOG = 4096


class Work:
    """`backoff` (s): the first and the longest wait before a restart. `aside` runs what blocks."""

    def __init__(
        self,
        models: Mapping[str, Deployment],
        board: Board,
        decide: Callable[[], None],
        *,
        make_engine: Callable[[ModelSpec], Engine],
        memory: Memory,
        backoff: tuple[float, float],
        aside: Aside,
    ) -> None:
        self.budgets: dict[str, int] = {}  # bytes that all models together may take, per device
        self._models = models
        self._board = board
        self._decide = decide
        self._make_engine = make_engine
        self._memory = memory
        self._backoff = backoff
        self._aside = aside
        self._tasks: set[asyncio.Task[None]] = set()

    def device(self, spec: ModelSpec) -> str | None:
        return self._memory.device(spec)

    def held(self, device: str) -> int:
        """What the models there are counted with (bytes)."""
        return sum(model.held for model in self._models.values() if model.device == device)

    async def close(self, engines: list[Engine]) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, *(engine.unload() for engine in engines), return_exceptions=True)

    # Looking

    def plan(self, model: Deployment) -> None:
        """Find out what the wanted model will take, and what there is."""
        model.planning = True
        self._run(self._plan(model, model.wanted))

    async def _plan(self, model: Deployment, spec: ModelSpec) -> None:
        assert model.device is not None
        try:
            plan = await self._aside(self._memory.plan, spec, model.device)
            await self.look(model.device)
            model.plan, model.planned = plan, spec
            if plan is None:
                model.device = None
        except InferenceError as error:
            self._failed(model, error)
        except Exception as error:
            log.exception("looking at the memory for %s failed", spec.name)
            self._failed(model, InferenceError("load_failed", f"{type(error).__name__}: {error}"))
        finally:
            model.planning = False
        self._decide()

    async def foresee(self, spec: ModelSpec, device: str, facts: Mapping[str, Any] | None = None) -> Fit:
        """What `spec` would take on `device`. Raises InferenceError("model_not_found")."""
        return cast(Fit, await self._aside(self._memory.foresee, spec, device, facts))

    async def devices(self, spec: ModelSpec) -> list[str]:
        """Where `spec` may run, as its settings say."""
        return cast(list[str], await self._aside(self._memory.devices, spec))

    async def survey(self, device: str) -> tuple[int, int]:
        """Bytes of `device` for all models together, and in all."""
        pids = self._pids(device)
        budget = await self._aside(self._memory.budget, device, pids, self.held(device))
        return budget, await self._aside(self._memory.total_of, device)

    async def look(self, device: str) -> None:
        self.budgets[device] = await self._aside(
            self._memory.budget, device, self._pids(device), self.held(device)
        )

    def _pids(self, device: str) -> list[int]:
        there = [model for model in self._models.values() if model.device == device and model.engine]
        return [pid for model in there if model.engine and (pid := model.engine.stats().get("pid"))]

    # Loading

    def load(self, model: Deployment, settings: dict[str, Any]) -> None:
        """`settings`: what was decided about the model, over its own ones."""
        model.spec, model.evicting, model.error, model.forget = model.wanted, [], None, False
        model.state, model.progress, model.returned = State.LOADING, 0.0, None
        spec = replace(model.spec, settings={**model.spec.settings, **settings})
        model.task = self._run(self._load(model, spec))

    async def _load(self, model: Deployment, spec: ModelSpec) -> None:
        def report(progress: float) -> None:
            model.progress = round(progress, 3)
            for ticket in model.waiting():
                ticket.tell({"kind": "status", "phase": "loading", "progress": model.progress})
            self._board.publish(model.line())

        task = cast(asyncio.Task[None], asyncio.current_task())
        engine: Engine | None = None
        error: InferenceError | None = None
        try:
            if model.forget:
                raise unloaded()  # before this task had begun
            engine = model.engine = self._make_engine(spec)
            # Only here: a task that is cancelled while it clears up would leave the model as it is.
            model.abort_load = task.cancel
            model.info = await engine.load(report)
        except InferenceError as failure:
            error = failure
        except asyncio.CancelledError:
            error = unloaded()
        except Exception as failure:
            log.exception("loading %s failed", model.spec.name)
            error = InferenceError("load_failed", f"{type(failure).__name__}: {failure}")
        finally:
            model.abort_load = None
        if error is None and engine is not None:
            self._loaded(model, engine)
            return
        model.log = _log_of(engine)
        await self._put_away(model, engine)
        model.task = None
        model.failures += 1
        self._broken(model, error or InferenceError("load_failed", "There is no engine."))
        self.bring_back(model)
        self._decide()

    def bring_back(self, model: Deployment) -> None:
        """Those that left for a load that failed serve again, where there is room: what worked goes on."""
        for other in model.displaced:
            if other.state is State.STOPPED and not other.forget and not model.is_asked_for:
                other.revive = True
        model.displaced = []

    def _loaded(self, model: Deployment, engine: Engine) -> None:
        now = asyncio.get_running_loop().time()
        model.task, model.revive, model.displaced, model.log = None, False, [], ""
        model.state, model.progress = State.READY, None
        model.last_used = model.ready_since = now
        if model.device is not None:
            device = str(model.info.get("device") or model.device)
            model.device = "cuda:0" if device == "cuda" else device
            if model.device != "cpu":
                model.granted = 0  # on a card the KV cache is there from the begin
            said = model.info.get("memory_bytes")
            model.held = model.granted + int(said) if said else model.held
            self._run(self._measure(model, engine))
        if isinstance(engine, Mortal):
            self._run(self._watch_exit(model, engine, engine))
        self._decide()

    async def _measure(self, model: Deployment, engine: Engine) -> None:
        """What the process takes in truth. Its KV cache is not in that yet: its pages come with its use."""
        pid = engine.stats().get("pid")
        if model.device == "cpu" and pid and model.spec.engine != "echo":  # which only pretends
            used = await self._aside(self._memory.used, pid)
            if used and model.engine is engine:
                model.held, model.measured = model.granted + int(used), int(used)
                self._decide()

    # Looking again

    def look_again(self) -> bool:
        """The speed of each model that runs, and now and then its memory. Whether any runs."""
        now = asyncio.get_running_loop().time()
        busy = False
        for model in self._models.values():
            engine = model.engine
            if engine is None or (not model.running and model.speed.now is None):
                continue
            busy = busy or bool(model.running)
            count = engine.stats().get("tokens")
            model.speed.look(now, model.pieces if count is None else int(count), bool(model.running))
            if model.device == "cpu" and now - model.looked_at >= MEMORY_EVERY:
                model.looked_at = now
                self._run(self._remeasure(model, engine))
            self._board.publish(model.line())
        return busy

    async def _remeasure(self, model: Deployment, engine: Engine) -> None:
        """Its KV cache fills with use. What it is counted with stays: that was in it from the begin."""
        pid = engine.stats().get("pid")
        used = await self._aside(self._memory.used, pid) if pid and model.spec.engine != "echo" else None
        if used and model.engine is engine:
            model.measured = int(used)
            self._board.publish(model.line())

    # Stopping

    def stop(self, model: Deployment) -> None:
        model.task = self._run(self._stop(model))

    async def _stop(self, model: Deployment) -> None:
        await self._put_away(model, model.engine)
        model.task = None
        model.state = State.STOPPED
        model.has_stopped()
        self._decide()

    async def _put_away(self, model: Deployment, engine: Engine | None) -> None:
        """End the engine; returns when its memory is back, or after a limit."""
        try:
            if engine is not None and model.device is not None:
                await self._until_back(model, model.device, engine)
        except Exception:
            log.exception("looking at the memory failed")
        try:
            if engine is not None:
                await engine.unload()  # once more is no harm
        except Exception:
            log.exception("stopping %s failed", model.spec.name)
        model.engine, model.info, model.progress, model.held = None, {}, None, 0

    async def _until_back(self, model: Deployment, device: str, engine: Engine) -> None:
        loop = asyncio.get_running_loop()
        pid = engine.stats().get("pid")
        before = await self._aside(self._memory.free, device)
        used = await self._aside(self._memory.used, pid) if pid else None
        await engine.unload()
        end = loop.time() + _BACK_LIMIT
        while not await self._aside(self._memory.is_back, device, pid, before, model.held):
            if loop.time() > end:
                log.warning("the memory of %s is not back after %s s", model.spec.name, _BACK_LIMIT)
                model.returned = 0
                break
            await asyncio.sleep(_LOOK_EVERY)
        else:
            # Of the machine's memory, what the process held: what is free moves with everything else there.
            back = used if device == "cpu" else await self._aside(self._memory.free, device) - before
            model.returned = max(0, int(back)) if back is not None else None
        model.engine, model.held, model.measured, model.predicted = None, 0, 0, 0
        await self.look(device)

    # Faults

    async def _watch_exit(self, model: Deployment, engine: Engine, life: Mortal) -> None:
        await life.exited.wait()
        if model.engine is not engine or model.task is not None:
            return  # it was told to end
        # From now on nobody is sent to it, while what is left of it is put away.
        model.state, model.task = State.DRAINING, asyncio.current_task()
        model.log = _log_of(engine)
        died = life.why or InferenceError("engine_died", "The model's process ended.", True)
        log.warning("%s: %s", model.spec.name, died)
        await self._put_away(model, engine)
        model.task = None
        if asyncio.get_running_loop().time() - model.ready_since > _STABLE_AFTER:
            model.failures = 0
        model.failures += 1
        model.revive = not model.leaving
        self._broken(model, died)
        self._decide()

    def _broken(self, model: Deployment, error: InferenceError) -> None:
        """A load that failed, or an engine that died. A restart waits, and so do those who wait for a model
        that was ready before; those who wait for one that never was are told."""
        first, longest = self._backoff
        wait = min(longest, first * 2 ** min(model.failures - 1, 16))
        model.retry_at = asyncio.get_running_loop().time() + wait
        if model.leaving or (model.revive and model.failures < _MOST_FAILURES):
            model.error, model.state = error, State.STOPPED
        else:
            self._failed(model, error)

    def _failed(self, model: Deployment, error: InferenceError) -> None:
        model.revive, model.error, model.state = False, error, State.FAILED
        model.fail_waiting(error)

    def _run(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _log_of(engine: Engine | None) -> str:
    """The last lines that the engine's process wrote, where it tells."""
    tell = getattr(engine, "log", None)
    return str(tell())[-_LONGEST_LOG:] if callable(tell) else ""
