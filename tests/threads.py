"""Work that must hold up when several do it at once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

from django.db import connection


def at_once(work: Callable[[int], Any], n: int) -> list[Any]:
    """Results of `work(0) … work(n-1)` from as many threads started together; what one raises is raised.

    Each thread has its own connection, so the test needs a database that really commits.
    """
    barrier = Barrier(n)

    def one(index: int) -> Any:
        try:
            connection.ensure_connection()
            barrier.wait(timeout=30)
            return work(index)
        finally:
            connection.close()

    with ThreadPoolExecutor(n) as pool:
        return list(pool.map(one, range(n)))
