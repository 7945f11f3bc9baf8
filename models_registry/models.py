"""The models that this house knows, what is fetched for them, and the jobs that load and unload them.

What a model is doing right now is not stored: the inference process alone knows (see `live`).
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings as django_settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from accounts.ids import new_id


class Model(models.Model):
    class Engine(models.TextChoices):
        TRANSFORMERS = "transformers", "transformers"
        LLAMA_CPP = "llama_cpp", "llama.cpp"
        VLLM = "vllm", "vLLM"
        SGLANG = "sglang", "SGLang"
        OPENAI = "openai", _("remote endpoint")
        ECHO = "echo", _("echo (for tests)")

    id = models.CharField(primary_key=True, max_length=32, default=new_id, editable=False)
    name = models.CharField(_("name"), max_length=128, unique=True)
    family = models.CharField(_("family"), max_length=64, blank=True, default="")
    engine = models.CharField(_("engine"), max_length=16, choices=Engine.choices)
    source: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(_("source"), default=dict)
    # A remote endpoint's key, encrypted (see `vault`). No serializer and no page shows it.
    secret = models.TextField(blank=True, default="", editable=False)
    settings: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(
        _("settings"), default=dict, blank=True
    )
    context_length = models.PositiveIntegerField(_("context length"), null=True, blank=True)
    capabilities: models.JSONField[list[str], list[str]] = models.JSONField(
        _("capabilities"), default=list, blank=True
    )
    # Tags as the catalogue has them; none where nobody has said what the model speaks.
    languages: models.JSONField[list[str], list[str]] = models.JSONField(
        _("languages"), default=list, blank=True, editable=False
    )
    # True or NULL, never False: so the unique index allows one default, on every database.
    is_default = models.BooleanField(_("default"), null=True, default=None, unique=True, editable=False)
    enabled = models.BooleanField(_("enabled"), default=True, help_text=_("Users may choose it."))
    pinned = models.BooleanField(
        pgettext_lazy("model", "pinned"),
        default=False,
        help_text=_("Stays in memory until it is unloaded by hand."),
    )
    for_everyone = models.BooleanField(
        _("for everyone"), default=True, help_text=_("Else only administrators and the users below.")
    )
    users = models.ManyToManyField(
        django_settings.AUTH_USER_MODEL, verbose_name=_("users"), blank=True, related_name="models_granted"
    )
    created = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("model")
        verbose_name_plural = _("models")
        ordering: ClassVar[list[str]] = ["name"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                condition=models.Q(is_default=True) | models.Q(is_default__isnull=True),
                name="model_default_true_or_null",
            )
        ]

    def __str__(self) -> str:
        return self.name


class Job(models.Model):
    """Work for the worker. Whoever holds the lease does it; a lease that ran out may be taken by another."""

    class Kind(models.TextChoices):
        LOAD = "load", _("load")
        UNLOAD = "unload", _("unload")

    class State(models.TextChoices):
        QUEUED = "queued", _("queued")
        RUNNING = "running", _("running")
        DONE = "done", _("done")
        FAILED = "failed", _("failed")
        CANCELLED = "cancelled", _("cancelled")

    id = models.CharField(primary_key=True, max_length=32, default=new_id, editable=False)
    kind = models.CharField(_("kind"), max_length=16, choices=Kind.choices)
    # No foreign key: a model's memory is freed after its row is gone.
    model_id = models.CharField(_("model"), max_length=32, db_index=True)
    state = models.CharField(_("state"), max_length=16, choices=State.choices, default=State.QUEUED)
    progress = models.FloatField(_("progress"), null=True, blank=True, help_text="0..1")
    error: models.JSONField[dict[str, Any] | None, dict[str, Any] | None] = models.JSONField(
        _("error"), null=True, blank=True
    )
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    owner = models.CharField(_("worker"), max_length=64, blank=True, default="")
    lease_until = models.DateTimeField(_("lease until"), null=True, blank=True)
    created = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    finished = models.DateTimeField(_("finished"), null=True, blank=True)

    class Meta:
        verbose_name = _("job")
        verbose_name_plural = _("jobs")
        ordering: ClassVar[list[str]] = ["-created", "id"]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["state", "created"], name="job_state_created")
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.model_id}"


class Download(models.Model):
    """Files of one hub repository at one commit, on their way into a folder; who asks for the same shares it.

    The worker that holds the lease fetches. What a person wants (`state` paused or cancelled) is written
    here, and the worker sees it at its next look.
    """

    class State(models.TextChoices):
        QUEUED = "queued", _("queued")
        RUNNING = "running", _("running")
        PAUSED = "paused", _("paused")
        VERIFYING = "verifying", _("verifying")
        DONE = "done", _("done")
        FAILED = "failed", _("failed")
        CANCELLED = "cancelled", _("cancelled")

    id = models.CharField(primary_key=True, max_length=32, default=new_id, editable=False)
    hub = models.CharField(_("hub"), max_length=16)
    repo = models.CharField(_("repository"), max_length=200)
    revision = models.CharField(_("revision"), max_length=100, help_text=_("The commit, once it is known."))
    # Each {"path", "size", "sha256" | "sha1" (git's blob), "done"}; bytes.
    files: models.JSONField[list[dict[str, Any]], list[dict[str, Any]]] = models.JSONField(
        _("files"), default=list
    )
    # What makes two the same, while open: hub, repo, revision and files. NULL once it is cancelled.
    key = models.CharField(max_length=64, null=True, unique=True, editable=False)
    # No foreign key: a deleted model's download is cancelled by the worker, which holds the files.
    model_id = models.CharField(_("model"), max_length=32, blank=True, default="", db_index=True)
    state = models.CharField(_("state"), max_length=16, choices=State.choices, default=State.QUEUED)
    bytes_done = models.BigIntegerField(_("bytes done"), default=0)
    bytes_total = models.BigIntegerField(_("bytes in all"), default=0)
    speed = models.FloatField(_("speed"), default=0.0, help_text=_("Bytes per second."))
    error: models.JSONField[dict[str, Any] | None, dict[str, Any] | None] = models.JSONField(
        _("error"), null=True, blank=True
    )
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    owner = models.CharField(_("worker"), max_length=64, blank=True, default="")
    lease_until = models.DateTimeField(_("lease until"), null=True, blank=True)
    asked_by = models.ForeignKey(
        django_settings.AUTH_USER_MODEL,
        verbose_name=_("asked by"),
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    created = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    finished = models.DateTimeField(_("finished"), null=True, blank=True)

    class Meta:
        verbose_name = _("download")
        verbose_name_plural = _("downloads")
        ordering: ClassVar[list[str]] = ["-created", "id"]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["state", "created"], name="download_state_created")
        ]

    def __str__(self) -> str:
        return f"{self.repo} ({self.hub})"


class Once(models.Model):
    """What this house did once and does not do again, whatever an administrator made of it since.

    In the database, not in a file beside it: another database is another house on the same disk.
    """

    FIRST_MODEL = "first-model"
    DEFAULT_CHOSEN = "default-chosen"

    key = models.CharField(primary_key=True, max_length=80)
    # No foreign key: the model may be gone, and that is the point.
    model_id = models.CharField(max_length=32, blank=True, default="")
    at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.key
