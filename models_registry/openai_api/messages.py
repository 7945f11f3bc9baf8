"""OpenAI's messages as the model service takes them (`inference.protocol.Messages`)."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _

from config.bodies import json_read
from inference.protocol import Messages
from models_registry.openai_api.errors import refused

ROLES = ("developer", "system", "user", "assistant", "tool")
_TEXT_PARTS = ("text", "input_text", "output_text", "refusal")


def messages_check(given: Any) -> Messages:
    """Raises ApiError naming the message that is wrong."""
    if not isinstance(given, list) or not given:
        raise refused("messages", _("messages must be a list with at least one message."))
    names: dict[str, str] = {}
    return [_message(message, f"messages[{index}]", names) for index, message in enumerate(given)]


def _message(message: Any, at: str, names: dict[str, str]) -> dict[str, Any]:
    """`names`: the function of each call so far, by the call's id; a result need not repeat it."""
    if not isinstance(message, dict):
        raise refused(at, _("A message is an object."))
    role = message.get("role")
    if role not in ROLES:
        raise refused(f"{at}.role", _("The role is one of: %(roles)s.") % {"roles": ", ".join(ROLES)})
    calls = [
        _call(call, f"{at}.tool_calls[{index}]")
        for index, call in enumerate(_list(message.get("tool_calls"), f"{at}.tool_calls"))
    ]
    if calls and role != "assistant":
        raise refused(f"{at}.tool_calls", _("Only an assistant calls tools."))
    found: dict[str, Any] = {"role": role, "content": _content(message.get("content"), at, bool(calls))}
    if calls:
        found["tool_calls"] = calls
        names |= {call["id"]: call["name"] for call in calls}
    if role == "tool":
        call_id = message.get("tool_call_id")
        if not isinstance(call_id, str) or not call_id:
            raise refused(f"{at}.tool_call_id", _("A tool's message names the call that it answers."))
        name = message.get("name") or names.get(call_id) or ""
        found |= {"tool_call_id": call_id} | ({"name": name} if isinstance(name, str) and name else {})
    return found


def _content(content: Any, at: str, may_lack: bool) -> str:
    if isinstance(content, str):
        return content
    if content is None and may_lack:
        return ""
    if not isinstance(content, list):
        raise refused(f"{at}.content", _("The content is a text or a list of parts."))
    texts = []
    for index, part in enumerate(content):
        kind = part.get("type") if isinstance(part, dict) else None
        if kind not in _TEXT_PARTS:
            message = _("Only parts of text are understood here, not %(kind)s.") % {"kind": str(kind)[:40]}
            raise refused(f"{at}.content[{index}]", message)
        text = part.get("refusal" if kind == "refusal" else "text")
        if not isinstance(text, str):
            raise refused(f"{at}.content[{index}].text", _("This is a text."))
        texts.append(text)
    return "\n".join(texts)


def _call(call: Any, at: str) -> dict[str, Any]:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict) or not isinstance(call.get("id"), str):
        raise refused(at, _("A call has an id and a function."))
    name, text = function.get("name"), function.get("arguments", "{}")
    try:
        arguments = json_read(text or "{}") if isinstance(text, str) else None
    except ValueError:
        arguments = None
    if not isinstance(name, str) or not isinstance(arguments, dict):
        raise refused(
            f"{at}.function", _("A called function has a name, and arguments that are a JSON object as text.")
        )
    return {"id": call["id"], "name": name, "arguments": arguments}


def _list(value: Any, at: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise refused(at, _("This is a list."))
    return value
