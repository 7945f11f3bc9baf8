"""The browsable API. Apart from config.api, which REST framework cannot import while it reads settings."""

from __future__ import annotations

from typing import Any

from rest_framework import renderers


class BrowsableRenderer(renderers.BrowsableAPIRenderer):
    """Raw-data forms only: the HTML forms would need a form per nested field."""

    def render_form_for_serializer(self, serializer: Any) -> str:
        return ""
