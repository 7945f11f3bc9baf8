"""Whether a model would fit, asked of the model service before anything is loaded, and said in a sentence."""

from __future__ import annotations

from typing import Any

from asgiref.sync import async_to_sync
from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from config.errors import AppError
from inference.client import InferenceClient
from inference.errors import InferenceError
from inference.protocol import ModelSpec
from models_registry import live

Fit = dict[str, Any]


def fit_ask(
    spec: ModelSpec,
    *,
    context: int | None = None,
    concurrency: int | None = None,
    facts: dict[str, Any] | None = None,
) -> Fit:
    """The answer of /fit with a `sentence` in the active language. `facts` stand for files that are not here
    (`models_registry.hubs.headers.facts`).

    Raises AppError: "unavailable" (503) when the model service is away, else its code (400, 404).
    """

    async def ask() -> Fit:
        # A client of its own: its connection belongs to this loop, which ends with the call.
        secret = getattr(settings, "HEARTH_INFERENCE_SECRET", "") or None
        client = InferenceClient(settings.HEARTH_INFERENCE, secret)
        try:
            return await client.fit(spec, context=context, concurrency=concurrency, facts=facts)
        finally:
            await client.close()

    try:
        answer = async_to_sync(ask)()
    except InferenceError as error:
        status = {"unavailable": 503, "model_not_found": 404}.get(error.code, 400)
        message = _(live.AWAY) if error.code == "unavailable" else error.message
        raise AppError(error.code, message, error.extra, status=status) from error
    return answer | {"sentence": sentence(answer)}


def sentence(answer: Fit) -> str:
    """What the best device says, in the active language."""
    if not answer["devices"]:
        return _("It runs elsewhere and takes no memory here.")
    if not answer["known"]:
        return _("How much memory it needs cannot be told from its files.")
    best = next(entry for entry in answer["devices"] if entry["device"] == answer["best"])
    needs = _("Needs %(needed)s of %(free)s free") % {
        "needed": amount(best["needed_bytes"]),
        "free": amount(best["free_bytes"]),
    }
    return _("%(needs)s: %(verdict)s.") % {"needs": needs, "verdict": _verdict(best)}


def _verdict(entry: Fit) -> str:
    """The half of the sentence that says what to do with the numbers."""
    values = {"context": tokens(entry["context"]), "largest": tokens(entry["largest_context"])}
    verdict = entry["verdict"]
    if verdict == "does_not_fit":
        return _("does not fit")
    if verdict == "fits_with_less_context":
        return _("fits with %(largest)s context, not with %(context)s") % values
    fits = _("fits with %(context)s context") % values
    longest = entry.get("longest_context") or 0
    if entry["largest_context"] < longest:
        values["longest"] = tokens(longest)
        fits = _("fits with %(context)s context, not with %(longest)s") % values
    if entry["concurrency"] > 1:
        more = ngettext(
            "%(fits)s, for %(count)d answer at a time", "%(fits)s, for %(count)d answers at a time",
            entry["concurrency"],
        )  # fmt: skip
        fits = more % {"fits": fits, "count": entry["concurrency"]}
    if verdict == "fits_after_eviction":
        names = ", ".join(model["name"] for model in entry["evicts"])
        fits = _("%(fits)s, once these are unloaded: %(models)s") % {"fits": fits, "models": names}
    return fits


def amount(count: int) -> str:
    """Bytes as people read them: "7.9 GB", "350 MB"."""
    if count < 950_000_000:
        return _("%(number)s MB") % {"number": f"{count / 1e6:.0f}"}
    return _("%(number)s GB") % {"number": f"{count / 1e9:.1f}"}


def tokens(count: int) -> str:
    """A number of tokens as people say it: "8k" for 8,192."""
    return f"{count // 1024}k" if count >= 1024 else str(count)
