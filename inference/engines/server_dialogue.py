"""How a conversation is told to a server that renders the chat template itself: the same shapes, the same
tool formats and the same guard against control tokens in content as in `prompt`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inference.bounded import Refused, read_json
from inference.engines import messages as shape
from inference.engines.openai_wire import chat_message
from inference.engines.tool_formats import format_of
from inference.errors import InferenceError
from inference.protocol import Event, GenerateRequest, Messages, Tools

_LONGEST_TEMPLATE = 1 << 20


@dataclass(frozen=True)
class Prompt:
    """As `prompt.Prompt`, with the ids alone."""

    ids: list[int]
    reasoning_open: bool
    tool_format: str | None
    stops: tuple[str, ...] = ()

    def event(self) -> Event:
        return {"kind": "prompt", "reasoning_open": self.reasoning_open, "tool_format": self.tool_format}


@dataclass(frozen=True)
class Dialogue:
    """`template`: the chat template's text ("": none); `names`: of control tokens, which content cannot
    become."""

    template: str
    names: Iterable[str] = field(repr=False)

    @property
    def capabilities(self) -> dict[str, bool]:
        return {
            "continues": True,
            "reasoning": "<think>" in self.template,
            "tools": format_of(self.template) is not None,
        }

    def shaped(self, request: GenerateRequest) -> Shaped:
        """Raises invalid_request: no mark is left to guard the content with."""
        tool_format = format_of(self.template)
        shield = shape.Shield(self.names, request.messages, request.tools, self.template)
        messages = [{**m, "content": m.get("content") or ""} for m in shield.messages(request.messages)]
        tools = shield.content(request.tools)
        if "developer" not in self.template:
            messages = shape.developer_as_system(messages)
        if tool_format is None:
            messages, tools = shape.tools_as_text(messages, tools), []
        variables: dict[str, Any] = {}
        if (thinking := request.params.get("thinking")) is not None:
            variables = {"enable_thinking": bool(thinking), "thinking": bool(thinking)}
        return Shaped(messages, tools, variables, written_format(self, request), shield)


@dataclass(frozen=True)
class Shaped:
    messages: Messages
    tools: Tools
    variables: dict[str, Any]  # of the template
    tool_format: str | None
    shield: shape.Shield

    def bodies(self) -> Iterator[dict[str, Any]]:
        """What to ask for the rendered prompt, one after the other until the template takes one."""
        rest = {"tools": self.tools} if self.tools else {}
        if self.variables:
            rest["chat_template_kwargs"] = self.variables  # type: ignore[assignment]
        tried: list[Messages] = []
        for messages in self._shapes():
            if messages not in tried:
                tried.append(messages)
                wire = [chat_message(message) for message in messages]
                yield {"messages": wire, "add_generation_prompt": True, **rest}

    def _shapes(self) -> Iterator[Messages]:
        yield self.messages
        yield (first := shape.system_first(self.messages))
        yield shape.neighbours_joined(first)
        yield (folded := shape.system_into_user(self.messages))
        yield shape.neighbours_joined(folded)


def written_format(dialogue: Dialogue, request: GenerateRequest) -> str | None:
    """How the model writes calls in its answer to `request`; None without tools."""
    return (format_of(dialogue.template) or "hermes") if request.tools else None


def refuses(error: InferenceError) -> bool:
    """Whether it may be the template that said no; servers answer that with 400 or with 500."""
    return error.code in ("invalid_request", "unavailable")


def of_folder(folder: Path) -> Dialogue:
    """From the files of a model folder. One that cannot be read gives an empty template: its load tells."""
    tokenizer = _read(folder / "tokenizer_config.json")
    template = tokenizer.get("chat_template")
    if isinstance(template, list):  # several by name
        named = {str(t.get("name")): t.get("template") for t in template if isinstance(t, dict)}
        template = named.get("tool_use") or named.get("default")
    file = folder / "chat_template.jinja"
    if file.is_file() and file.stat().st_size <= _LONGEST_TEMPLATE:
        template = file.read_text(encoding="utf-8", errors="replace")
    template = template if isinstance(template, str) else ""
    added = tokenizer.get("added_tokens_decoder")
    tokens = list(added.values()) if isinstance(added, dict) else []
    if not tokens:
        tokens = _read(folder / "tokenizer.json").get("added_tokens") or []
    found = [token for token in tokens if isinstance(token, dict) and token.get("content")]
    names = {
        str(token["content"])
        for token in found
        if token.get("special") or str(token["content"]) in template or "<think>" in str(token["content"])
    }
    return Dialogue(template, tuple(sorted(names)))


def _read(path: Path) -> dict[str, Any]:
    try:
        found = read_json(path)
    except Refused:
        return {}
    return found if isinstance(found, dict) else {}
