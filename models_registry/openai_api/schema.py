"""`/v1/` in the API's description. Its views are no REST framework views, so nothing finds them by itself."""

from __future__ import annotations

from typing import Any

from models_registry.openai_api.params import IGNORED, INTEGERS, NUMBERS

Schema = dict[str, Any]

_OBJECT: Schema = {"type": "object", "additionalProperties": True}
_LIST: Schema = {"type": "array", "items": _OBJECT}
#: Types of the fields that `params` reads by name.
_OWN: Schema = {
    "model": {"type": "string", "description": "A model's name or id."},
    "messages": _LIST | {"minItems": 1},
    "stream": {"type": "boolean"},
    "stream_options": {"type": "object", "properties": {"include_usage": {"type": "boolean"}}},
    "tools": _LIST,
    "tool_choice": {"oneOf": [{"type": "string", "enum": ["none", "auto", "required"]}, _OBJECT]},
    "parallel_tool_calls": {"type": "boolean"},
    "response_format": _OBJECT,
    "stop": {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
    "logit_bias": _OBJECT,
    "logprobs": {"type": "boolean"},
    "n": {"type": "integer", "enum": [1]},
    "frequency_penalty": {"type": "number", "enum": [0]},
    "reasoning_effort": {"type": "string", "enum": ["none", "minimal", "low", "medium", "high", "xhigh"]},
    "thinking": {"type": "boolean"},
    "chat_template_kwargs": _OBJECT,
    "modalities": {"type": "array", "items": {"type": "string", "enum": ["text"]}},
}
_ERROR: Schema = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": "string", "nullable": True},
                "code": {"type": "string", "nullable": True},
            },
        }
    },
}
_JSON = "application/json"


def chat_completion() -> Schema:
    """The body of a chat completion, with the names and ranges that `params` checks."""
    fields: Schema = dict(_OWN)
    for kind, ranges in (("number", NUMBERS), ("integer", INTEGERS)):
        fields |= {name: {"type": kind, "minimum": a, "maximum": b} for name, (a, b) in ranges.items()}
    fields |= {name: {"description": "Taken, without effect."} for name in IGNORED}
    return {
        "type": "object",
        "required": ["model", "messages"],
        "properties": fields,
        "additionalProperties": False,
    }


def add_openai(result: Schema, **more: Any) -> Schema:
    """A postprocessing hook of drf-spectacular."""
    embeddings = {
        "type": "object",
        "required": ["model", "input"],
        "properties": {"model": {"type": "string"}},
    }
    stream = {"text/event-stream": {"schema": {"type": "string"}}}
    model = {"name": "model", "in": "path", "required": True, "schema": {"type": "string"}}
    result["paths"] |= {
        "/v1/models": {"get": _call("v1_models", "The models that one may use.")},
        "/v1/models/{model}": {"get": _call("v1_model", "One of them.") | {"parameters": [model]}},
        "/v1/chat/completions": {
            "post": _call(
                "v1_chat_completions", "An answer, whole or as a stream.", chat_completion(), stream
            )
        },
        "/v1/embeddings": {"post": _call("v1_embeddings", "No model here makes any yet: 400.", embeddings)},
    }
    return result


def _call(name: str, what: str, body: Schema | None = None, also: Schema | None = None) -> Schema:
    found: Schema = {
        "operationId": name,
        "description": what,
        "tags": ["v1"],
        "security": [{"password": []}, {"bearer": []}],
        "responses": {
            "200": {"description": "", "content": {_JSON: {"schema": _OBJECT}, **(also or {})}},
            "default": {"description": "As OpenAI's errors.", "content": {_JSON: {"schema": _ERROR}}},
        },
    }
    if body is not None:
        found["requestBody"] = {"required": True, "content": {_JSON: {"schema": body}}}
    return found
