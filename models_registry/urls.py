"""Included at /api/."""

from __future__ import annotations

from django.urls import include, path

from models_registry import views
from models_registry.fit_view import FitView

app_name = "models_registry"

urlpatterns = [
    path("models/", views.ModelsView.as_view(), name="models"),
    path("models/<str:id>/", views.ModelView.as_view(), name="model"),
    path("models/<str:id>/fit/", FitView.as_view(), name="fit"),
    path("models/<str:id>/load/", views.LoadView.as_view(), name="load"),
    path("models/<str:id>/unload/", views.UnloadView.as_view(), name="unload"),
    path("models/<str:id>/pin/", views.PinView.as_view(), name="pin"),
    path("downloads/", include("models_registry.downloads.urls")),
    path("", include("models_registry.hubs.urls")),
]
