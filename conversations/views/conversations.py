"""Conversations and their messages over REST."""

from __future__ import annotations

from typing import Any

from asgiref.sync import async_to_sync
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from config.api import CursorPage, validated
from config.errors import AppError
from conversations import selectors, services
from conversations.job import begin
from conversations.notices import announce, notify
from conversations.runner import runner
from conversations.serializers import (
    Accepted,
    ActiveWrite,
    ConversationPatch,
    ConversationRead,
    ConversationWrite,
    MessagePage,
    TurnWrite,
)
from conversations.services import Ask, Begun

_PAGING = [
    OpenApiParameter("cursor", str, description="From the `next` of the page before."),
    OpenApiParameter("limit", int, description="Items of one page, at most 200."),
]


class ConversationPages(CursorPage):
    ordering = "-updated"


class ConversationsView(APIView):
    """Your conversations, newest first."""

    @extend_schema(
        parameters=[
            *_PAGING,
            OpenApiParameter("search", str, description="In titles and message texts."),
            OpenApiParameter("archived", bool),
            OpenApiParameter("folder", str),
        ],
        responses={200: ConversationPages().get_paginated_response_schema({"type": "array", "items": {}})},
        operation_id="conversations_list",
    )
    def get(self, request: Request) -> Response:
        query = request.query_params
        archived = query.get("archived")
        if archived not in (None, "true", "false", "1", "0"):
            complaint = {"archived": [_("This is true or false.")]}
            raise AppError("invalid", _("Some fields are not right."), {"fields": complaint})
        found = selectors.conversation_list(
            str(request.user.pk),
            search=query.get("search", "").replace("\x00", "")[:200],
            archived=None if archived is None else archived in ("1", "true"),
            folder=query.get("folder"),
        )
        pages = ConversationPages()
        page = pages.paginate_queryset(found, request, view=self) or []
        return pages.get_paginated_response([selectors.conversation_dict(c) for c in page])

    @extend_schema(request=ConversationWrite, responses={201: ConversationRead})
    def post(self, request: Request) -> Response:
        values = validated(ConversationWrite, request)
        made = services.conversation_create(str(request.user.pk), values)
        return Response(_tell(request, selectors.conversation_dict(made)), status=201)


class ConversationView(APIView):
    """One conversation: read, change, delete."""

    @extend_schema(responses=ConversationRead)
    def get(self, request: Request, conversation_id: str) -> Response:
        found = selectors.conversation_get(str(request.user.pk), conversation_id)
        return Response(selectors.conversation_dict(found))

    @extend_schema(request=ConversationPatch, responses=ConversationRead)
    def patch(self, request: Request, conversation_id: str) -> Response:
        found = selectors.conversation_get(str(request.user.pk), conversation_id)
        services.conversation_update(found, validated(ConversationPatch, request))
        return Response(_tell(request, selectors.conversation_dict(found)))

    @extend_schema(responses={204: None})
    def delete(self, request: Request, conversation_id: str) -> Response:
        found = selectors.conversation_get(str(request.user.pk), conversation_id)
        running = selectors.turns_running(found)
        if running:
            async_to_sync(runner.drop)(running)
        gone = selectors.conversation_dict(found) | {"deleted": True}
        services.conversation_delete(found)
        _tell(request, gone)
        return Response(status=204)


class MessagesView(APIView):
    """The branch on show, oldest first, in pages from its end; POST starts a turn."""

    @extend_schema(
        parameters=[
            OpenApiParameter("before", str, description="From the `next` of the page below."),
            OpenApiParameter("limit", int, description="Items of one page, at most 200."),
        ],
        responses=MessagePage,
    )
    def get(self, request: Request, conversation_id: str) -> Response:
        conversation = selectors.conversation_get(str(request.user.pk), conversation_id)
        text = request.query_params.get("limit", "50")
        limit = min(max(int(text), 1), 200) if text.isdecimal() and len(text) < 9 else 50
        before = request.query_params.get("before", "")
        page, above = selectors.message_page(conversation, before=before, limit=limit)
        url = request.build_absolute_uri(f"{request.path}?before={above}&limit={limit}") if above else None
        return Response({"results": page, "next": url})

    @extend_schema(request=TurnWrite, responses={202: Accepted})
    def post(self, request: Request, conversation_id: str) -> Response:
        values = validated(TurnWrite, request)
        begun = start(request, ask_of(request, values), conversation_id, values["content"])
        return Response(begun.accepted(), status=202)


class ActiveView(APIView):
    """Show another sibling."""

    @extend_schema(request=ActiveWrite, responses={204: None})
    def patch(self, request: Request, conversation_id: str) -> Response:
        conversation = selectors.conversation_get(str(request.user.pk), conversation_id)
        services.active_set(conversation, validated(ActiveWrite, request)["message"])
        return Response(status=204)


def ask_of(request: Request, values: dict[str, Any]) -> Ask:
    return Ask(
        user_id=str(request.user.pk),
        client_id=values.get("client_id"),
        model=values.get("model"),
        task=values.get("task"),
        params=values.get("params"),
    )


def start(request: Request, ask: Ask, conversation_id: str | None, content: Any, **more: Any) -> Begun:
    """Begin a turn, launch it on the server's event loop, and tell the user's sockets. Raises AppError."""
    begun, job = begin(services.turn_start, ask, conversation_id=conversation_id, content=content, **more)

    async def launch() -> None:
        if begun.created:
            runner.launch(begun.turn, job)
            await announce(str(request.user.pk), begun)

    async_to_sync(launch)()
    return begun


def _tell(request: Request, conversation: dict[str, Any]) -> dict[str, Any]:
    frame = {"type": "conversation.changed", "conversation": conversation}
    async_to_sync(notify)(str(request.user.pk), frame)
    return conversation
