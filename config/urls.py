from __future__ import annotations

from django.contrib import admin
from django.urls import include, path, re_path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from config.views import page
from conversations.views import chat

urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", SpectacularSwaggerView.as_view(url_name="schema"), name="docs"),
    re_path(r"^docs/?$", RedirectView.as_view(pattern_name="docs")),
    # The "Log in" of the browsable API.
    path("api/session/", include("rest_framework.urls")),
    path("api/auth/", include("accounts.urls")),
    path("api/", include("models_registry.urls")),
    path("api/", include("conversations.urls")),
    path("v1/", include("models_registry.openai_api.urls")),
    path("", include("monitoring.urls")),
    # Other names of two routes of the contract, so not in its description.
    re_path(r"^chat/stream/?$", chat.ChatStreamView.as_view(schema=None)),
    re_path(r"^chat/teststream/?$", chat.TestStreamView.as_view(schema=None)),
    re_path(r"^(?:login|register|models(?:/add(?:/[\w.-]+){0,3})?|c/[0-9a-f]+)?/?$", page, name="page"),
]

handler400 = "config.views.bad_request"
handler403 = "config.views.forbidden"
handler404 = "config.views.not_found"
handler500 = "config.views.server_error"
