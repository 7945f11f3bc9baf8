"""Included at the root: /healthz, /readyz and /api/monitoring/."""

from __future__ import annotations

from django.urls import path

from monitoring import views

app_name = "monitoring"

urlpatterns = [
    path("healthz", views.healthz, name="healthz"),
    path("readyz", views.readyz, name="readyz"),
    path("api/monitoring/now/", views.NowView.as_view(), name="now"),
]
