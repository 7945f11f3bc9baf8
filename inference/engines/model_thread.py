"""The one thread of a process that computes with torch."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")


class ModelThread:
    """Runs what it is given, one after the other: first the load, then the engine's loop.

    OpenMP keeps a team of threads for every thread that computes. As long as all teams together have no more
    threads than the machine has cores, they wait for work awake; with a second team they go to sleep after
    each operation, and a step of a small model takes half as long again (measured: 75 ms instead of 50).
    """

    def __init__(self) -> None:
        self._work: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        # A daemon: a process that ends does not wait for a model.
        threading.Thread(target=self._run, name="model", daemon=True).start()

    def submit(self, work: Callable[[], T]) -> Future[T]:
        future: Future[T] = Future()
        self._work.put((future, work))
        return future

    def close(self) -> None:
        """The thread ends after what it was given."""
        self._work.put(None)

    def _run(self) -> None:
        while (entry := self._work.get()) is not None:
            future, work = entry
            try:
                future.set_result(work())
            except BaseException as error:
                future.set_exception(error)
