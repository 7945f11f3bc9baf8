"""The administrator's house: django-unfold in the page's colours."""

from __future__ import annotations

from typing import Any

from django.templatetags.static import static
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy as _


def _page(title: Any, icon: str, name: str) -> dict[str, Any]:
    app, model, action = name.split(".")
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{app}_{model}_changelist"),
        "permission": lambda request: request.user.has_perm(f"{app}.{action}_{model}"),
    }


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": _("Hearth"),
    "SITE_HEADER": _("Hearth"),
    "SITE_SUBHEADER": _("Administration"),
    "SITE_SYMBOL": "local_fire_department",
    "SITE_URL": "/",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("page/favicon.svg")}
    ],
    "SHOW_LANGUAGES": False,
    "SHOW_BACK_BUTTON": True,
    "SIDEBAR": {
        "navigation": [
            {
                "title": _("Models"),
                "items": [
                    _page(_("Models"), "neurology", "models_registry.model.view"),
                    _page(_("Loads and unloads"), "schedule", "models_registry.job.view"),
                ],
            },
            {
                "title": _("People"),
                "separator": True,
                "items": [
                    _page(_("Users"), "group", "accounts.user.view"),
                    _page(_("Sign-ins"), "devices", "accounts.tokenfamily.view"),
                    _page(_("API keys"), "key", "accounts.apikey.view"),
                    _page(_("Conversations"), "forum", "conversations.conversation.view"),
                ],
            },
            {
                "title": _("House"),
                "separator": True,
                "items": [
                    _page(_("Site settings"), "tune", "accounts.sitesettings.view"),
                    {"title": _("API description"), "icon": "api", "link": reverse_lazy("docs")},
                ],
            },
        ],
    },
    "COLORS": {
        "base": {
            "50": "#fafaf9",
            "100": "#f5f5f4",
            "200": "#e7e5e4",
            "300": "#d6d3d1",
            "400": "#a8a29e",
            "500": "#78716c",
            "600": "#57534e",
            "700": "#44403c",
            "800": "#292524",
            "900": "#1c1917",
            "950": "#0c0a09",
        },
        "primary": {
            "50": "#fdf4ee",
            "100": "#fae5d7",
            "200": "#f4c8ae",
            "300": "#eda57c",
            "400": "#f08a4b",
            "500": "#df6a30",
            "600": "#c8501e",
            "700": "#a63d1a",
            "800": "#85331c",
            "900": "#6c2c1a",
            "950": "#3a140b",
        },
    },
}
