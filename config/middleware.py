"""Chooses the content security policy by the room a response comes from."""

from __future__ import annotations

from csp.middleware import CSPMiddleware
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from config.settings.parts.security import ROOMS


class ContentSecurityMiddleware(CSPMiddleware):
    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        for prefix, directives in ROOMS.items():
            if request.path.startswith(prefix) and response.get("Content-Type", "").startswith("text/html"):
                response._csp_replace = directives  # type: ignore[attr-defined]
        return super().process_response(request, response)
