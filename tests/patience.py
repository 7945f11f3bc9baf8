"""Limits of time in tests, on a machine that may have much else to do.

What is slow by its making is slow each time; what only waited for a processor is not. So a test that misses
such a limit runs again, and one of its runs must be within it. Nothing else that fails is tried again.
"""

from __future__ import annotations

import pytest

#: A mark for tests that call `within`.
timed = pytest.mark.flaky(reruns=4, only_rerun=["TooSlow"])


class TooSlow(AssertionError):
    pass


def within(limit: float, took: float) -> None:
    """Both in seconds. Raises TooSlow."""
    if took >= limit:
        raise TooSlow(f"{took:.3f} s, and {limit} s is the limit")
