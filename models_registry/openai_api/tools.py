"""What the model may or must call.

A call that must come is a JSON form to the engine: the name is one of the functions', the arguments follow
their schema, so it parses however small the model is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson
from django.utils.translation import gettext as _

from inference.protocol import Tools
from models_registry.openai_api.errors import refused

MOST_TOOLS = 128


@dataclass(frozen=True)
class ToolUse:
    tools: Tools = field(default_factory=list)
    #: The response_format of a call that must come; None: the model is free.
    forced: dict[str, Any] | None = None
    #: False: only the first call of an answer counts.
    parallel: bool = True


def tools_check(tools: Any, choice: Any, parallel: Any) -> ToolUse:
    """Raises ApiError."""
    if parallel not in (None, True, False):
        raise refused("parallel_tool_calls", _("This is true or false."))
    known = _tools(tools)
    if choice not in (None, "none") and not known:
        raise refused("tool_choice", _("tool_choice is only for a request with tools."))
    if choice == "none" or not known:
        return ToolUse()
    if choice in (None, "auto"):
        return ToolUse(known, None, parallel is not False)
    wanted = known
    if isinstance(choice, dict):
        function = choice.get("function")
        name = function.get("name") if isinstance(function, dict) else None
        wanted = [tool for tool in known if tool["function"]["name"] == name]
        if choice.get("type") != "function" or not wanted:
            raise refused("tool_choice", _("tool_choice names a function that is not among the tools."))
    elif choice != "required":
        raise refused("tool_choice", _("tool_choice is none, auto, required or a function."))
    return ToolUse(wanted, _form(wanted), False)


def _tools(tools: Any) -> Tools:
    if tools is None:
        return []
    if not isinstance(tools, list) or len(tools) > MOST_TOOLS:
        raise refused("tools", _("tools is a list of at most %(most)s functions.") % {"most": MOST_TOOLS})
    for index, tool in enumerate(tools):
        function = tool.get("function") if isinstance(tool, dict) and tool.get("type") == "function" else None
        name = function.get("name") if isinstance(function, dict) else None
        if not isinstance(function, dict) or not isinstance(name, str) or not 0 < len(name) <= 64:
            raise refused(f"tools[{index}]", _("A tool is a function with a name of 1 to 64 characters."))
        if not isinstance(function.get("parameters") or {}, dict):
            raise refused(f"tools[{index}].function.parameters", _("Parameters are a JSON schema."))
    return tools


def _form(tools: Tools) -> dict[str, Any]:
    """One call as JSON. Definitions that parameters refer to (#/$defs/…) move to the root with them."""
    shared: dict[str, Any] = {}
    calls = []
    for tool in tools:
        function = tool["function"]
        parameters = dict(function.get("parameters") or {"type": "object"})
        for key in ("$defs", "definitions"):
            shapes = parameters.pop(key, None) or {}
            if not isinstance(shapes, dict):
                raise refused("tools", _("Parameters are a JSON schema."))
            for name, schema in shapes.items():
                if shared.setdefault(key, {}).setdefault(name, schema) != schema:
                    raise refused("tools", _("Two functions define %(name)s differently.") % {"name": name})
        calls.append(
            {
                "type": "object",
                "properties": {"name": {"const": function["name"]}, "arguments": parameters},
                "required": ["name", "arguments"],
                "additionalProperties": False,
            }
        )
    schema = calls[0] if len(calls) == 1 else {"anyOf": calls}
    return {"type": "json_schema", "json_schema": {"name": "call", "schema": schema | shared}}


def call_of(text: str) -> tuple[str, dict[str, Any]] | None:
    """The call that a forced answer's text is; None where the engine did not keep to the form."""
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(found, dict) or not isinstance(found.get("name"), str):
        return None
    arguments = found.get("arguments")
    return (found["name"], arguments) if isinstance(arguments, dict) else None
