from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.utils.translation import gettext, pgettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.widgets import (
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from config.errors import AppError
from models_registry import live, services
from models_registry.deployment import settings_check
from models_registry.models import Job, Model

KINDS = [
    ("folder", _("Folder on this server")),
    ("remote", _("Remote endpoint (OpenAI style)")),
    ("echo", _("Echo (for tests)")),
]
#: Unfold shows a state that is not named here without its words.
COLOURS = {
    "stopped": "default",
    "queued": "info",
    "loading": "info",
    "ready": "success",
    "draining": "warning",
    "failed": "danger",
}
#: Which of the form's fields make the source of which kind.
FIELDS = {
    "folder": ["path"],
    "remote": ["base_url", "remote_model", "api_key", "continues"],
    "echo": ["script"],
}


class ModelAddForm(forms.ModelForm):  # type: ignore[type-arg]
    """The source as fields; the services check it, and their refusal stands at the field."""

    kind = forms.ChoiceField(label=_("kind"), choices=KINDS, widget=UnfoldAdminSelectWidget)
    path = forms.CharField(
        label=_("folder"), required=False, widget=UnfoldAdminTextInputWidget, help_text=_("Full path.")
    )
    base_url = forms.CharField(label=_("address"), required=False, widget=UnfoldAdminTextInputWidget)
    remote_model = forms.CharField(
        label=_("model's name there"), required=False, widget=UnfoldAdminTextInputWidget
    )
    api_key = forms.CharField(
        label=_("API key"), required=False, widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "off"})
    )
    continues = forms.BooleanField(
        label=_("goes on from a begun answer"), required=False, widget=UnfoldBooleanSwitchWidget
    )
    script = forms.JSONField(
        label=_("script"), required=False, initial=dict, widget=UnfoldAdminTextareaWidget
    )

    class Meta:
        model = Model
        fields = ["name", "settings"]

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        if self.errors:
            return data
        kind = data["kind"]
        given = {name.removeprefix("remote_"): data.get(name) for name in FIELDS[kind]}
        source = {"kind": kind} | {name: value for name, value in given.items() if value}
        with _refusals_at(self):
            self.built = services.model_build(
                name=data["name"], source=source, settings=data.get("settings") or {}
            )
        return data

    def save(self, commit: bool = True) -> Model:
        self.instance = self.built
        return cast(Model, super().save(commit=False))


class ModelChangeForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Model
        fields = ["name", "enabled", "settings"]

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        with _refusals_at(self):
            settings_check(self.instance.engine, data.get("settings") or {})
        return data


@contextmanager
def _refusals_at(form: forms.ModelForm[Model]) -> Iterator[None]:
    """A refusal of the services stands at the field that it is about, where there is one."""
    try:
        yield
    except AppError as error:
        fields = error.extra.get("fields") or {}
        at = next((name for name in fields if name in form.fields), None)
        form.add_error(at, fields[at] if at else error.message)


@admin.register(Model)
class RegisteredModelAdmin(ModelAdmin):  # type: ignore[misc]
    list_display = [
        "name",
        "live_state",
        "family",
        "engine",
        "context_length",
        "default_mark",
        "pinned",
        "enabled",
        "reason",
    ]
    list_filter = ["engine", "enabled"]
    search_fields = ["name", "family"]
    actions = ["load", "unload", "pin", "unpin", "make_default"]
    # The form shows what belongs to the chosen kind.
    conditional_fields = {name: f"kind == '{kind}'" for kind, names in FIELDS.items() for name in names}
    readonly_fields = [
        "id",
        "engine",
        "source",
        "family",
        "context_length",
        "capabilities",
        "state_now",
        "reason",
    ]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        kwargs["form"] = ModelChangeForm if obj else ModelAddForm
        return super().get_form(request, obj, change, **kwargs)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        if obj:
            return ["name", "enabled", "settings", *self.readonly_fields]
        return ["name", "kind", *(name for names in FIELDS.values() for name in names), "settings"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return self.readonly_fields if obj else []

    def get_queryset(self, request: HttpRequest) -> QuerySet[Model]:
        live.board.read()
        return cast("QuerySet[Model]", super().get_queryset(request))

    def save_model(self, request: HttpRequest, obj: Model, form: Any, change: bool) -> None:
        if not change:
            services.model_add(obj)
            return
        changes = {name: form.cleaned_data[name] for name in form.changed_data}
        if "settings" in changes:
            changes["settings"] = changes["settings"] or {}
        services.model_update(obj, **changes)

    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        services.model_delete(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Model]) -> None:
        for model in queryset:
            services.model_delete(model)

    @display(description=_("state"), label=COLOURS)  # type: ignore[untyped-decorator]
    def live_state(self, model: Model) -> tuple[str, str]:
        state = live.board.state_of(model.id)
        return state["state"], _state_text(state)

    @display(description=_("state"))  # type: ignore[untyped-decorator]
    def state_now(self, model: Model) -> str:
        """In words only: a page of one model shows no labels."""
        return _state_text(live.board.state_of(model.id))

    @display(description=_("reason"))  # type: ignore[untyped-decorator]
    def reason(self, model: Model) -> str:
        error = live.board.state_of(model.id)["error"]
        return gettext(error["message"]) if error else ""

    @display(description=_("default"), boolean=True)  # type: ignore[untyped-decorator]
    def default_mark(self, model: Model) -> bool:
        return bool(model.is_default)

    @admin.action(description=_("Load"), permissions=["change"])
    def load(self, request: HttpRequest, queryset: QuerySet[Model]) -> None:
        for model in queryset:
            services.model_load(model)
        self.message_user(request, _("The worker loads what you chose."), messages.SUCCESS)

    @admin.action(description=_("Unload"), permissions=["change"])
    def unload(self, request: HttpRequest, queryset: QuerySet[Model]) -> None:
        for model in queryset:
            services.model_unload(model)
        self.message_user(request, _("The worker unloads what you chose."), messages.SUCCESS)

    @admin.action(description=_("Pin: keep in memory"), permissions=["change"])
    def pin(self, request: HttpRequest, queryset: QuerySet[Model]) -> None:
        for model in queryset:
            services.model_update(model, pinned=True)
        self.message_user(request, _("What you chose stays in memory once it is loaded."), messages.SUCCESS)

    @admin.action(description=_("Unpin"), permissions=["change"])
    def unpin(self, request: HttpRequest, queryset: QuerySet[Model]) -> None:
        for model in queryset:
            services.model_update(model, pinned=False)
        self.message_user(request, _("What you chose makes room when room is needed."), messages.SUCCESS)

    @admin.action(description=_("Make default"), permissions=["change"])
    def make_default(self, request: HttpRequest, queryset: QuerySet[Model]) -> None:
        chosen = list(queryset[:2])
        if len(chosen) != 1:
            self.message_user(request, _("Choose exactly one model."), messages.ERROR)
            return
        try:
            services.model_make_default(chosen[0])
        except AppError as error:
            self.message_user(request, error.message, messages.ERROR)
            return
        text = _("%(name)s is the default now.") % {"name": chosen[0].name}
        self.message_user(request, text, messages.SUCCESS)


def _state_text(state: live.State) -> str:
    """The state in words, with the progress while there is one."""
    words = {
        "stopped": pgettext("model", "stopped"),
        "queued": _("queued"),
        "loading": _("loading"),
        "ready": _("ready"),
        "draining": _("finishing"),
        "failed": _("failed"),
    }
    text = str(words.get(state["state"], state["state"]))
    return f"{text} {state['progress']:.0%}" if state["progress"] is not None else text


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
