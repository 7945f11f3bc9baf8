"""Answers as server-sent events: the other door to the same log."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import orjson
from asgiref.sync import async_to_sync
from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from config.api import validated
from config.browsable import BrowsableRenderer
from config.errors import AppError
from conversations.event_log import follow, watch_check
from conversations.runner import runner
from conversations.selectors import turn_get
from conversations.serializers import ChatStreamWrite, StopAccepted, TestStreamWrite
from conversations.services import Ask, Begun
from conversations.views.conversations import ask_of, start

PING_EVERY = 15.0
TEST_TOKENS = 50


class EventStreamRenderer(BaseRenderer):
    """Only for the content negotiation: the stream is written by `stream`; errors are JSON."""

    media_type = "text/event-stream"
    format = "event-stream"

    def render(self, data: Any, media_type: str | None = None, context: Any = None) -> bytes:
        return orjson.dumps(data)


class StreamPage(BrowsableRenderer):
    def get_default_renderer(self, view: APIView) -> BaseRenderer:
        """What a page of the browsable API shows is never the stream itself."""
        return JSONRenderer()


_STREAM = {(200, "text/event-stream"): OpenApiTypes.STR}


class StreamView(APIView):
    renderer_classes = [EventStreamRenderer, JSONRenderer, StreamPage]

    def http_method_not_allowed(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Response:
        """Who opens the address in a browser is told what it is for."""
        url = request.build_absolute_uri(request.path)
        message = _('Send a POST with {"content": "…"}; the answer is a stream of events.')
        headers = "-H 'Authorization: Bearer …' -H 'Content-Type: application/json'"
        example = f'curl -N {headers} -d \'{{"content": "…"}}\' {url}'
        raise AppError("method_not_allowed", message, {"example": example}, status=405)

    def handle_exception(self, exc: Exception) -> Response:
        """An error is JSON also for who asked for a stream."""
        response = super().handle_exception(exc)
        if isinstance(getattr(self.request, "accepted_renderer", None), EventStreamRenderer):
            self.request.accepted_renderer = JSONRenderer()
            self.request.accepted_media_type = JSONRenderer.media_type
        return response

    def hint(self, request: Request, turn_id: str) -> Response | None:
        """In the browsable API a stream would never end to load: say where it can be read."""
        if request.accepted_renderer.format != "api":
            return None
        url = request.build_absolute_uri(f"/api/turns/{turn_id}/events/")
        hint = _("This is a stream; read it with: curl -N -H 'Authorization: Bearer …' %(url)s") % {
            "url": url
        }
        return Response({"hint": hint, "turn": turn_id})


class ChatStreamView(StreamView):
    """Start a turn and read it as `text/event-stream`: `accepted`, then every event of the turn."""

    @extend_schema(request=ChatStreamWrite, responses=_STREAM, operation_id="chat_stream")
    def post(self, request: Request) -> HttpResponseBase:
        values = validated(ChatStreamWrite, request)
        begun = start(request, ask_of(request, values), values.get("conversation"), values["content"])
        return self.hint(request, begun.turn) or stream(begun.turn, 0, begun)


class TestStreamView(StreamView):
    """The same stream from the built-in echo engine; no model is loaded."""

    @extend_schema(request=TestStreamWrite, responses=_STREAM, operation_id="chat_teststream")
    def post(self, request: Request) -> HttpResponseBase:
        values = validated(TestStreamWrite, request)
        content = values.pop("content", _("A test of the stream."))
        echo = {"tokens": TEST_TOKENS} | values
        ask = Ask(user_id=str(request.user.pk), echo=echo)
        begun = start(request, ask, None, content, is_test=True)
        return self.hint(request, begun.turn) or stream(begun.turn, 0, begun)


class TurnEventsView(StreamView):
    """Go on reading a turn after the seq that `Last-Event-ID` or `?after=` names."""

    @extend_schema(
        parameters=[
            OpenApiParameter("after", int),
            OpenApiParameter("Last-Event-ID", int, OpenApiParameter.HEADER),
        ],
        responses=_STREAM,
        operation_id="turn_events",
    )
    def get(self, request: Request, turn_id: str) -> HttpResponseBase:
        turn = turn_get(str(request.user.pk), turn_id)
        text = request.headers.get("Last-Event-ID") or request.query_params.get("after") or "0"
        if not text.isdecimal() or len(text) > 12:
            raise AppError(
                "invalid",
                _("Some fields are not right."),
                {"fields": {"after": [_("This is a number that is not negative.")]}},
            )
        watch_check(turn, int(text))
        return self.hint(request, turn.pk) or stream(turn.pk, int(text))


class TurnStopView(APIView):
    """End a running turn with what there is."""

    @extend_schema(request=None, responses={202: StopAccepted}, operation_id="turn_stop")
    def post(self, request: Request, turn_id: str) -> Response:
        turn = turn_get(str(request.user.pk), turn_id)
        async_to_sync(runner.stop)(turn.pk)
        return Response({"turn": turn.pk}, status=202)


def stream(turn_id: str, after: int, begun: Begun | None = None) -> StreamingHttpResponse:
    async def lines() -> AsyncIterator[bytes]:
        if begun is not None:
            yield b"event: accepted\ndata: " + orjson.dumps(begun.accepted()) + b"\n\n"
        async for events in follow(turn_id, after, PING_EVERY):
            if not events:
                yield b": ping\n\n"
                continue
            yield "".join(
                [f"id: {event.seq}\nevent: {event.kind}\ndata: {event.data}\n\n" for event in events]
            ).encode()

    response = StreamingHttpResponse(lines(), content_type="text/event-stream")
    response["X-Accel-Buffering"] = "no"
    response["Cache-Control"] = "no-cache, no-transform"
    return response
