"""What a hub's failure is called, in words for people. `title` is the hub's name, as "ModelScope"."""

from __future__ import annotations

from django.utils.translation import gettext as _

from config.errors import AppError


def unknown(name: str) -> AppError:
    return AppError("hub_unknown", _("There is no hub %(name)s.") % {"name": name[:32]}, status=404)


def unreachable(title: str) -> AppError:
    message = _("%(hub)s does not answer. Is this machine online, and is the hub's address right?")
    return AppError("hub_unreachable", message % {"hub": title}, status=503)


def not_found(title: str, repo: str) -> AppError:
    message = _("%(hub)s has no such model, revision or file: %(name)s.")
    return AppError("repo_not_found", message % {"hub": title, "name": repo[:200]}, status=404)


def gated(title: str, repo: str) -> AppError:
    message = _(
        "%(hub)s gives %(name)s only to who has agreed to its terms there. Agree, then set the hub's token."
    )
    return AppError("repo_gated", message % {"hub": title, "name": repo[:200]}, status=403)


def busy(title: str, retry_after: float | None = None) -> AppError:
    """`retry_after` in seconds, where the hub says it."""
    extra = {} if retry_after is None else {"retry_after": max(0.0, min(retry_after, 86_400.0))}
    message = _("%(hub)s has been asked too often and wants us to wait.")
    return AppError("hub_busy", message % {"hub": title}, extra, status=429)


def odd(title: str) -> AppError:
    message = _("%(hub)s gave an answer that makes no sense.")
    return AppError("hub_error", message % {"hub": title}, status=502)


def slow() -> AppError:
    message = _("The hub is too slow to tell what the model needs.")
    return AppError("hub_unreachable", message, status=503)
