from __future__ import annotations

from typing import Any, cast

from django.contrib.auth import update_session_auth_hash
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import selectors, serializers, services, sign_in
from accounts.backends import client_address
from accounts.credentials import Credential
from accounts.models import User
from accounts.oauth import NO_STORE, retry_after, tokens_body
from config.api import CursorPage
from config.errors import AppError


class StateView(APIView):
    authentication_classes: list[Any] = []
    permission_classes = [AllowAny]

    @extend_schema(operation_id="auth_state", responses=serializers.HouseStateSerializer, auth=[])
    def get(self, request: Request) -> Response:
        return Response(selectors.house_state())


class RegisterView(APIView):
    authentication_classes: list[Any] = []
    permission_classes = [AllowAny]

    @extend_schema(
        operation_id="auth_register",
        request=serializers.RegisterSerializer,
        responses={
            201: serializers.RegisteredSerializer,
            202: OpenApiResponse(
                serializers.WaitingSerializer, description="An administrator has to approve first."
            ),
        },
        auth=[],
    )
    def post(self, request: Request) -> Response:
        """The first account becomes the administrator."""
        body = serializers.RegisterSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        user = services.user_register(**body.validated_data)
        shown = serializers.UserSerializer(user).data
        if not user.may_enter:
            return Response({"user": shown}, status=status.HTTP_202_ACCEPTED, headers=NO_STORE)
        tokens = sign_in.sign_in(user=user, user_agent=sign_in.user_agent(request._request))
        return Response(
            {"user": shown, **tokens_body(tokens)}, status=status.HTTP_201_CREATED, headers=NO_STORE
        )


class MeView(APIView):
    permission_classes = [IsAuthenticated]

    @extend_schema(operation_id="auth_me", responses=serializers.UserSerializer)
    def get(self, request: Request) -> Response:
        return Response(serializers.UserSerializer(_user(request)).data)

    @extend_schema(
        operation_id="auth_me_update", request=serializers.MeSerializer, responses=serializers.UserSerializer
    )
    def patch(self, request: Request) -> Response:
        body = serializers.MeSerializer(data=request.data, partial=True)
        body.is_valid(raise_exception=True)
        user = services.user_update(user=_user(request), **body.validated_data)
        return Response(serializers.UserSerializer(user).data)


class PasswordView(APIView):
    permission_classes = [IsAuthenticated]

    @extend_schema(
        operation_id="auth_password", request=serializers.PasswordSerializer, responses={204: None}
    )
    def post(self, request: Request) -> Response:
        """All other sign-ins of the user end; API keys stay."""
        body = serializers.PasswordSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        credential = request.auth if isinstance(request.auth, Credential) else None
        services.password_change(
            user=_user(request),
            keep_family=credential.family_id if credential else None,
            address=client_address(request._request),
            **body.validated_data,
        )
        if credential is None:
            update_session_auth_hash(request._request, _user(request))
        return Response(status=status.HTTP_204_NO_CONTENT)

    def handle_exception(self, exc: Exception) -> Response:
        response = super().handle_exception(exc)
        for name, value in retry_after(exc).items() if isinstance(exc, AppError) else ():
            response[name] = value
        return response


class KeysView(APIView):
    permission_classes = [IsAuthenticated]
    pagination_class = CursorPage

    @extend_schema(operation_id="auth_keys_list", responses=serializers.KeySerializer(many=True))
    def get(self, request: Request) -> Response:
        pages = self.pagination_class()
        page = pages.paginate_queryset(selectors.api_key_list(user=_user(request)), request, view=self)
        response: Response = pages.get_paginated_response(serializers.KeySerializer(page, many=True).data)
        return response

    @extend_schema(
        operation_id="auth_keys_create",
        request=serializers.KeyCreateSerializer,
        responses={201: serializers.KeyCreatedSerializer},
    )
    def post(self, request: Request) -> Response:
        """The key is in this answer and never shown again."""
        body = serializers.KeyCreateSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        row, key = services.api_key_create(user=_user(request), name=body.validated_data["name"])
        shown = {**serializers.KeySerializer(row).data, "key": key}
        return Response(shown, status=status.HTTP_201_CREATED, headers=NO_STORE)


class KeyView(APIView):
    permission_classes = [IsAuthenticated]

    @extend_schema(operation_id="auth_keys_revoke", responses={204: None})
    def delete(self, request: Request, id: str) -> Response:
        """It stops working at once."""
        services.api_key_revoke(user=_user(request), key_id=id)
        return Response(status=status.HTTP_204_NO_CONTENT)


class ProvidersView(APIView):
    authentication_classes: list[Any] = []
    permission_classes = [AllowAny]
    pagination_class = CursorPage

    @extend_schema(
        operation_id="auth_providers", responses=serializers.ProviderSerializer(many=True), auth=[]
    )
    def get(self, request: Request) -> Response:
        """OpenID Connect providers one may sign in with."""
        return Response({"results": [], "next": None})


def _user(request: Request) -> User:
    return cast(User, request.user)
