from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.permissions import IsAdministrator
from monitoring import figures, health


async def healthz(request: HttpRequest) -> HttpResponse:
    """The process answers; nothing else is asked."""
    return HttpResponse("ok\n", content_type="text/plain")


async def readyz(request: HttpRequest) -> JsonResponse:
    """200 when every part can do its work, else 503; the body says which cannot."""
    body = await health.readiness()
    response = JsonResponse(body, status=200 if body["ready"] else 503)
    response["Cache-Control"] = "no-store"
    return response


class NowView(APIView):
    permission_classes = [IsAuthenticated, IsAdministrator]

    @extend_schema(operation_id="monitoring_now", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        """CPU, memory, disk, GPUs, models and processes as they are now."""
        return Response(figures.now())
