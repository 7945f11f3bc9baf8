"""/api/hubs/ and /api/catalogue/: for administrators, since a call may ask a hub in the server's name."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.permissions import IsAdministrator
from models_registry import caches, catalogue, hubs
from models_registry.hubs import preview, reach, selectors, serializers


class AdministratorView(APIView):
    permission_classes = [IsAuthenticated, IsAdministrator]


class HubsView(AdministratorView):
    @extend_schema(operation_id="hubs_list", responses=serializers.HubListSerializer)
    def get(self, request: Request) -> Response:
        """Which hub answers from here, and which is suggested. 3 s at most, then remembered 5 minutes."""
        return _results([reach.body(line) for line in reach.measured()])


class SearchView(AdministratorView):
    @extend_schema(
        operation_id="hubs_search",
        parameters=[OpenApiParameter("q", str, required=True), OpenApiParameter("limit", int)],
        responses=serializers.HitListSerializer,
    )
    def get(self, request: Request, hub: str) -> Response:
        query = serializers.SearchQuerySerializer(data=request.query_params.dict())
        query.is_valid(raise_exception=True)
        found = hubs.get(hub).search(**query.validated_data)
        here = selectors.by_repo()
        return _results([asdict(hit) | {"hub": hub, "model": here.get((hub, hit.repo))} for hit in found])


class RepoView(AdministratorView):
    @extend_schema(
        operation_id="hubs_repo",
        parameters=[
            OpenApiParameter("repo", str, required=True, description="owner/name"),
            OpenApiParameter("revision", str),
            OpenApiParameter("file", str, description="A GGUF file instead of the one that is usual."),
            OpenApiParameter("context", int),
            OpenApiParameter("concurrency", int),
        ],
        responses=serializers.RepoSerializer,
    )
    def get(self, request: Request, hub: str) -> Response:
        """A repository before it is fetched: what is taken of it, what it can do, whether it would fit."""
        query = serializers.RepoQuerySerializer(data=request.query_params.dict())
        query.is_valid(raise_exception=True)
        return Response(preview.repo_preview(hub=hub, **query.validated_data))


class CachedView(AdministratorView):
    @extend_schema(operation_id="hubs_cached", responses=serializers.CachedListSerializer)
    def get(self, request: Request) -> Response:
        """Models in the hubs' own caches on the server; registered by their path they are used in place."""
        here = selectors.by_path()
        return _results([asdict(found) | {"model": here.get(found.path)} for found in caches.cached_models()])


class CatalogueView(AdministratorView):
    @extend_schema(operation_id="catalogue", responses=serializers.CatalogueSerializer)
    def get(self, request: Request) -> Response:
        """Models to begin with, and where each hub has them."""
        by_repo, by_endpoint = selectors.by_repo(), selectors.by_endpoint()
        return _results(
            [
                catalogue.body(entry) | {"model": _here(entry, by_repo, by_endpoint)}
                for entry in catalogue.entries()
            ]
        )


def _here(
    entry: catalogue.Entry, by_repo: dict[tuple[str, str], str], by_endpoint: dict[tuple[str, str], str]
) -> str | None:
    for hub in hubs.names():
        repo = getattr(entry, hub)
        if repo is not None and (hub, repo) in by_repo:
            return by_repo[hub, repo]
    remote = entry.remote
    return by_endpoint.get((remote["base_url"], remote["model"])) if remote is not None else None


def _results(results: list[dict[str, Any]]) -> Response:
    return Response({"results": results, "next": None})
