"""Downloads and jobs in the administration: seen by all administrators, made elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from django.contrib import admin, messages
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.decorators import display

from config.errors import AppError
from models_registry.downloads import selectors as downloads
from models_registry.downloads import services as downloading
from models_registry.downloads import words
from models_registry.fit import amount
from models_registry.models import Download, Job, Model


@admin.register(Job)
class JobAdmin(ModelAdmin):  # type: ignore[misc]
    list_display = ["created", "kind", "model_name", "state", "progress", "error", "finished"]
    list_filter = ["kind", "state"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Job]:
        names = Model.objects.filter(pk=OuterRef("model_id")).values("name")
        return cast("QuerySet[Job]", super().get_queryset(request).annotate(name=Subquery(names)))

    @display(description=_("model"))  # type: ignore[untyped-decorator]
    def model_name(self, job: Any) -> str:
        """The id of one that is deleted."""
        return str(job.name or job.model_id)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Download)
class DownloadAdmin(ModelAdmin):  # type: ignore[misc]
    list_display = ["created", "repo", "hub", "state", "progress", "rate", "time_left", "reason", "asked_by"]
    list_filter = ["state", "hub"]
    search_fields = ["repo"]
    actions = ["pause", "resume", "cancel", "retry"]

    @display(description=_("progress"))  # type: ignore[untyped-decorator]
    def progress(self, download: Download) -> str:
        done, total = amount(download.bytes_done), amount(download.bytes_total)
        share = downloads.progress_of(download)
        return f"{done} / {total} ({share:.0%})" if share is not None else ""

    @display(description=_("speed"))  # type: ignore[untyped-decorator]
    def rate(self, download: Download) -> str:
        running = download.state == Download.State.RUNNING
        return gettext("%(amount)s/s") % {"amount": amount(int(download.speed))} if running else ""

    @display(description=_("seconds left"))  # type: ignore[untyped-decorator]
    def time_left(self, download: Download) -> str:
        left = downloads.seconds_left(download)
        return "" if left is None else f"{left:.0f}"

    @display(description=_("reason"))  # type: ignore[untyped-decorator]
    def reason(self, download: Download) -> str:
        told = words.told(download.error)
        return told["message"] if told else ""

    @admin.action(description=_("Pause"), permissions=["steer"])
    def pause(self, request: HttpRequest, queryset: QuerySet[Download]) -> None:
        self._each(request, queryset, downloading.download_pause)

    @admin.action(description=_("Resume"), permissions=["steer"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Download]) -> None:
        self._each(request, queryset, downloading.download_resume)

    @admin.action(description=_("Cancel"), permissions=["steer"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Download]) -> None:
        self._each(request, queryset, downloading.download_cancel)

    @admin.action(description=_("Try again"), permissions=["steer"])
    def retry(self, request: HttpRequest, queryset: QuerySet[Download]) -> None:
        """What has come and is right stays."""
        failed = queryset.filter(state=Download.State.FAILED)
        self._each(request, failed, downloading.download_resume)

    def _each(
        self,
        request: HttpRequest,
        queryset: QuerySet[Download],
        change: Callable[[Download], Download],
    ) -> None:
        for download in queryset:
            try:
                change(download)
            except AppError as error:
                self.message_user(request, f"{download}: {error.message}", messages.ERROR)

    def has_steer_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
