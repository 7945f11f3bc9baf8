"""When two user names are the same name."""

from __future__ import annotations

import unicodedata


def username_key(username: str) -> str:
    """Equal for names that people take for one: Anna and anna, full-width and plain letters, ß and ss.

    Unicode's caseless matching with compatibility (The Unicode Standard, 3.13, D146). It does not catch
    look-alikes of different scripts (Latin a, Cyrillic а).
    """
    folded = unicodedata.normalize("NFKC", username).casefold()
    return unicodedata.normalize("NFKC", folded)
