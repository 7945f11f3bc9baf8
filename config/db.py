"""Database calls from the event loop.

Channels' own helper runs them all on one thread; here a few threads share the work, each with its own lasting
connection, so that one slow query does not hold up every socket.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, local
from typing import ParamSpec, TypeVar

from django.db import connection, connections
from django.utils.translation import get_language, override

P = ParamSpec("P")
T = TypeVar("T")

THREADS = 2
#: A server may have dropped a connection that rested longer than this (seconds).
RESTED = 30.0

_threads = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="db")
_local = local()


async def in_db(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """`function(*args)` on a thread that keeps its connection. Exceptions come back as they are.

    What it says is in the caller's language: that belongs to a thread, so it is handed over.
    """

    def call() -> T:
        freshen()
        with override(language):
            return function(*args, **kwargs)

    language = get_language()
    return await asyncio.get_running_loop().run_in_executor(_threads, call)


def freshen() -> None:
    """Let go of this thread's lasting connection when it broke, or rested so long that it may have."""
    now = time.monotonic()
    rested = now - getattr(_local, "used", now) > RESTED
    _local.used = now
    if connection.connection is None or connection.in_atomic_block:
        return
    if (rested or connection.errors_occurred) and not connection.is_usable():
        connection.close()
    connection.errors_occurred = False


def close_all() -> None:
    """Each thread closes its own connection: for tests, whose database is dropped afterwards."""
    barrier = Barrier(THREADS)

    def close() -> None:
        barrier.wait(timeout=10)  # so that every thread gets exactly one of these
        connections.close_all()

    for future in [_threads.submit(close) for _ in range(THREADS)]:
        future.result()
