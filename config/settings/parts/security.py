"""Content security policies. The page's is strict; two third-party rooms get their own."""

from __future__ import annotations

from typing import Any

from csp.constants import NONCE, SELF

CONTENT_SECURITY_POLICY: dict[str, Any] = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF, NONCE],
        "style-src": [SELF, NONCE],
        # Ant Design sets sizes through style attributes.
        "style-src-attr": ["'unsafe-inline'"],
        "img-src": [SELF, "data:", "blob:"],
        "font-src": [SELF, "data:"],
        "connect-src": [SELF, "ws:", "wss:"],
        "object-src": ["'none'"],
        "base-uri": [SELF],
        "form-action": [SELF],
        "frame-ancestors": ["'none'"],
    },
}

#: Unfold's Alpine evaluates expressions in attributes; Swagger UI and the browsable API inline their start.
ROOMS: dict[str, dict[str, list[str]]] = {
    "/admin/": {
        "script-src": [SELF, "'unsafe-inline'", "'unsafe-eval'"],
        "style-src": [SELF, "'unsafe-inline'"],
    },
    "/api/": {"script-src": [SELF, "'unsafe-inline'"], "style-src": [SELF, "'unsafe-inline'"]},
}
