"""What a hub can do wrong, on demand."""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

Kind = Literal[
    "cut",  # the connection ends after `after` bytes of the body
    "stall",  # nothing more comes after `after` bytes of the body, and the connection stays
    "throttle",  # `rate` bytes per second
    "wrong_bytes",  # the byte at `after` (of the file) is another one
    "wrong_hash",  # the list gives another hash
    "wrong_size",  # the list gives `after` bytes more than there are
    "no_range",  # 200 with the whole file, whatever was asked
    "wrong_range",  # 206, but from the beginning
    "status",  # `status` with `retry_after` seconds, where that is given
    "silent",  # the request is taken and never answered
    "redirect",  # to the address `to`
]
Where = Literal["file", "api", "any"]
#: What happens to the body of a file; the others can happen to API calls, too.
_OF_FILES = ("cut", "stall", "throttle", "wrong_bytes", "no_range", "wrong_range", "redirect")


@dataclass
class Fault:
    """`match` is a pattern (fnmatch) for "owner/name/path/of/file", or for an API call's path.

    `times`: how often it happens, None for always.
    """

    kind: Kind
    match: str = "*"
    where: Where = "any"
    times: int | None = None
    after: int = 0
    rate: int = 100_000
    status: int = 500
    retry_after: int | None = None
    to: str = ""


class Faults:
    """Set from a test's thread, read by the server's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def add(self, kind: Kind, **fields: Any) -> Fault:
        fields.setdefault("where", "file" if kind in _OF_FILES else "any")
        fault = Fault(kind, **fields)
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """A stalled or silent answer stays what it is: its connection ends when the client's does."""
        with self._lock:
            self._faults.clear()

    def take(self, where: Where, path: str, *kinds: Kind) -> Fault | None:
        """The first fault of these kinds that matches; it is used once by this."""
        with self._lock:
            for fault in self._faults:
                if fault.kind not in kinds or fault.where not in (where, "any"):
                    continue
                if fault.times == 0 or not fnmatchcase(path, fault.match):
                    continue
                if fault.times is not None:
                    fault.times -= 1
                return fault
        return None

    def as_list(self) -> list[dict[str, Any]]:
        with self._lock:
            return [asdict(fault) for fault in self._faults]
