"""Llama 3.1 to 3.3: ``{"name": …, "parameters": {…}}`` is the whole answer, or follows ``<|python_tag|>``.

Calls of the tools that these models bring along (``brave_search.call(…)``) are nobody's here and stay text.
"""

from inference.service.tool_parsers.calls import ToolFormat, json_calls

FORMAT = ToolFormat("<|python_tag|>", "", json_calls, starts="{[", bare="{")
