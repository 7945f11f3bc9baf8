"""Metadata of conversations. What people wrote is theirs: it is not on show here."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin

from conversations.models import Conversation


@admin.register(Conversation)
class ConversationAdmin(ModelAdmin):  # type: ignore[misc]
    list_display = ("id", "user", "model", "message_count", "created", "updated")
    list_filter = ("archived", "model")
    search_fields = ("user__username", "id")
    list_select_related = ("user", "model")
    fields = ("id", "user", "model", "pinned", "archived", "message_count", "created", "updated")
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> Any:
        kept = super().get_queryset(request).filter(is_test=False)
        return kept.annotate(messages_made=Count("messages"))

    @admin.display(description=_("messages"), ordering="messages_made")
    def message_count(self, conversation: Any) -> int:
        return int(conversation.messages_made)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
