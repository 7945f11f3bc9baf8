"""Conversations, their messages as a tree, turns (one answer being made) and the numbered events of turns."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.ids import new_id


class Conversation(models.Model):
    id = models.CharField(primary_key=True, max_length=32, default=new_id, editable=False)
    user = models.ForeignKey(
        "accounts.User", models.CASCADE, related_name="conversations", verbose_name=_("user")
    )
    title = models.CharField(_("title"), max_length=200, blank=True, default="")
    model = models.ForeignKey(
        "models_registry.Model",
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("model"),
    )
    # The name of the chosen model, once it was deleted: the default answers now, and the user is told so.
    lost_model = models.CharField(max_length=128, blank=True, default="", editable=False)
    system = models.TextField(_("system prompt"), blank=True, default="")
    params = models.JSONField(_("sampling params"), blank=True, default=dict)
    pinned = models.BooleanField(_("pinned"), default=False)
    archived = models.BooleanField(_("archived"), default=False)
    folder = models.CharField(_("folder"), max_length=100, blank=True, default="")
    # Made by the test stream: real in every way, but in nobody's list, and gone after a day.
    is_test = models.BooleanField(default=False, editable=False)
    # The message that ends the branch on show. No foreign key: it would be a circle.
    active_leaf = models.CharField(max_length=32, blank=True, default="", editable=False)
    created = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    updated = models.DateTimeField(_("updated"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("conversation")
        verbose_name_plural = _("conversations")
        ordering: ClassVar[list[str]] = ["-updated", "id"]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["user", "is_test", "-updated"], name="conversation_list")
        ]

    def __str__(self) -> str:
        # Not the title: it is what somebody wrote, and this stands in the administration and its history.
        return self.id


class Message(models.Model):
    class Role(models.TextChoices):
        USER = "user", _("user")
        ASSISTANT = "assistant", _("assistant")

    class Status(models.TextChoices):
        QUEUED = "queued", _("queued")
        STREAMING = "streaming", _("streaming")
        DONE = "done", _("done")
        STOPPED = "stopped", _("stopped")
        INTERRUPTED = "interrupted", _("interrupted")
        FAILED = "failed", _("failed")

    id = models.CharField(primary_key=True, max_length=32, default=new_id, editable=False)
    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="messages")
    parent = models.ForeignKey("self", models.CASCADE, null=True, blank=True, related_name="children")
    role = models.CharField(max_length=16, choices=Role.choices)
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.DONE)
    parts = models.JSONField(default=list)
    # What is searched and what history is built from: the text parts, joined.
    text = models.TextField(blank=True, default="")
    # What the model itself put out, markers included: an answer can be gone on with from here.
    raw = models.TextField(blank=True, default="")
    model = models.ForeignKey(
        "models_registry.Model", models.SET_NULL, null=True, blank=True, related_name="+"
    )
    usage = models.JSONField(null=True, blank=True)
    error = models.JSONField(null=True, blank=True)
    created = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering: ClassVar[list[str]] = ["created", "id"]

    def __str__(self) -> str:
        return f"{self.role} {self.id}"


class Turn(models.Model):
    class State(models.TextChoices):
        RUNNING = "running", _("running")
        ENDED = "ended", _("ended")

    id = models.CharField(primary_key=True, max_length=32, default=new_id, editable=False)
    conversation = models.ForeignKey(Conversation, models.CASCADE, related_name="turns")
    user = models.ForeignKey("accounts.User", models.CASCADE, related_name="+")
    user_message = models.ForeignKey(Message, models.CASCADE, null=True, related_name="+")
    message = models.ForeignKey(Message, models.CASCADE, related_name="turns")
    client_id = models.CharField(max_length=64, null=True)
    model = models.ForeignKey("models_registry.Model", models.SET_NULL, null=True, related_name="+")
    # params of this turn; `echo`: the script of the test stream; `goes_on`: continues the message's text.
    options = models.JSONField(default=dict)
    state = models.CharField(max_length=16, choices=State.choices, default=State.RUNNING)
    # Who makes this answer: a process, for as long as its lease runs (seconds since 1970). Every change of
    # hands raises the epoch, and each append checks it.
    owner = models.CharField(max_length=128, blank=True, default="")
    epoch = models.PositiveIntegerField(default=1)
    lease_until = models.FloatField(default=0)
    stop_requested = models.BooleanField(default=False)
    created = models.DateTimeField(default=timezone.now, editable=False)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["user", "client_id"], name="turn_client_id")
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["state", "ended_at"], name="turn_state")
        ]

    def __str__(self) -> str:
        return self.id


class Event(models.Model):
    """One line of a turn's log. `data` is the event's JSON as clients get it, `raw` the model's own text."""

    turn = models.ForeignKey(Turn, models.CASCADE, related_name="events")
    seq = models.PositiveIntegerField()
    kind = models.CharField(max_length=16)
    data = models.TextField()
    raw = models.TextField(blank=True, default="")
    at = models.FloatField(help_text="Seconds since 1970.")

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["turn", "seq"], name="event_turn_seq")
        ]

    def __str__(self) -> str:
        return f"{self.turn_id} {self.seq}"
