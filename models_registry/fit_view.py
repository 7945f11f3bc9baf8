"""GET /api/models/{id}/fit/."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.permissions import IsAdministrator
from config.api import StrictSerializer
from config.errors import AppError
from inference.errors import InferenceError
from models_registry import selectors
from models_registry.fit import fit_ask
from models_registry.services import model_spec


class FitQuerySerializer(StrictSerializer):
    context = serializers.IntegerField(required=False, min_value=1, max_value=1 << 31)  # type: ignore[assignment]
    concurrency = serializers.IntegerField(required=False, min_value=1, max_value=4096)


class EvictedSerializer(serializers.Serializer[Any]):
    id = serializers.CharField()
    name = serializers.CharField()


class FitDeviceSerializer(serializers.Serializer[Any]):
    """Only for the description of the API, as the next one."""

    device = serializers.CharField()
    weights_bytes = serializers.IntegerField()
    kv_bytes = serializers.IntegerField(help_text="For all of `context` times `concurrency`.")
    kv_bytes_per_token = serializers.IntegerField()
    overhead_bytes = serializers.IntegerField()
    needed_bytes = serializers.IntegerField()
    free_bytes = serializers.IntegerField(help_text="For models, with nobody leaving.")
    total_bytes = serializers.IntegerField()
    context = serializers.IntegerField(help_text="Tokens of one answer, its prompt among them.")  # type: ignore[assignment]
    concurrency = serializers.IntegerField()
    largest_context = serializers.IntegerField()
    verdict = serializers.ChoiceField(
        choices=["fits", "fits_after_eviction", "fits_with_less_context", "does_not_fit"]
    )
    evicts = EvictedSerializer(many=True)
    reasons = serializers.ListField(child=serializers.JSONField(), help_text="`{code, …numbers}`")


class FitSerializer(serializers.Serializer[Any]):
    devices = FitDeviceSerializer(many=True)
    best = serializers.CharField(allow_null=True)
    known = serializers.BooleanField()
    sentence = serializers.CharField()


class FitView(APIView):
    permission_classes = [IsAuthenticated, IsAdministrator]

    @extend_schema(
        operation_id="models_fit",
        parameters=[OpenApiParameter("context", int), OpenApiParameter("concurrency", int)],
        responses=FitSerializer,
    )
    def get(self, request: Request, id: str) -> Response:
        """What the model would take and whether that is there, before any load."""
        query = FitQuerySerializer(data=request.query_params.dict())
        query.is_valid(raise_exception=True)
        model = selectors.model_get(id)
        try:
            spec = model_spec(model)
        except InferenceError as error:  # a hub's model on its way; its page at the hub tells the fit
            raise AppError("not_downloaded", error.message, status=409) from error
        return Response(fit_ask(spec, **query.validated_data))
