"""The body of a chat completion, checked: OpenAI's names and ranges, and ours beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from inference.protocol import Messages
from models_registry.openai_api.errors import refused
from models_registry.openai_api.messages import messages_check
from models_registry.openai_api.tools import ToolUse, tools_check

#: Passed on as they are, each with its range.
NUMBERS: dict[str, tuple[float, float]] = {
    "temperature": (0, 5),
    "top_p": (0, 1),
    "min_p": (0, 1),
    "repetition_penalty": (0.1, 10),
    "presence_penalty": (-2, 2),
}
INTEGERS: dict[str, tuple[int, int]] = {
    "top_k": (0, 1_000_000),
    "max_tokens": (1, 1_000_000),
    "max_completion_tokens": (1, 1_000_000),
    "seed": (-(2**63), 2**63 - 1),
    "top_logprobs": (0, 20),
}
#: Read here by name.
OWN = (
    "model", "messages", "stream", "stream_options", "tools", "tool_choice", "parallel_tool_calls",
    "response_format", "stop", "logit_bias", "logprobs", "n", "frequency_penalty", "reasoning_effort",
    "thinking", "chat_template_kwargs", "modalities",
)  # fmt: skip
#: About OpenAI's own service; taken and without effect.
IGNORED = (
    "user", "store", "metadata", "service_tier", "safety_identifier", "prompt_cache_key", "verbosity",
    "prompt_cache_retention",
)  # fmt: skip
STOPS = 16


@dataclass(frozen=True)
class ChatRequest:
    model: str
    messages: Messages
    params: dict[str, Any]
    use: ToolUse
    stream: bool
    include_usage: bool


def chat_check(body: Any) -> ChatRequest:
    """Raises ApiError with the field that is wrong."""
    if not isinstance(body, dict):
        raise refused(None, _("The body is a JSON object."))
    given = {name: value for name, value in body.items() if value is not None}
    for name in given:
        if name not in NUMBERS and name not in INTEGERS and name not in OWN and name not in IGNORED:
            raise refused(
                name, _("There is no such field: %(name)s.") % {"name": name[:64]}, "unknown_parameter"
            )
    model = given.get("model")
    if not isinstance(model, str) or not model:
        raise refused("model", _("model must be a model's name or id."))
    use = tools_check(given.get("tools"), given.get("tool_choice"), given.get("parallel_tool_calls"))
    stream = _flag(given, "stream")
    return ChatRequest(
        model=model,
        messages=messages_check(given.get("messages")),
        params=_params(given, use),
        use=use,
        stream=stream,
        include_usage=_include_usage(given, stream),
    )


def _params(given: dict[str, Any], use: ToolUse) -> dict[str, Any]:
    """In the words of the model service."""
    params: dict[str, Any] = {}
    for name, (low, high) in {**NUMBERS, "frequency_penalty": (-2, 2)}.items():
        if name in given:
            params[name] = _number(name, given[name], low, high)
    for name, (least, most) in INTEGERS.items():
        if name in given:
            params[name] = _integer(name, given[name], least, most)
    if params.pop("frequency_penalty", 0):
        raise refused("frequency_penalty", _("Only 0 is possible here; see repetition_penalty."))
    if given.get("n", 1) != 1:
        raise refused("n", _("Only one choice is made per request."))
    if given.get("modalities", ["text"]) != ["text"]:
        raise refused("modalities", _("Only text is made here."))
    if "max_completion_tokens" in params:
        params["max_tokens"] = params.pop("max_completion_tokens")
    params |= _logprobs(given, params.pop("top_logprobs", None))
    params |= _stop(given) | _thinking(given)
    for name in ("logit_bias", "response_format"):
        if name in given:
            if not isinstance(given[name], dict):
                raise refused(name, _("This is an object."))
            params[name] = given[name]
    if use.forced is not None:
        params["response_format"] = use.forced
    return params


def _logprobs(given: dict[str, Any], top: int | None) -> dict[str, Any]:
    if not _flag(given, "logprobs"):
        if top is not None:
            raise refused("top_logprobs", _("top_logprobs needs logprobs to be true."))
        return {}
    return {"logprobs": top or 0}


def _stop(given: dict[str, Any]) -> dict[str, Any]:
    stop = given.get("stop")
    if stop is None:
        return {}
    stops = [stop] if isinstance(stop, str) else stop
    if not isinstance(stops, list) or len(stops) > STOPS or not all(isinstance(s, str) and s for s in stops):
        raise refused("stop", _("stop is a text or a list of at most %(most)s texts.") % {"most": STOPS})
    return {"stop": stops}


def _thinking(given: dict[str, Any]) -> dict[str, Any]:
    """Three ways to say it: ours, the templates', OpenAI's."""
    if "thinking" in given:
        return {"thinking": _flag(given, "thinking")}
    if "chat_template_kwargs" in given:
        wanted = given["chat_template_kwargs"]
        if not isinstance(wanted, dict) or set(wanted) - {"enable_thinking", "thinking"}:
            raise refused("chat_template_kwargs", _("Only enable_thinking is understood here."))
        return {"thinking": any(_flag(wanted, name) for name in wanted)} if wanted else {}
    effort = given.get("reasoning_effort")
    if effort is None:
        return {}
    if effort not in ("none", "minimal", "low", "medium", "high", "xhigh"):
        raise refused("reasoning_effort", _("There is no such effort."))
    return {"thinking": effort not in ("none", "minimal")}


def _include_usage(given: dict[str, Any], stream: bool) -> bool:
    options = given.get("stream_options")
    if options is None:
        return False
    if not isinstance(options, dict) or not stream:
        raise refused("stream_options", _("stream_options is an object, only for a stream."))
    return _flag(options, "include_usage")


def _flag(given: dict[str, Any], name: str) -> bool:
    value = given.get(name, False)
    if not isinstance(value, bool):
        raise refused(name, _("This is true or false."))
    return value


def _number(name: str, value: Any, low: float, high: float) -> float:
    # The comparison is false for NaN, so that it is refused, too.
    if isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high:
        return value
    raise refused(name, _("This is a number from %(low)s to %(high)s.") % {"low": low, "high": high})


def _integer(name: str, value: Any, least: int, most: int) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
        return value
    raise refused(name, _("This is a whole number from %(low)s to %(high)s.") % {"low": least, "high": most})
