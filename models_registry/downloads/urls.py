"""Included at /api/downloads/."""

from __future__ import annotations

from django.urls import path

from models_registry.downloads import views

urlpatterns = [
    path("", views.DownloadsView.as_view(), name="downloads"),
    path("<str:id>/", views.DownloadView.as_view(), name="download"),
    path("<str:id>/pause/", views.PauseView.as_view(), name="download-pause"),
    path("<str:id>/resume/", views.ResumeView.as_view(), name="download-resume"),
    path("<str:id>/cancel/", views.CancelView.as_view(), name="download-cancel"),
]
