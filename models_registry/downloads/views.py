from __future__ import annotations

from typing import cast

from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import status
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import User
from accounts.permissions import IsAdministrator
from config.api import validated
from models_registry.downloads import selectors, serializers, services
from models_registry.models import Download

_ACCEPTED = {202: serializers.DownloadSerializer}


class DownloadsView(APIView):
    permission_classes = [IsAuthenticated, IsAdministrator]

    @extend_schema(operation_id="downloads_list", responses=serializers.DownloadListSerializer)
    def get(self, request: Request) -> Response:
        """All that are not over, and the newest that are."""
        bodies = serializers.download_bodies(selectors.download_list())
        return Response({"results": bodies, "next": None})

    @extend_schema(
        operation_id="downloads_create",
        request=serializers.DownloadCreateSerializer,
        responses=_ACCEPTED,
    )
    def post(self, request: Request) -> Response:
        """The worker fetches; who asks for the same gets the same download. Its model is there at once."""
        asked = validated(serializers.DownloadCreateSerializer, request)
        return _accepted(services.download_request(**asked, user=cast(User, request.user)))


class DownloadView(APIView):
    permission_classes = [IsAuthenticated, IsAdministrator]

    @extend_schema(operation_id="downloads_get", responses=serializers.DownloadSerializer)
    def get(self, request: Request, id: str) -> Response:
        return Response(serializers.download_body(selectors.download_get(id)))


class _ChangeView(APIView):
    permission_classes = [IsAuthenticated, IsAdministrator]
    change: staticmethod[[Download], Download]

    def post(self, request: Request, id: str) -> Response:
        return _accepted(self.change(selectors.download_get(id)))


@extend_schema_view(post=extend_schema(operation_id="downloads_pause", request=None, responses=_ACCEPTED))
class PauseView(_ChangeView):
    """What has come stays."""

    change = staticmethod(services.download_pause)


@extend_schema_view(post=extend_schema(operation_id="downloads_resume", request=None, responses=_ACCEPTED))
class ResumeView(_ChangeView):
    """Goes on with one that is paused, and tries one again that failed."""

    change = staticmethod(services.download_resume)


@extend_schema_view(post=extend_schema(operation_id="downloads_cancel", request=None, responses=_ACCEPTED))
class CancelView(_ChangeView):
    """Its files are taken away, and its model is forgotten."""

    change = staticmethod(services.download_cancel)


def _accepted(download: Download) -> Response:
    return Response(serializers.download_body(download), status=status.HTTP_202_ACCEPTED)
