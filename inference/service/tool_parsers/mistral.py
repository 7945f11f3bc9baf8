"""``[TOOL_CALLS][{"name": …, "arguments": {…}}]``, and since 2025 ``[TOOL_CALLS]name[ARGS]{…}`` per call."""

from __future__ import annotations

import re
import string

from inference.protocol import Tools
from inference.service.tool_parsers.calls import Call, ToolFormat, json_calls, named_calls

_HEAD = re.compile(r"\s*(?:\[TOOL_CALLS\])?\s*([\w.-]+)(?:\[CALL_ID\][\w-]*)?(?:\[ARGS\])?\s*(?={)")
_TAIL = re.compile("")


def _read(body: str, tools: Tools) -> list[Call]:
    return json_calls(body, tools) or named_calls(body, _HEAD, _TAIL)


FORMAT = ToolFormat("[TOOL_CALLS]", "", _read, starts="[" + string.ascii_letters + "_")
