"""A manager whose engines, memory and clock the test commands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

from inference.engines.fit import Fit
from inference.errors import InferenceError
from inference.protocol import Event, GenerateRequest, ModelSpec
from inference.service.manager import Manager
from inference.service.memory import Memory
from inference.tests.conftest import HELLO, collect

DRAIN_LIMIT = 30.0


class FakeEngine:
    """settings: broken (the load fails), slow (it waits for `loaded`). An answer waits for `go`."""

    def __init__(self, spec: ModelSpec) -> None:
        self.spec, self.go, self.unloaded = spec, asyncio.Event(), False
        self.exited, self.ending, self.buried = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.loaded = asyncio.Event()
        self.why: InferenceError | None = None
        self.asked: list[str] = []  # ids of the requests that came, in their order
        self.tokens: int | None = None  # made so far, where the engine counts them
        self.buried.set()

    async def load(self, report: Any) -> dict[str, Any]:
        if self.spec.settings.get("slow"):
            await self.loaded.wait()
        if self.spec.settings.get("broken"):
            raise InferenceError("load_failed", "broken")
        return {"capabilities": {}, **self.spec.settings.get("info", {})}

    async def generate(self, request: GenerateRequest) -> AsyncIterator[Event]:
        self.asked.append(request.id)
        await self.go.wait()
        if self.unloaded:
            raise InferenceError("engine_died", "The model's process ended.", True)
        yield {"kind": "raw", "text": self.spec.id}
        yield {"kind": "finished", "reason": "stop"}

    async def abort(self, request_id: str) -> None: ...

    def stats(self) -> dict[str, Any]:
        return {"pid": id(self), "tokens": self.tokens}

    async def unload(self) -> None:
        self.unloaded = True
        self.ending.set()
        self.exited.set()
        self.go.set()
        await self.buried.wait()


class FakeMemory(Memory):
    """Each model takes `settings["bytes"]` (10 unless set) of a memory of `total`; what has ended is back
    when `back` is set."""

    def __init__(self, total: int) -> None:
        super().__init__()
        self.total = total
        self.back = asyncio.Event()
        self.back.set()
        self.taken: int | None = None  # by each process, in truth

    def device(self, spec: ModelSpec) -> str | None:
        return None if spec.engine == "openai" else str(spec.settings.get("device") or "cpu")

    def plan(self, spec: ModelSpec, device: str) -> Fit:
        if spec.settings.get("missing"):
            raise InferenceError("model_not_found", "There is no such folder.")
        return Fit(int(spec.settings.get("bytes", 10)), 0, int(spec.settings.get("per_token", 0)), 8, 2)

    def foresee(self, spec: ModelSpec, device: str, facts: Any = None) -> Fit:
        return self.plan(spec, device)

    def devices(self, spec: ModelSpec) -> list[str]:
        return ["cpu"]

    def total_of(self, device: str) -> int:
        return self.total

    def budget(self, device: str, pids: Iterable[int], held: int) -> int:
        return self.total

    def free(self, device: str) -> int:
        return self.total

    def used(self, pid: int) -> int | None:
        return self.taken

    def is_back(self, device: str, pid: int | None, before: int, held: int) -> bool:
        return self.back.is_set()


class House:
    def __init__(self, total: int = 10, **options: Any) -> None:
        self.made: list[FakeEngine] = []
        self._more = asyncio.Event()
        self.memory = FakeMemory(total)
        options = {"backoff": (0.25, 30.0), "drain_limit": DRAIN_LIMIT, **options}
        self.manager = Manager(make_engine=self._make, memory=self.memory, aside=_here, **options)
        self._tasks: list[asyncio.Task[list[Event]]] = []

    def _make(self, spec: ModelSpec) -> FakeEngine:
        self.made.append(FakeEngine(spec))
        self._more.set()
        return self.made[-1]

    async def engine(self, number: int) -> FakeEngine:
        """The engine that is made as the `number`th, from 0, as soon as it is."""
        while len(self.made) <= number:
            self._more.clear()
            await self._more.wait()
        return self.made[number]

    @property
    def loads(self) -> list[str]:
        return [engine.spec.id for engine in self.made]

    def ask(self, spec: ModelSpec, user: str = "", request: str = "r") -> asyncio.Task[list[Event]]:
        stream = self.manager.stream(spec, GenerateRequest(request, HELLO, user=user))
        self._tasks.append(asyncio.create_task(collect(stream)))
        return self._tasks[-1]

    def line(self, model: str) -> Event:
        return next(line for line in self.manager.board.lines() if line["model"] == model)

    async def until(self, model: str, **values: Any) -> Event:
        async with asyncio.timeout(3600):  # of the test's clock
            async for line in self.manager.board.watch():
                if line["model"] == model and all(line[key] == value for key, value in values.items()):
                    return line
        raise AssertionError("the watch ended")

    async def close(self) -> None:
        await self.manager.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _here(function: Any, *args: Any) -> Any:
    return function(*args)


def local(name: str, **settings: Any) -> ModelSpec:
    return ModelSpec(name, name, "transformers", {}, settings)


async def settle() -> None:
    """Let everything happen that can happen without time."""
    for _ in range(50):
        await asyncio.sleep(0)
