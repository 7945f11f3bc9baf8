"""The administrator's house: django-unfold in the page's colours."""

from __future__ import annotations

from typing import Any

from django.templatetags.static import static
from django.utils.translation import gettext_lazy as _

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Hearth",
    "SITE_HEADER": "Hearth",
    "SITE_SUBHEADER": _("Administration"),
    "SITE_URL": "/",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("page/favicon.svg")}
    ],
    "SHOW_LANGUAGES": False,
    "COLORS": {
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
