"""InnoDB ends one of two transactions that wait for each other, and says: try again. So it is tried again."""

from __future__ import annotations

import functools
import random
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from django.db import OperationalError, connection

P = ParamSpec("P")
R = TypeVar("R")

DEADLOCK = 1213
TRIES = 6


def retried(work: Callable[P, R]) -> Callable[P, R]:
    """Run `work`, which must be one whole transaction, again when it was the victim of a deadlock.

    Inside a larger transaction it is not: that one is lost as a whole, and only its owner can repeat it.
    """

    @functools.wraps(work)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        for attempt in range(1, TRIES):
            try:
                return work(*args, **kwargs)
            except OperationalError as error:
                if connection.in_atomic_block or not error.args or error.args[0] != DEADLOCK:
                    raise
                time.sleep(random.uniform(0, 0.02 * attempt))
        return work(*args, **kwargs)

    return run
