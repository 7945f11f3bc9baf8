"""``<tool_call>{"name": …, "arguments": {…}}</tool_call>``: Hermes, Qwen2.5, Qwen3, SmolLM3."""

from inference.service.tool_parsers.calls import ToolFormat, json_calls

FORMAT = ToolFormat("<tool_call>", "</tool_call>", json_calls, starts="{[")
