"""Included at /api/."""

from __future__ import annotations

from django.urls import path

from models_registry.hubs import views

urlpatterns = [
    path("hubs/", views.HubsView.as_view(), name="hubs"),
    path("hubs/cached/", views.CachedView.as_view(), name="hubs-cached"),
    path("hubs/<str:hub>/search/", views.SearchView.as_view(), name="hubs-search"),
    path("hubs/<str:hub>/repo/", views.RepoView.as_view(), name="hubs-repo"),
    path("catalogue/", views.CatalogueView.as_view(), name="catalogue"),
]
