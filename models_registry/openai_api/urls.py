"""Included at /v1/; without a slash at the end, as OpenAI has them."""

from __future__ import annotations

from django.urls import path

from models_registry.openai_api import views

app_name = "openai_api"

urlpatterns = [
    path("models", views.ModelsView.as_view(), name="models"),
    path("models/<path:model>", views.ModelView.as_view(), name="model"),
    path("chat/completions", views.ChatCompletionsView.as_view(), name="chat_completions"),
    path("embeddings", views.EmbeddingsView.as_view(), name="embeddings"),
]
