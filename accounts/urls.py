from __future__ import annotations

from django.urls import path

from accounts import oauth, views

app_name = "accounts"

urlpatterns = [
    path("state/", views.StateView.as_view(), name="state"),
    path("register/", views.RegisterView.as_view(), name="register"),
    path("token/", oauth.TokenView.as_view(), name="token"),
    path("revoke/", oauth.RevokeView.as_view(), name="revoke"),
    path("me/", views.MeView.as_view(), name="me"),
    path("password/", views.PasswordView.as_view(), name="password"),
    path("keys/", views.KeysView.as_view(), name="keys"),
    path("keys/<str:id>/", views.KeyView.as_view(), name="key"),
    path("providers/", views.ProvidersView.as_view(), name="providers"),
]
