"""DeepSeek: R1, V3 write ``function<｜tool▁sep｜>name`` and fenced JSON, V3.1 ``name<｜tool▁sep｜>{…}``."""

from __future__ import annotations

import re

from inference.protocol import Tools
from inference.service.tool_parsers.calls import Call, ToolFormat, named_calls

_HEAD = re.compile(
    r"\s*<｜tool▁call▁begin｜>\s*(?:function<｜tool▁sep｜>([^\n<]+)\n```json\s*|([^\n<]+)<｜tool▁sep｜>\s*)"
)
_TAIL = re.compile(r"\s*(?:```)?\s*<｜tool▁call▁end｜>")


def _read(body: str, tools: Tools) -> list[Call]:
    return named_calls(body, _HEAD, _TAIL)


FORMAT = ToolFormat("<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>", _read, starts="<")
