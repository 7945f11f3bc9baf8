"""Who may come in, and with what: users, families of tokens, API keys, the site's door policy."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.auth.models import AbstractUser, UserManager
from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.ids import new_id
from accounts.names import username_key


class Users(UserManager["User"]):
    use_in_migrations = False

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(username_key=username_key(username or ""))


class User(AbstractUser):
    id = models.CharField(primary_key=True, max_length=32, default=new_id, editable=False)
    # What makes two names the same to people; `username` itself is kept as it was typed.
    username_key = models.CharField(max_length=450, unique=True, editable=False)
    language = models.CharField(
        _("language"), max_length=16, blank=True, default="", help_text=_("Empty: what the browser asks for.")
    )
    # The id of the model that answers where a conversation names none; accounts know no models.
    default_model = models.CharField(_("default model"), max_length=32, blank=True, default="")
    is_approved = models.BooleanField(
        _("approved"),
        default=True,
        help_text=_("An account that waits for approval cannot sign in."),
    )

    # Set before a save that changes the password: the one family that outlives it (see accounts.signals).
    keep_family_id: str | None = None
    password_changed_now = False

    objects: ClassVar[Users] = Users()

    def save(self, *args: Any, **kwargs: Any) -> None:
        fields = kwargs.get("update_fields")
        if fields is None or "username" in fields:
            self.username_key = username_key(self.username)
            if fields is not None:
                kwargs["update_fields"] = {*fields, "username_key"}
        super().save(*args, **kwargs)

    def clean(self) -> None:
        super().clean()
        if not self.username:  # a form that has refused the name already leaves None here
            return
        same = User.objects.filter(username_key=username_key(self.username)).exclude(pk=self.pk)
        if same.exists():
            raise ValidationError({"username": _("A user with that username already exists.")})

    @property
    def is_admin(self) -> bool:
        return self.is_superuser

    @property
    def may_enter(self) -> bool:
        return self.is_active and self.is_approved


class SiteSettings(models.Model):
    """One row, pk 1. Writers that must not race on accounts update it first, which locks it."""

    class Registration(models.TextChoices):
        OPEN = "open", _("open to everyone")
        APPROVAL = "approval", _("open, an administrator approves")
        CLOSED = "closed", _("closed")

    SINGLETON: ClassVar[int] = 1

    id = models.PositiveSmallIntegerField(primary_key=True, default=SINGLETON, editable=False)
    registration = models.CharField(
        _("registration"), max_length=16, choices=Registration.choices, default=Registration.OPEN
    )
    changed = models.DateTimeField(_("changed"), auto_now=True)

    class Meta:
        verbose_name = _("site settings")
        verbose_name_plural = _("site settings")

    def __str__(self) -> str:
        return str(_("Site settings"))


class TokenFamily(models.Model):
    """One sign-in: every access and refresh token that descends from it ends with it."""

    class Kind(models.TextChoices):
        REFRESH = "refresh", _("refresh tokens")

    id = models.CharField(primary_key=True, max_length=32, default=new_id, editable=False)
    user = models.ForeignKey(
        "accounts.User", models.CASCADE, related_name="token_families", verbose_name=_("user")
    )
    kind = models.CharField(_("kind"), max_length=16, choices=Kind.choices, default=Kind.REFRESH)
    user_agent = models.CharField(_("user agent"), max_length=255, blank=True, default="")
    created = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)

    class Meta:
        verbose_name = _("sign-in")
        verbose_name_plural = _("sign-ins")
        ordering: ClassVar[list[str]] = ["-created"]

    def __str__(self) -> str:
        return f"{self.user_id} {self.created:%Y-%m-%d %H:%M}"


class RefreshToken(models.Model):
    """What is needed to sign the same JWT again; the JWT itself is not stored."""

    jti = models.CharField(primary_key=True, max_length=32)
    family = models.ForeignKey(TokenFamily, models.CASCADE, related_name="refresh_tokens")
    issued = models.BigIntegerField(help_text="The claim iat: seconds since 1970.")
    expires = models.BigIntegerField(db_index=True, help_text="The claim exp: seconds since 1970.")
    used_at = models.DateTimeField(null=True, blank=True)
    successor_jti = models.CharField(max_length=32, blank=True, default="")

    def __str__(self) -> str:
        return self.jti


class LoginAttempt(models.Model):
    """A password that was tried and not (yet) found right. In the database: all processes count together."""

    key = models.CharField(max_length=64)
    at = models.DateTimeField(db_index=True)

    class Meta:
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["key", "at"], name="accounts_attempt_key")
        ]

    def __str__(self) -> str:
        return f"{self.key[:8]} {self.at:%H:%M:%S}"


class ApiKey(models.Model):
    id = models.CharField(primary_key=True, max_length=32, default=new_id, editable=False)
    user = models.ForeignKey("accounts.User", models.CASCADE, related_name="api_keys", verbose_name=_("user"))
    name = models.CharField(_("name"), max_length=100)
    prefix = models.CharField(_("prefix"), max_length=12, editable=False)
    hash = models.CharField(max_length=64, unique=True, editable=False)
    created = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    last_used = models.DateTimeField(_("last used"), null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")
        ordering: ClassVar[list[str]] = ["-created", "id"]

    def __str__(self) -> str:
        return f"{self.prefix}… ({self.name})"
