"""How a checkpoint writes tool calls, told by the text of its chat template.

Not by the model's name: a distillate keeps the template of what it was made from. The names are those of the
modules in `inference/service/tool_parsers/`.
"""

from __future__ import annotations

import re

# In this order: what stands first is the more special.
_MARKS = (
    ("deepseek", re.compile("<｜tool▁calls▁begin｜>")),
    ("mistral", re.compile(r"\[TOOL_CALLS\]")),
    ("llama3", re.compile(r'<\|python_tag\|>|ipython[\s\S]*"parameters": ')),
    ("qwen_coder", re.compile(r"<tool_call>[\s\S]*<function=")),
    # GLM's calls stand between the same markers, but are no JSON: nobody reads those here.
    ("hermes", re.compile(r"^(?![\s\S]*<arg_key>)[\s\S]*<tool_call>")),
)


def format_of(template: str) -> str | None:
    """The name of the format, or None when the template never shows the model its tools (many templates
    that can write old calls into the history do not), or when its format is none that is read here."""
    if not re.search(r"\btools\b", template):
        return None
    return next((name for name, mark in _MARKS if mark.search(template)), None)
