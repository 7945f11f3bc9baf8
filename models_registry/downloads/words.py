"""What is said of a download that failed, in the reader's language: the worker that failed has none."""

from __future__ import annotations

from typing import Any

from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from models_registry.hubs import failures

SENTENCES = {
    "disk_full": gettext_noop("The disk is full: %(needed)s are still to come and %(free)s are free."),
    "disk_error": gettext_noop("%(name)s could not be written: %(reason)s."),
    "wrong_size": gettext_noop("%(name)s is not as large as the hub says: %(said)s, but %(sent)s came."),
    "wrong_hash": gettext_noop("What the hub sent as %(name)s does not match its hash. It was thrown away."),
    "unverifiable": gettext_noop("The hub gives no hash of %(name)s, so it could not be checked."),
    "unsafe_path": gettext_noop("The hub names a file that would lie outside the model's folder: %(name)s."),
    "bad_redirect": gettext_noop("The hub sends us to an address that is not followed: %(address)s."),
    "cut_off": gettext_noop("The connection to %(hub)s broke again and again. What has come is kept."),
    "download_lost": gettext_noop("The worker ended each time that it tried this."),
    "internal": gettext_noop("Something went wrong on the server: %(name)s."),
}
_SIZES = ("needed", "free", "said", "sent")


def sentence(code: str, values: dict[str, Any]) -> str:
    """For `code` with the facts `values`; sizes are bytes. An unknown code is its own sentence."""
    hub, repo = str(values.get("hub", "")), str(values.get("repo", ""))
    if code == "hub_unreachable":
        return failures.unreachable(hub).message
    if code == "repo_not_found":
        return failures.not_found(hub, str(values.get("name") or repo)).message
    if code == "repo_gated":
        return failures.gated(hub, repo).message
    if code == "hub_busy":
        return failures.busy(hub).message
    if code == "hub_error":
        return failures.odd(hub).message
    if code not in SENTENCES:
        return code
    shown = {name: size(value) if name in _SIZES else value for name, value in values.items()}
    return _(SENTENCES[code]) % shown


def told(error: dict[str, Any] | None) -> dict[str, str] | None:
    """A row's error as {"code", "message"} for whoever reads now."""
    if error is None:
        return None
    message = error.get("message") or sentence(error["code"], error.get("values", {}))
    return {"code": error["code"], "message": message}


def size(count: Any) -> str:
    """ "1.2 GB"; the library's space does not break, which would look like a stray sign in a terminal."""
    return filesizeformat(count).replace("\xa0", " ")
