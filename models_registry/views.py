from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import User
from accounts.permissions import IsAdministrator
from models_registry import live, registering, selectors, serializers, services
from models_registry.downloads import selectors as downloads
from models_registry.models import Download, Job, Model


def _is_administrator(request: Request) -> bool:
    return bool(getattr(request.user, "is_admin", False))


def _bodies(request: Request, models: Iterable[Model]) -> list[dict[str, Any]]:
    rows = list(models)
    live.board.read()
    states = {model.id: live.board.state_of(model.id, model.name) for model in rows}
    states |= downloads.states_of(states)
    default = selectors.model_default(str(request.user.pk))
    administrator = _is_administrator(request)
    under_way = {pk: downloads.download_brief(row) for pk, row in downloads.downloads_of(states).items()}
    around = serializers.Surroundings(
        administrator=administrator,
        default=default.id if default else "",
        to_be=selectors.default_to_be(),
        downloads={pk: brief for pk, brief in under_way.items() if brief is not None},
        logs=live.logs() if administrator and any(state["error"] for state in states.values()) else {},
    )
    return [serializers.model_body(model, states[model.id], around) for model in rows]


def _body(request: Request, model: Model) -> dict[str, Any]:
    return _bodies(request, [model])[0]


class ReadByAllView(APIView):
    """Whoever is signed in reads; administrators do the rest."""

    def get_permissions(self) -> list[BasePermission]:
        if self.request.method in ("GET", "HEAD", "OPTIONS"):
            return [IsAuthenticated()]
        return [IsAuthenticated(), IsAdministrator()]


class ModelsView(ReadByAllView):
    @extend_schema(operation_id="models_list", responses=serializers.ModelListSerializer)
    def get(self, request: Request) -> Response:
        """What a user may pick, in one page; administrators also see what is switched off."""
        models = selectors.model_list(str(request.user.pk), everything=_is_administrator(request))
        return Response({"results": _bodies(request, models.prefetch_related("users")), "next": None})

    @extend_schema(
        operation_id="models_create",
        request=serializers.ModelCreateSerializer,
        responses={201: serializers.ModelSerializer},
    )
    def post(self, request: Request) -> Response:
        body = serializers.ModelCreateSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        model = registering.model_register(**body.validated_data, user=cast(User, request.user))
        return Response(_body(request, model), status=status.HTTP_201_CREATED)


class ModelView(ReadByAllView):
    @extend_schema(operation_id="models_get", responses=serializers.ModelSerializer)
    def get(self, request: Request, id: str) -> Response:
        model = selectors.model_get(id, str(request.user.pk), everything=_is_administrator(request))
        return Response(_body(request, model))

    @extend_schema(
        operation_id="models_update",
        request=serializers.ModelUpdateSerializer,
        responses=serializers.ModelSerializer,
    )
    def patch(self, request: Request, id: str) -> Response:
        model = selectors.model_get(id)
        body = serializers.ModelUpdateSerializer(data=request.data, partial=True)
        body.is_valid(raise_exception=True)
        services.model_update(model, **body.validated_data)
        return Response(_body(request, model))

    @extend_schema(
        operation_id="models_delete",
        parameters=[OpenApiParameter("files", bool, description="Take what was downloaded off the disk.")],
        responses={204: None},
    )
    def delete(self, request: Request, id: str) -> Response:
        """Its memory is freed. Its files stay unless `files` is true and a download of this house brought
        them."""
        query = serializers.ModelDeleteSerializer(data=request.query_params.dict())
        query.is_valid(raise_exception=True)
        services.model_delete(selectors.model_get(id), files=query.validated_data["files"])
        return Response(status=status.HTTP_204_NO_CONTENT)


class LoadView(APIView):
    permission_classes = [IsAuthenticated, IsAdministrator]

    @extend_schema(operation_id="models_load", request=None, responses={202: serializers.JobSerializer})
    def post(self, request: Request, id: str) -> Response:
        """The worker loads the model; its state follows on the socket. One whose files are not here yet is
        downloaded instead, and `job` is its download."""
        model = selectors.model_get(id)
        download = registering.model_fetch(model)
        return _accepted(services.model_load(model)) if download is None else _fetching(download)


class UnloadView(APIView):
    permission_classes = [IsAuthenticated, IsAdministrator]

    @extend_schema(operation_id="models_unload", request=None, responses={202: serializers.JobSerializer})
    def post(self, request: Request, id: str) -> Response:
        return _accepted(services.model_unload(selectors.model_get(id)))


class PinView(APIView):
    permission_classes = [IsAuthenticated, IsAdministrator]

    @extend_schema(
        operation_id="models_pin",
        request=serializers.PinSerializer,
        responses={202: serializers.ModelSerializer},
    )
    def post(self, request: Request, id: str) -> Response:
        """An empty body pins. The worker tells the model service within seconds; nothing is loaded."""
        model = selectors.model_get(id)
        body = serializers.PinSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        services.model_update(model, **body.validated_data)
        return Response(_body(request, model), status=status.HTTP_202_ACCEPTED)


def _fetching(download: Download) -> Response:
    body = {"job": download.id, "model": download.model_id, "state": download.state}
    return Response(body, status=status.HTTP_202_ACCEPTED)


def _accepted(job: Job) -> Response:
    body = {"job": job.id, "model": job.model_id, "state": job.state}
    return Response(body, status=status.HTTP_202_ACCEPTED)
