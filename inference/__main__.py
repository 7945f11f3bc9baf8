"""``python -m inference chat|bench|serve MODEL``: one model without Django."""

from __future__ import annotations

from inference.cli.command import main

if __name__ == "__main__":
    main()
