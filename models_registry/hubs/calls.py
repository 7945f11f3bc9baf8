"""A call into a hub's library, with an end: they retry, wait for names to resolve, read without a limit."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Generic, TypeVar

from models_registry.hubs import failures, limits

T = TypeVar("T")

_free: dict[str, threading.Semaphore] = defaultdict(lambda: threading.Semaphore(limits.MOST_CALLS))
_own = threading.local()


def within(title: str, call: Callable[[], T], seconds: float | None = None) -> T:
    """What `call()` returns or raises, or AppError("hub_unreachable") after `seconds` (`limits.CALL`).

    It runs in a thread of its own, which is left behind when it does not end (a name that is not resolved
    cannot be interrupted); it ends at its next request (`left`). Only so many may hang; one more is refused.
    """
    seconds = limits.CALL if seconds is None else seconds
    free = _free[title]
    if not free.acquire(blocking=False):
        raise failures.unreachable(title)
    run = _Run(call, time.monotonic() + seconds, free)
    threading.Thread(target=run, name=f"hub {title}", daemon=True).start()
    if not run.ended.wait(seconds):
        raise failures.unreachable(title)
    if run.error is not None:
        raise run.error
    return run.result


def left() -> float:
    """Seconds that the call in this thread still has; TimeoutError when there are none."""
    seconds: float = getattr(_own, "ends", time.monotonic() + limits.CALL) - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("the call's time is over")
    return seconds


class _Run(Generic[T]):
    result: T

    def __init__(self, call: Callable[[], T], ends: float, free: threading.Semaphore) -> None:
        self.call, self.ends, self.free = call, ends, free
        self.ended = threading.Event()
        self.error: BaseException | None = None

    def __call__(self) -> None:
        _own.ends = self.ends
        try:
            self.result = self.call()
        except BaseException as error:  # handed to the caller, whose language and transaction it concerns
            self.error = error
        finally:
            self.free.release()
            self.ended.set()
