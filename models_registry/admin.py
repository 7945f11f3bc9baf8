from __future__ import annotations

from typing import Any, cast

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, pgettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.decorators import display

from config.errors import AppError
from models_registry import live, registering, services
from models_registry.admin_forms import FIELDS, ModelAddForm, ModelChangeForm
from models_registry.admin_work import DownloadAdmin, JobAdmin
from models_registry.downloads import selectors as downloads
from models_registry.fit import amount, fit_ask
from models_registry.models import Model

__all__ = ["DownloadAdmin", "JobAdmin", "RegisteredModelAdmin"]

#: Unfold shows a state that is not named here without its words.
COLOURS = {
    "absent": "default",
    "downloading": "info",
    "stopped": "default",
    "queued": "info",
    "loading": "info",
    "ready": "success",
    "draining": "warning",
    "failed": "danger",
}


@admin.register(Model)
class RegisteredModelAdmin(ModelAdmin):  # type: ignore[misc]
    list_display = [
        "name",
        "live_state",
        "engine",
        "context_length",
        "memory",
        "requests",
        "speed",
        "default_mark",
        "pinned",
        "enabled",
        "for_everyone",
        "reason",
    ]
    list_filter = ["engine", "enabled", "for_everyone"]
    filter_horizontal = ["users"]
    search_fields = ["name", "family"]
    actions = ["load", "unload", "pin", "unpin", "make_default"]
    # The form shows what belongs to the chosen kind.
    conditional_fields = {name: f"kind == '{kind}'" for kind, names in FIELDS.items() for name in names}
    readonly_fields = [
        "id",
        "source",
        "family",
        "context_length",
        "capabilities",
        "state_now",
        "memory",
        "requests",
        "speed",
        "fit",
        "reason",
        "log",
    ]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        # A form of its own for each request: it knows who adds.
        known = {} if obj else {"user": request.user}
        kwargs["form"] = type("Form", (ModelChangeForm if obj else ModelAddForm,), known)
        return super().get_form(request, obj, change, **kwargs)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        if obj:
            editable = ["name", "engine", "enabled", "for_everyone", "users", "settings"]
            return [*editable, *self.readonly_fields]
        return ["name", "kind", *(name for names in FIELDS.values() for name in names), "settings"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return self.readonly_fields if obj else []

    def get_queryset(self, request: HttpRequest) -> QuerySet[Model]:
        live.board.read()
        return cast("QuerySet[Model]", super().get_queryset(request))

    def save_model(self, request: HttpRequest, obj: Model, form: Any, change: bool) -> None:
        if not change:
            if obj._state.adding:  # a hub's is there since its download is
                services.model_add(obj)
            return
        # `users` is saved by the form, as every list of that kind.
        changes = {name: form.cleaned_data[name] for name in form.changed_data if name != "users"}
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
        state = _state(model)
        return state["state"], _state_text(state)

    @display(description=_("state"))  # type: ignore[untyped-decorator]
    def state_now(self, model: Model) -> str:
        """In words only: a page of one model shows no labels."""
        return _state_text(_state(model))

    @display(description=_("reason"))  # type: ignore[untyped-decorator]
    def reason(self, model: Model) -> str:
        error = _state(model)["error"]
        return gettext(error["message"]) if error else ""

    @display(description=_("memory"))  # type: ignore[untyped-decorator]
    def memory(self, model: Model) -> str:
        state = _state(model)
        told = [
            (_("predicted %(amount)s"), state.get("predicted_bytes")),
            (_("measured %(amount)s"), state.get("measured_bytes") or state.get("memory_bytes")),
            (_("came back %(amount)s"), state.get("returned_bytes")),
        ]
        return ", ".join(str(words) % {"amount": amount(count)} for words, count in told if count)

    @display(description=_("requests"))  # type: ignore[untyped-decorator]
    def requests(self, model: Model) -> str:
        state = _state(model)
        counts = {"running": state["running"], "waiting": state["waiting"]}
        return gettext("%(running)d running, %(waiting)d waiting") % counts if any(counts.values()) else ""

    @display(description=_("tokens/s"))  # type: ignore[untyped-decorator]
    def speed(self, model: Model) -> str:
        speed = _state(model).get("tokens_per_second")
        return "" if speed is None else f"{speed:.1f}"

    @display(description=_("fit"))  # type: ignore[untyped-decorator]
    def fit(self, model: Model) -> str:
        """Whether it would go into the memory that is free now."""
        if model.source.get("kind") == "hub" and not model.source.get("path"):
            return gettext("Known once its files are here.")
        try:
            return str(fit_ask(services.model_spec(model))["sentence"])
        except AppError as error:
            return error.message

    @display(description=_("log"))  # type: ignore[untyped-decorator]
    def log(self, model: Model) -> str | SafeString:
        text = live.logs().get(model.id) if _state(model)["error"] else None
        return format_html("<pre>{}</pre>", text) if text else ""

    @display(description=_("default"), boolean=True)  # type: ignore[untyped-decorator]
    def default_mark(self, model: Model) -> bool:
        return bool(model.is_default)

    @admin.action(description=_("Load"), permissions=["change"])
    def load(self, request: HttpRequest, queryset: QuerySet[Model]) -> None:
        """One whose files are not here is downloaded."""
        for model in queryset:
            try:
                if registering.model_fetch(model) is None:
                    services.model_load(model)
            except AppError as error:
                self.message_user(request, error.message, messages.ERROR)
                return
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
            services.model_update(chosen[0], is_default=True)
        except AppError as error:
            self.message_user(request, error.message, messages.ERROR)
            return
        text = _("%(name)s is the default now.") % {"name": chosen[0].name}
        self.message_user(request, text, messages.SUCCESS)


def _state(model: Model) -> live.State:
    """As the API tells it: what a model does, or how far its files are."""
    if model.source.get("kind") == "hub" and not model.source.get("path"):
        return downloads.state_of(model.id, model.name, downloads.download_of(model.id))
    return live.board.state_of(model.id, model.name)


def _state_text(state: live.State) -> str:
    """The state in words, with the progress while there is one."""
    words = {
        "absent": _("not here"),
        "downloading": _("downloading"),
        "stopped": pgettext("model", "stopped"),
        "queued": _("queued"),
        "loading": _("loading"),
        "ready": _("ready"),
        "draining": _("finishing"),
        "failed": _("failed"),
    }
    text = str(words.get(state["state"], state["state"]))
    return f"{text} {state['progress']:.0%}" if state["progress"] is not None else text
