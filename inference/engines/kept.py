"""Where it is kept what was built for this machine."""

from __future__ import annotations

import os
from pathlib import Path


def folder() -> Path:
    """The folder HEARTH_CACHE; need not be there yet."""
    return Path(os.environ.get("HEARTH_CACHE") or Path.home() / ".cache" / "hearth")
