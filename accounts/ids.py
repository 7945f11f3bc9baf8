"""Ids that say nothing: outside they are opaque strings."""

from __future__ import annotations

import uuid


def new_id() -> str:
    """32 hex characters, not guessable and not in order of creation."""
    return uuid.uuid4().hex
