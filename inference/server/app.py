"""The routes: parse, ask the manager, send lines."""

from __future__ import annotations

import asyncio
import hmac
import os
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

import orjson
from aiohttp import web

from inference.errors import InferenceError
from inference.protocol import ROLES, Event, GenerateRequest, Messages, ModelSpec, Tools
from inference.server.lines import Heartbeats, send_lines
from inference.service.manager import Manager

_LARGEST_BODY = 64 << 20
_STATUS = {"unauthorized": 401, "model_not_found": 404, "invalid_request": 400}
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def make_app(manager: Manager, *, secret: str | None = None, heartbeat: float) -> web.Application:
    """`heartbeat`: the longest silence of a stream, in seconds."""
    service = _Service(manager, Heartbeats(heartbeat))
    app = web.Application(client_max_size=_LARGEST_BODY, middlewares=[_guard(secret)])
    app.router.add_post("/stream", service.stream)
    app.router.add_post("/load", service.load)
    app.router.add_post("/unload", service.unload)
    app.router.add_post("/pin", service.pin)
    app.router.add_post("/fit", service.fit)
    app.router.add_get("/state", service.state)
    app.router.add_get("/watch", service.watch)
    app.router.add_get("/healthz", service.healthz)
    app.cleanup_ctx.append(service.run_heartbeats)
    return app


class _Service:
    def __init__(self, manager: Manager, heartbeats: Heartbeats) -> None:
        self._manager = manager
        self._heartbeats = heartbeats

    async def stream(self, request: web.Request) -> web.StreamResponse:
        body = await _body(request)
        spec = _spec(body)
        generate = GenerateRequest(
            id=_text(body, "request_id") or uuid.uuid4().hex,
            messages=_messages(body),
            params=_mapping(body, "params"),
            prefix=_text(body, "prefix"),
            user=_text(body, "user"),
            tools=_tools(body),
        )
        return await send_lines(request, self._manager.stream(spec, generate), self._heartbeats)

    async def load(self, request: web.Request) -> web.StreamResponse:
        spec = _spec(await _body(request))
        return await send_lines(request, self._manager.load(spec), self._heartbeats)

    async def unload(self, request: web.Request) -> web.StreamResponse:
        model = _text(await _body(request), "model")

        async def events() -> AsyncGenerator[Event, None]:
            await self._manager.unload(model)
            yield {"kind": "unloaded", "model": model}

        return await send_lines(request, events(), self._heartbeats)

    async def pin(self, request: web.Request) -> web.Response:
        body = await _body(request)
        model, pinned = _text(body, "model"), body.get("pinned")
        if not model or not isinstance(pinned, bool):
            raise InferenceError("invalid_request", "A model's id and pinned (true or false) are expected.")
        self._manager.pin(model, pinned)
        return _json({"pins": self._manager.pins()})

    async def fit(self, request: web.Request) -> web.Response:
        body = await _body(request)
        spec = _spec(body)
        context, concurrency = _count(body, "context"), _count(body, "concurrency")
        facts = _mapping(body, "facts") or None
        return _json(await self._manager.fit(spec, context, concurrency, facts))

    async def state(self, request: web.Request) -> web.Response:
        logs = self._manager.logs()
        models = [
            {"id": line["model"], **line, "engine_log": logs.get(line["model"])}
            for line in self._manager.board.lines()
        ]
        memory = await self._manager.memory()
        return _json({"pid": os.getpid(), "models": models, "pins": self._manager.pins(), "memory": memory})

    async def watch(self, request: web.Request) -> web.StreamResponse:
        return await send_lines(request, self._manager.board.watch(), self._heartbeats)

    async def healthz(self, request: web.Request) -> web.Response:
        return _json({"ok": True})

    async def run_heartbeats(self, app: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(self._heartbeats.run())
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def _guard(secret: str | None) -> Any:
    """Checks the secret and gives every refusal the one shape."""
    expected = f"Bearer {secret}".encode()

    @web.middleware
    async def guard(request: web.Request, handler: _Handler) -> web.StreamResponse:
        try:
            if secret and request.path != "/healthz":
                given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
                if not hmac.compare_digest(given, expected):
                    raise InferenceError("unauthorized", "The secret of the model service is wrong.")
            return await handler(request)
        except InferenceError as error:
            return _json({"error": error.to_event()}, _STATUS.get(error.code, 500))
        except web.HTTPException as error:
            event = InferenceError("invalid_request", error.reason).to_event()
            return _json({"error": event}, error.status)

    return guard


def _json(data: Any, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(data), status=status, content_type="application/json")


async def _body(request: web.Request) -> dict[str, Any]:
    try:
        body = orjson.loads(await request.read())
    except orjson.JSONDecodeError as error:
        raise InferenceError("invalid_request", f"The body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise InferenceError("invalid_request", "The body is not a JSON object.")
    return body


def _spec(body: dict[str, Any]) -> ModelSpec:
    try:
        return ModelSpec.from_dict(body["model"])
    except (KeyError, TypeError, ValueError) as error:
        raise InferenceError("invalid_request", "The body names no model.") from error


def _messages(body: dict[str, Any]) -> Messages:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise InferenceError("invalid_request", "messages is not a list with something in it.")
    for message in messages:
        if not isinstance(message, dict) or message.get("role") not in ROLES:
            raise InferenceError("invalid_request", f"A message's role is one of {', '.join(sorted(ROLES))}.")
        if not isinstance(message.get("content"), str):
            raise InferenceError("invalid_request", "A message's content is a string.")
        calls = message.get("tool_calls") or []
        if not isinstance(calls, list) or not all(_is_call(call) for call in calls):
            raise InferenceError("invalid_request", "A tool call has an id, a name and arguments.")
        for key in ("tool_call_id", "name"):
            _text(message, key)
    return messages


def _is_call(call: Any) -> bool:
    return (
        isinstance(call, dict)
        and isinstance(call.get("id"), str)
        and isinstance(call.get("name"), str)
        and isinstance(call.get("arguments"), dict)
    )


def _tools(body: dict[str, Any]) -> Tools:
    tools = body.get("tools") or []
    if not isinstance(tools, list):
        raise InferenceError("invalid_request", "tools is not a list.")
    for tool in tools:
        function = tool.get("function") if isinstance(tool, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise InferenceError("invalid_request", "A tool is a function with a name.")
        if not isinstance(function.get("parameters") or {}, dict):
            raise InferenceError("invalid_request", "A tool's parameters are a JSON schema.")
    return tools


def _mapping(body: dict[str, Any], key: str) -> dict[str, Any]:
    value = body.get(key) or {}
    if not isinstance(value, dict):
        raise InferenceError("invalid_request", f"{key} is not an object.")
    return value


def _count(body: dict[str, Any], key: str) -> int | None:
    value = body.get(key)
    if value is not None and (type(value) is not int or not 0 < value < 1 << 40):
        raise InferenceError("invalid_request", f"{key} is not a number of at least 1.")
    return value


def _text(body: dict[str, Any], key: str) -> str:
    value = body.get(key) or ""
    if not isinstance(value, str):
        raise InferenceError("invalid_request", f"{key} is not a string.")
    return value
