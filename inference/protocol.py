"""What crosses the boundaries of the model service. Imports nothing of ours.

Events are dicts with a ``kind``:
  status     phase: queued (position) | evicting | loading (progress 0..1) | prefill | generating
  reasoning  text, raw        what the model thought
  text       text, raw        what the model answers
  tool_call  id, name, arguments (object), raw                     what the model wants called
  logprobs   tokens: [{token, logprob, top: [{token, logprob}]}]   of the text that comes next
  usage      prompt_tokens, reused_tokens, completion_tokens, ttft_ms, tokens_per_second
  finished   reason: stop | length | stopped                       last event
  failed     code, message, retryable, extra                       last event
``raw`` is the model's own text since the last event, markers included. All ``raw`` of a stream joined,
given back as ``prefix``, makes a model that can continue go on at that very place.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, TypedDict

ROLES = frozenset({"developer", "system", "user", "assistant", "tool"})
LAST_EVENTS = frozenset({"finished", "failed"})

#: The server says something at least this often while a stream is silent (seconds) ...
HEARTBEAT_EVERY = 10.0
#: ... and a client that heard nothing for this long holds the server for gone.
SILENCE_LIMIT = 35.0

#: Settings that only the manager reads: a change needs no reload.
MANAGERS_SETTINGS = frozenset({"keep_alive", "queue_limit"})

Event = dict[str, Any]
#: ``{"role", "content"}``. An assistant's may carry ``tool_calls``: ``[{"id", "name", "arguments"}]`` with an
#: object as arguments; a tool's the ``tool_call_id`` that it answers and the tool's ``name``.
Messages = list[dict[str, Any]]
#: As OpenAI has them: ``{"type": "function", "function": {"name", "description", "parameters"}}``.
Tools = list[dict[str, Any]]


class Usage(TypedDict):
    prompt_tokens: int
    reused_tokens: int
    completion_tokens: int
    ttft_ms: float
    tokens_per_second: float


@dataclass(frozen=True)
class ModelSpec:
    """What to run and how. It travels with every request: the service stores no models.

    `engine` is "echo", "transformers" or "openai". `source` says where the model is:
    ``{"kind": "folder", "path": ...}``, ``{"kind": "remote", "base_url": ..., "model": ..., "api_key": ...,
    "continues": bool}`` or ``{"kind": "echo", "script": {...}}``. `settings` are the deployment's
    (slots, device, dtype, threads, context_length, ...); a change of source or settings reloads, but for
    those that no engine reads.
    """

    id: str
    name: str
    engine: str
    source: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ModelSpec:
        return cls(
            id=str(data["id"]),
            name=str(data.get("name") or data["id"]),
            engine=str(data["engine"]),
            source=dict(data.get("source") or {}),
            settings=dict(data.get("settings") or {}),
        )

    def runs_like(self, other: ModelSpec) -> bool:
        """Whether a loaded `other` can serve this spec; a new name alone needs no reload."""
        if (self.engine, self.source) != (other.engine, other.source):
            return False
        if self.settings == other.settings:
            return True
        names = (self.settings.keys() | other.settings.keys()) - MANAGERS_SETTINGS
        return all(self.settings.get(name) == other.settings.get(name) for name in names)


@dataclass(frozen=True)
class GenerateRequest:
    """One generation as an engine gets it. `params`: temperature, top_p, top_k, min_p, max_tokens, stop,
    seed, repetition_penalty; engines ignore what they cannot do. `tools`: what the model may call; only
    with them are calls looked for in its answer."""

    id: str
    messages: Messages
    params: dict[str, Any] = field(default_factory=dict)
    prefix: str = ""
    user: str = ""
    tools: Tools = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> GenerateRequest:
        return cls(
            id=str(data["id"]),
            messages=list(data["messages"]),
            params=dict(data.get("params") or {}),
            prefix=str(data.get("prefix") or ""),
            user=str(data.get("user") or ""),
            tools=list(data.get("tools") or []),
        )
