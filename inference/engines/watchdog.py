"""Whether a model's process is well, told from its pulses. Pure but for `oom_kills`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

#: A process that says nothing for this long is ended (seconds; the setting `stall_limit`) ...
STALL_LIMIT = 10.0
#: ... and so is one whose engine has work and makes no step for this long (the setting `spin_limit`).
SPIN_LIMIT = 120.0
# While a model loads, imports and mappings may hold its process up for longer than an answer may.
_LOADING_LIMIT = 120.0


def pulse_every(settings: Mapping[str, Any]) -> float:
    """How often a process gives a sign of life, and how often it is looked for (seconds)."""
    return min(1.0, float(settings.get("stall_limit") or STALL_LIMIT) / 5)


class Watchdog:
    """Counts its own looks and reads no clock: a manager that was held up itself did not look either, and
    blames nobody for the time that it missed."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.every = pulse_every(settings)
        self.ready = False
        self._stall_limit = float(settings.get("stall_limit") or STALL_LIMIT)
        self._spin_limit = float(settings.get("spin_limit") or SPIN_LIMIT)
        self._steps: Any = None
        self._works = False
        self._silent = self._still = 0  # looks since something came, and since the engine made a step

    def heard(self, stats: Mapping[str, Any] | None = None) -> None:
        """Something came from the process; `stats` are those of a pulse: `running`, `waiting`, `steps`."""
        self._silent = 0
        if stats is None:
            return
        steps = stats.get("steps")
        self._works = bool(stats.get("running") or stats.get("waiting")) and steps is not None
        if not self._works or steps != self._steps:
            self._still = 0
        self._steps = steps

    def look(self) -> str | None:
        """Called each `every` seconds: what is wrong, or None."""
        self._silent += 1
        self._still += 1
        stall = self._stall_limit if self.ready else max(self._stall_limit, _LOADING_LIMIT)
        if self._silent * self.every > stall:
            return f"The model's process was silent for {stall:g} s and was ended."
        if self._works and self._still * self.every > self._spin_limit:
            return f"The model made no step for {self._spin_limit:g} s and was ended."
        return None


def oom_kills() -> int:
    """How many processes the kernel has ended for want of memory, in this container or on this machine; 0
    where it does not say. Two figures that differ do not prove which process it was."""
    for file in ("/sys/fs/cgroup/memory.events", "/proc/vmstat"):
        try:
            found = re.search(r"^oom_kill (\d+)$", Path(file).read_text(), re.MULTILINE)
        except OSError:
            continue
        if found:
            return int(found[1])
    return 0
