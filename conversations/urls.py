from __future__ import annotations

from django.urls import path

from conversations.views import chat, conversations

urlpatterns = [
    path("conversations/", conversations.ConversationsView.as_view()),
    path("conversations/<str:conversation_id>/", conversations.ConversationView.as_view()),
    path("conversations/<str:conversation_id>/messages/", conversations.MessagesView.as_view()),
    path("conversations/<str:conversation_id>/active/", conversations.ActiveView.as_view()),
    path("chat/stream/", chat.ChatStreamView.as_view()),
    path("chat/teststream/", chat.TestStreamView.as_view()),
    path("turns/<str:turn_id>/events/", chat.TurnEventsView.as_view()),
    path("turns/<str:turn_id>/stop/", chat.TurnStopView.as_view()),
]
