"""A conversation as the prompt of one model: its chat template, its roles, its token ids."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from inference.engines import messages as shape
from inference.engines.template import Refused, Renderer
from inference.engines.template_child import CHARACTERS
from inference.engines.tokens import Codec
from inference.engines.tool_formats import format_of
from inference.errors import InferenceError
from inference.protocol import GenerateRequest, Messages

_PROBE = "(c3f0a9)"
#: For base models, which have no template: a dialogue as people write one down.
_PLAIN = (
    "{{ bos_token }}{% for m in messages %}{% if m.role != 'system' %}{{ m.role | capitalize }}: "
    "{% endif %}{{ m.content }}\n\n{% endfor %}Assistant:"
)
_TAG = re.compile(r"</?[a-z]+\d?>")  # some vocabularies have a token for each tag of HTML
_REASONING = {"<think>", "</think>"}


@dataclass(frozen=True)
class Prompt:
    """`reasoning_open`: the answer begins inside the model's thoughts. `tool_format`: how it writes calls, a
    name in tool_formats; None without tools. `stops`: strings that end the answer besides the request's."""

    text: str
    ids: list[int]
    reasoning_open: bool
    tool_format: str | None
    stops: tuple[str, ...] = ()


class ChatTemplate:
    """Made once at load; `encode` may be called from any thread, and takes long for long conversations.

    A template without a system role gets the system text before the first user message. One without tools
    gets them as text. A model without a template is a base model: it goes on with lines "User: ...".
    Raises load_failed: the template is no template, or takes too much time or memory."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer, self._codec, self._renderer = tokenizer, Codec.of(tokenizer), Renderer()
        own = tokenizer.chat_template
        self._templates: dict[str, str] = own if isinstance(own, dict) else {"default": str(own or _PLAIN)}
        self._base = not own
        self._variables = {k: str(v) for k, v in tokenizer.special_tokens_map.items() if isinstance(v, str)}
        self._variables.setdefault("bos_token", "")
        self._names = self._control_names()
        self._knows_system = self._check()

    def encode(self, request: GenerateRequest) -> Prompt:
        """Raises invalid_request: the template refuses the messages, or takes too much time or memory;
        context_too_long: more than four million characters, which are not counted in tokens."""
        template = self._template(bool(request.tools))
        tool_format = format_of(template)
        native = tool_format is not None
        shield = shape.Shield(self._names, request.messages, request.tools, template)
        messages = [{**m, "content": m.get("content") or ""} for m in shield.messages(request.messages)]
        tools = shield.content(request.tools)
        if sum(len(str(m)) for m in messages) + len(str(tools)) > CHARACTERS:
            message = f"The conversation has more than {CHARACTERS:,} characters."
            raise InferenceError("context_too_long", message)
        if "developer" not in template:
            messages = shape.developer_as_system(messages)
        if not native:
            messages = shape.tools_as_text(messages, tools)
        variables: dict[str, Any] = {"tools": tools if tools and native else None}
        if (thinking := request.params.get("thinking")) is not None:
            variables.update(enable_thinking=bool(thinking), thinking=bool(thinking))
        text = self._render(template, messages, variables, tool_format == "mistral")
        ids = self._codec.encode(shield.pieces(text))
        text = "".join(shield.pieces(text))
        return Prompt(
            text=text,
            ids=ids,
            reasoning_open=text.rstrip().endswith("<think>"),
            tool_format=(tool_format or "hermes") if request.tools else None,
            stops=("\nUser:",) if self._base else (),
        )

    def _render(self, template: str, messages: Messages, variables: dict[str, Any], short_ids: bool) -> str:
        refusal: Refused | None = None
        for shaped in self._shapes(messages):
            calls = any(m.get("tool_calls") for m in messages)
            for strings in (False, True) if calls else (False,):
                tried = shape.calls_as_templates_expect(shaped, strings, short_ids)
                try:
                    return self._once(template, tried, variables)
                except Refused as error:
                    refusal = refusal or error
        message = f"The model's chat template refuses these messages: {refusal}"
        raise InferenceError("invalid_request", message)

    def _shapes(self, messages: Messages) -> Iterator[Messages]:
        """The messages as they are, then as more and more demanding templates want them."""
        if self._knows_system:
            yield messages
            yield (first := shape.system_first(messages))
            yield shape.neighbours_joined(first)
        yield (folded := shape.system_into_user(messages))
        yield shape.neighbours_joined(folded)

    def _once(self, template: str, messages: Messages, variables: dict[str, Any]) -> str:
        every = {**self._variables, **variables, "messages": messages, "add_generation_prompt": True}
        return self._renderer.render(template, {"documents": None, **every})

    def _template(self, tools: bool) -> str:
        """Some checkpoints have several by name; the library's rule for which is used."""
        named = self._templates
        if tools and "tool_use" in named:
            return named["tool_use"]
        return named["default"] if "default" in named else next(iter(named.values()))

    def _check(self) -> bool:
        """Whether the template shows the model a system message: some leave it out without a word."""
        system, user = {"role": "system", "content": _PROBE}, {"role": "user", "content": "Hello"}
        template, variables = self._template(False), {"tools": None}
        try:
            try:
                return _PROBE in self._once(template, [system, user], variables)
            except Refused:
                self._once(template, [user], variables)
                return False
        except (Refused, InferenceError) as error:
            why = error.message if isinstance(error, InferenceError) else str(error)
            raise InferenceError("load_failed", f"The model's chat template does not work: {why}") from error

    def _control_names(self) -> set[str]:
        """Names that in a text are not a person's words: special tokens, and others that control a chat."""
        names = set(self._tokenizer.all_special_tokens)
        templates = "".join(self._templates.values())
        for token in getattr(self._tokenizer, "added_tokens_decoder", {}).values():
            name = str(token.content)
            tag = not token.special and _TAG.fullmatch(name) and name not in templates
            if not tag or name in _REASONING:
                names.add(name)
        return names
