"""REST framework and its schema."""

from __future__ import annotations

from typing import Any

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.authentication.BearerAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": [
        "rest_framework.renderers.JSONRenderer",
        "config.browsable.BrowsableRenderer",
    ],
    "DEFAULT_PARSER_CLASSES": [
        "config.bodies.JSONParser",
        "rest_framework.parsers.FormParser",
    ],
    "DEFAULT_PAGINATION_CLASS": "config.api.CursorPage",
    "PAGE_SIZE": 50,
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "config.api.exception_handler",
}

SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "Hearth",
    "DESCRIPTION": "Your own models, at home. Streams and sockets: docs/reference/frames.md.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    # A stale token in the browser must not close the documentation.
    "SERVE_AUTHENTICATION": [],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "models_registry.openai_api.schema.add_openai",
    ],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    # Several things have a state; each gets a type of its own name.
    "ENUM_NAME_OVERRIDES": {"DownloadStateEnum": "models_registry.models.Download.State"},
    # A session works too, but a page cannot be given the cookie by hand, as Swagger's Authorize would offer.
    "AUTHENTICATION_WHITELIST": ["accounts.authentication.BearerAuthentication"],
    "SWAGGER_UI_SETTINGS": {"persistAuthorization": True, "deepLinking": True},
}
