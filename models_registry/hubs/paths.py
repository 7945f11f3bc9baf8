"""Which paths of a hub's list may become files here. The list is a stranger's text."""

from __future__ import annotations

import unicodedata

from django.utils.translation import gettext as _

from models_registry.hubs.base import HubFile

#: Bytes of one name (what file systems take), of a whole path, and of a file: no model has larger ones.
LONGEST_NAME, LONGEST_PATH = 255, 512
LARGEST_FILE = 1 << 44
_SIGNS = '\\:*?"<>|'  # what Windows reads as something else


def why_not(file: HubFile) -> str | None:
    """Why this entry is refused whatever it is called, in the active language; None: it may be a file."""
    if file.link:
        return _("a link")
    if not _is_plain(file.path):
        return _("its name leads elsewhere or holds signs that names do not have")
    if not 0 <= file.size <= LARGEST_FILE:
        return _("the hub does not say how large it is")
    return None


def _is_plain(path: str) -> bool:
    """Relative, forward slashes, no "." or "..", nothing invisible, nothing that a file system changes."""
    if not path or len(path.encode("utf-8", "replace")) > LONGEST_PATH:
        return False
    if any(unicodedata.category(sign)[0] == "C" for sign in path) or any(sign in _SIGNS for sign in path):
        return False
    return all(
        part
        and part not in (".", "..")
        and part == part.strip(" ")
        and not part.endswith(".")
        and len(part.encode()) <= LONGEST_NAME
        for part in path.split("/")
    )
