"""Whatever an engine runs into, as the one error of the model service."""

from __future__ import annotations

from inference.engines.device import is_out_of_memory
from inference.errors import InferenceError


def typed(error: Exception) -> InferenceError:
    """`error` itself when it is typed already; want of memory is retryable, anything else is not."""
    if isinstance(error, InferenceError):
        return error
    if is_out_of_memory(error):
        return InferenceError("out_of_memory", "The answer does not fit into memory.", True)
    return InferenceError("engine_error", f"{type(error).__name__}: {error}")
