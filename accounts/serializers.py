from __future__ import annotations

from typing import Any

from django.contrib.auth.validators import UnicodeUsernameValidator
from django.utils.translation import get_supported_language_variant
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from accounts.models import ApiKey, SiteSettings, User
from config.api import StrictSerializer


class UserSerializer(serializers.ModelSerializer[User]):
    is_admin = serializers.BooleanField(read_only=True)

    class Meta:
        model = User
        fields = [
            "id",
            "username",
            "email",
            "language",
            "default_model",
            "is_admin",
            "is_approved",
            "date_joined",
        ]
        read_only_fields = fields


class RegisterSerializer(StrictSerializer):
    username = serializers.CharField(max_length=150, validators=[UnicodeUsernameValidator()])
    email = serializers.EmailField(max_length=254, required=False, allow_blank=True, default="")
    password = serializers.CharField(max_length=1024, trim_whitespace=False, write_only=True)


class MeSerializer(StrictSerializer):
    email = serializers.EmailField(max_length=254, required=False, allow_blank=True)
    language = serializers.CharField(max_length=16, required=False, allow_blank=True)
    default_model = serializers.RegexField(
        r"^[0-9a-f]{32}\Z",
        max_length=32,
        required=False,
        allow_blank=True,
        help_text="A model's id: it answers where a conversation names none, as long as you may use it. "
        "Empty: the house's default.",
    )

    def validate_language(self, value: str) -> str:
        """A browser's own words (zh-CN) become ours (zh-hans)."""
        try:
            return get_supported_language_variant(value) if value else ""
        except LookupError:
            raise serializers.ValidationError(_("This language is not offered.")) from None


class PasswordSerializer(StrictSerializer):
    current = serializers.CharField(max_length=1024, trim_whitespace=False, write_only=True)
    new = serializers.CharField(max_length=1024, trim_whitespace=False, write_only=True)


class KeySerializer(serializers.ModelSerializer[ApiKey]):
    class Meta:
        model = ApiKey
        fields = ["id", "name", "prefix", "created", "last_used"]
        read_only_fields = fields


class KeyCreateSerializer(StrictSerializer):
    name = serializers.CharField(max_length=100)


class KeyCreatedSerializer(KeySerializer):
    key = serializers.CharField(read_only=True, help_text="Shown this once.")

    class Meta(KeySerializer.Meta):
        fields = [*KeySerializer.Meta.fields, "key"]
        read_only_fields = fields


class HouseStateSerializer(serializers.Serializer[Any]):
    has_users = serializers.BooleanField()
    registration = serializers.ChoiceField(choices=SiteSettings.Registration.choices)


class TokensSerializer(serializers.Serializer[Any]):
    access_token = serializers.CharField()
    token_type = serializers.CharField()
    expires_in = serializers.IntegerField(help_text="Seconds.")
    refresh_token = serializers.CharField()


class RegisteredSerializer(TokensSerializer):
    user = UserSerializer()


class WaitingSerializer(serializers.Serializer[Any]):
    user = UserSerializer()


class TokenRequestSerializer(serializers.Serializer[Any]):
    """Only for the documentation: RFC 6749 has the last word on what is accepted."""

    grant_type = serializers.ChoiceField(choices=["password", "refresh_token"])
    username = serializers.CharField(required=False)
    password = serializers.CharField(required=False)
    refresh_token = serializers.CharField(required=False)


class RevokeRequestSerializer(serializers.Serializer[Any]):
    token = serializers.CharField()
    token_type_hint = serializers.CharField(required=False)


class OAuthErrorSerializer(serializers.Serializer[Any]):
    error = serializers.CharField()
    error_description = serializers.CharField()


class ProviderSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    title = serializers.CharField()
