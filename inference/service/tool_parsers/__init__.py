"""One module per way in which models write tool calls. The names are those of `engines.tool_formats`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from inference.protocol import Event, GenerateRequest
from inference.service.tool_parsers import deepseek, hermes, llama3, mistral, qwen_coder
from inference.service.tool_parsers.calls import ToolFormat

FORMATS: dict[str, ToolFormat] = {
    "deepseek": deepseek.FORMAT,
    "hermes": hermes.FORMAT,
    "llama3": llama3.FORMAT,
    "mistral": mistral.FORMAT,
    "qwen_coder": qwen_coder.FORMAT,
}


class CallReader:
    """The calls of one answer: numbers them, so that each has its id."""

    def __init__(self, format: ToolFormat, request: GenerateRequest) -> None:
        self.format = format
        self._request = request
        self._count = 0

    def is_plain(self, text: str) -> bool:
        """Whether `text`, behind other text, can hold no marker and no white space before one."""
        return self.format.open[0] not in text and not text[-1].isspace()

    def read(self, body: str) -> Iterator[tuple[Event, int]]:
        """Each call of `body` as an event (without raw), and where in the body it ends."""
        for call in self.format.read(body, self._request.tools):
            event = {"kind": "tool_call", "id": self._id(), "name": call.name, "arguments": call.arguments}
            self._count += 1
            yield event, call.end

    def _id(self) -> str:
        """The same when the answer is made again or gone on with, another in the conversation's next answer.
        Nine letters and digits: Mistral's templates take no other."""
        place = f"{self._request.id} {len(self._request.messages)} {self._count}"
        return hashlib.sha256(place.encode()).hexdigest()[:9]


def reader_of(name: str | None, request: GenerateRequest) -> CallReader | None:
    """None: nothing is looked for, because the request has no tools or the model no format."""
    return CallReader(FORMATS[name], request) if name in FORMATS and request.tools else None
