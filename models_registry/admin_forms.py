"""The forms of the administration's model pages. The services check what is typed; what they refuse is told
at its field."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from django import forms
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from config.errors import AppError
from models_registry import registering, services
from models_registry.deployment import settings_check
from models_registry.models import Model

KINDS = [
    ("folder", _("Folder on this server")),
    ("gguf", _("GGUF file on this server")),
    ("hub", _("ModelScope or Hugging Face")),
    ("remote", _("Remote endpoint (OpenAI style)")),
    ("echo", _("Echo (for tests)")),
]
#: Which of the form's fields make the source of which kind.
FIELDS = {
    "folder": ["path"],
    "gguf": ["file"],
    "hub": ["hub", "repo", "revision"],
    "remote": ["base_url", "remote_model", "api_key", "continues"],
    "echo": ["script"],
}


class ModelAddForm(forms.ModelForm):  # type: ignore[type-arg]
    """The source as fields; the services check it, and their refusal stands at the field."""

    kind = forms.ChoiceField(label=_("kind"), choices=KINDS, widget=UnfoldAdminSelectWidget)
    path = forms.CharField(
        label=_("folder"), required=False, widget=UnfoldAdminTextInputWidget, help_text=_("Full path.")
    )
    file = forms.CharField(
        label=_("file"), required=False, widget=UnfoldAdminTextInputWidget, help_text=_("Full path.")
    )
    hub = forms.ChoiceField(
        label=_("hub"),
        required=False,
        choices=[("modelscope", "ModelScope"), ("huggingface", "Hugging Face")],
        widget=UnfoldAdminSelectWidget,
    )
    repo = forms.CharField(
        label=_("repository"),
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("As the hub writes it: owner/name. Its download begins when you save."),
    )
    revision = forms.CharField(
        label=_("revision"),
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text=_("A branch, tag or commit; empty for the newest."),
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

    #: Who adds it; set by the page.
    user: Any = None
    #: A hub's model, asked for once all else is right: its row and its download are made together.
    wanted: dict[str, Any] | None = None

    class Meta:
        model = Model
        fields = ["name", "settings"]

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        if self.errors:
            return data
        kind = data["kind"]
        names = {"remote_model": "model", "file": "path"}
        given = {names.get(name, name): data.get(name) for name in FIELDS[kind]}
        source = {"kind": kind} | {name: value for name, value in given.items() if value}
        settings = data.get("settings") or {}
        if kind == "hub":
            self.wanted = {"name": data["name"], "source": source, "settings": settings}
            return data
        with _refusals_at(self):
            self.built = services.model_build(name=data["name"], source=source, settings=settings)
        return data

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        if self.wanted is not None and not self.errors:
            with _refusals_at(self):
                self.built = registering.model_register(**self.wanted, user=self.user)

    def save(self, commit: bool = True) -> Model:
        self.instance = self.built
        return cast(Model, super().save(commit=False))


class ModelChangeForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Model
        fields = ["name", "engine", "enabled", "for_everyone", "users", "settings"]

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        engine = data.get("engine") or self.instance.engine
        with _refusals_at(self):
            services.engine_check(self.instance.source, engine)
            settings_check(engine, data.get("settings") or {})
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
