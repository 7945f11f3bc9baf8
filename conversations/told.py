"""What the model service says of a failure, in the language that is active."""

from __future__ import annotations

from django.utils.translation import get_language, gettext_noop
from django.utils.translation import gettext as _

from inference.protocol import Event

#: For sentences that hold details and so cannot be in a catalogue; the sentence itself follows in brackets.
_BY_CODE = {
    "model_not_found": gettext_noop("This model is not there."),
    "invalid_request": gettext_noop("The model cannot take this request."),
    "unauthorized": gettext_noop("The model service refuses this server's key."),
    "context_too_long": gettext_noop("The conversation is longer than the model can read."),
    "out_of_memory": gettext_noop("The memory is not enough."),
    "engine_died": gettext_noop("The model's process ended."),
    "engine_error": gettext_noop("The model failed."),
    "busy": gettext_noop("Too many wait for this model already."),
    "unloaded": gettext_noop("The model was unloaded."),
    "unavailable": gettext_noop("The model service does not answer."),
    "cannot_continue": gettext_noop("This model cannot go on from what there is."),
    "load_failed": gettext_noop("The model cannot be loaded."),
    "malformed_output": gettext_noop("The model's answer cannot be understood."),
}


def told(event: Event) -> Event:
    """`event` with its message translated; one without a message is returned as it is."""
    message = str(event.get("message") or "")
    if not message or (get_language() or "en").startswith("en"):
        return event
    translated = _(message)
    general = _BY_CODE.get(event.get("code", ""))
    if translated == message and general is not None:
        translated = _("%(sentence)s (%(detail)s)") % {"sentence": _(general), "detail": message}
    return event | {"message": translated}
