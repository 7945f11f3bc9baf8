from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminSelectWidget

from accounts import services
from accounts.models import ApiKey, SiteSettings, TokenFamily, User


class ReadOnlyAdmin(ModelAdmin):  # type: ignore[misc]
    """Rows that come and go by themselves; only actions change them."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ModelAdmin):  # type: ignore[type-arg, misc]
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = [
        "username",
        "email",
        "is_superuser",
        "is_active",
        "is_approved",
        "last_login",
        "date_joined",
    ]
    list_filter = ["is_superuser", "is_active", "is_approved"]
    search_fields = ["username", "email"]
    actions = ["approve", "deactivate"]
    fieldsets = (
        (None, {"fields": ("username", "password", "email", "language")}),
        (_("Access"), {"fields": ("is_active", "is_approved", "is_staff", "is_superuser")}),
        (_("Permissions"), {"fields": ("groups", "user_permissions"), "classes": ("collapse",)}),
        (_("Dates"), {"fields": ("last_login", "date_joined")}),
    )
    readonly_fields = ["last_login", "date_joined"]

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name != "language":
            return super().formfield_for_dbfield(db_field, request, **kwargs)
        return forms.ChoiceField(
            choices=[("", _("As the browser asks")), *settings.LANGUAGES],
            required=False,
            label=db_field.verbose_name,
            widget=UnfoldAdminSelectWidget,
        )

    @admin.action(description=_("Approve"), permissions=["change"])
    def approve(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        done = services.users_approve(queryset)
        text = ngettext("%(n)d account approved.", "%(n)d accounts approved.", done) % {"n": done}
        self.message_user(request, text, messages.SUCCESS)

    @admin.action(description=_("Deactivate and sign out"), permissions=["change"])
    def deactivate(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        done = services.users_deactivate(queryset.exclude(pk=request.user.pk))
        text = ngettext("%(n)d account deactivated.", "%(n)d accounts deactivated.", done) % {"n": done}
        self.message_user(request, text, messages.SUCCESS)


admin.site.unregister(Group)


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, ModelAdmin):  # type: ignore[misc]
    """Django's own, in the looks of the house."""


@admin.register(TokenFamily)
class TokenFamilyAdmin(ReadOnlyAdmin):
    list_display = ["user", "created", "user_agent", "ended_at", "living"]
    list_filter = ["ended_at"]
    search_fields = ["user__username", "user_agent"]
    list_select_related = ["user"]
    actions = ["end"]

    @admin.display(description=_("signed in"), boolean=True)
    def living(self, family: TokenFamily) -> bool:
        return family.ended_at is None

    @admin.action(description=_("End these sign-ins"), permissions=["end"])
    def end(self, request: HttpRequest, queryset: QuerySet[TokenFamily]) -> None:
        done = sum(services.family_end(family_id=pk) for pk in queryset.values_list("pk", flat=True))
        text = ngettext("%(n)d sign-in ended.", "%(n)d sign-ins ended.", done) % {"n": done}
        self.message_user(request, text, messages.SUCCESS)

    def has_end_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.change_tokenfamily")


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    list_display = ["prefix", "name", "user", "created", "last_used", "revoked_at"]
    fields = ["prefix", "name", "user", "created", "last_used", "revoked_at"]
    search_fields = ["prefix", "name", "user__username"]
    list_select_related = ["user"]
    actions = ["revoke"]

    @admin.action(description=_("Revoke these keys"), permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        living = queryset.filter(revoked_at=None).select_related("user")
        for key in living:
            services.api_key_revoke(user=key.user, key_id=key.pk)
        self.message_user(request, _("The keys no longer work."), messages.SUCCESS)

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.change_apikey")


@admin.register(SiteSettings)
class SiteSettingsAdmin(ModelAdmin):  # type: ignore[misc]
    """One row, so its list is its form."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        services.site_settings_ensure()
        return HttpResponseRedirect(
            reverse("admin:accounts_sitesettings_change", args=[SiteSettings.SINGLETON])
        )
