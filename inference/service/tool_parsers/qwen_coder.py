"""``<tool_call><function=name><parameter=key>value</parameter></function></tool_call>``: Qwen3-Coder.

Values are bare text: what a tool's JSON schema does not declare as a string is read as JSON.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from inference.protocol import Tools
from inference.service.tool_parsers.calls import Call, ToolFormat

_FUNCTION = re.compile(r"\s*<function=([^>\s]+)>(.*?)</function>", re.DOTALL)
_PARAMETER = re.compile(r"\s*<parameter=([^>\s]+)>\n?(.*?)\n?</parameter>", re.DOTALL)
_PYTHON = {"True": "true", "False": "false", "None": "null"}


def _read(body: str, tools: Tools) -> list[Call]:
    calls: list[Call] = []
    at = 0
    while found := _FUNCTION.match(body, at):
        name, inner = found[1], found[2]
        arguments, inside = {}, 0
        while parameter := _PARAMETER.match(inner, inside):
            arguments[parameter[1]] = _value(parameter[2], _type(tools, name, parameter[1]))
            inside = parameter.end()
        if inner[inside:].strip():
            break
        at = found.end()
        calls.append(Call(name, arguments, at))
    return calls


def _type(tools: Tools, name: str, parameter: str) -> Any:
    for tool in tools:
        if tool["function"]["name"] == name:
            properties = (tool["function"].get("parameters") or {}).get("properties")
            schema = properties.get(parameter) if isinstance(properties, dict) else None
            return schema.get("type") if isinstance(schema, dict) else None
    return None


def _value(text: str, declared: Any) -> Any:
    if not isinstance(declared, str) or declared == "string":
        return text
    try:
        return orjson.loads(_PYTHON.get(text.strip(), text))
    except orjson.JSONDecodeError:
        return text


FORMAT = ToolFormat("<tool_call>", "</tool_call>", _read, starts="<")
