"""Who may call what: every route and every frame, said once by hand and held against the running code.

tests/test_access.py fails when the URL conf or the frame types have something that is not in here, when
something in here is gone, and when the server does not do what is said. `python -m tests.access_page` writes
docs/reference/access.md from it.
"""

from __future__ import annotations

from typing import Literal

Access = Literal["open", "token", "administrator"]

#: (method, path) → who. Parameters of a path are written as the schema writes them.
ROUTES: dict[tuple[str, str], Access] = {
    ("GET", "/"): "open",
    ("GET", "/login"): "open",
    ("GET", "/register"): "open",
    ("GET", "/models"): "open",
    ("GET", "/models/add"): "open",
    ("GET", "/models/add/{hub}/{owner}/{name}"): "open",
    ("GET", "/c/{conversation_id}"): "open",
    ("GET", "/docs"): "open",
    ("GET", "/healthz"): "open",
    ("GET", "/readyz"): "open",
    ("GET", "/static/{path}"): "open",
    ("GET", "/api/docs/"): "open",
    ("GET", "/api/schema/"): "open",
    ("GET", "/api/session/login/"): "open",
    ("POST", "/api/session/login/"): "open",
    ("GET", "/api/session/logout/"): "open",
    ("POST", "/api/session/logout/"): "open",
    ("GET", "/api/auth/state/"): "open",
    ("POST", "/api/auth/register/"): "open",
    ("POST", "/api/auth/token/"): "open",
    ("POST", "/api/auth/revoke/"): "open",
    ("GET", "/api/auth/providers/"): "open",
    ("GET", "/api/auth/me/"): "token",
    ("PATCH", "/api/auth/me/"): "token",
    ("POST", "/api/auth/password/"): "token",
    ("GET", "/api/auth/keys/"): "token",
    ("POST", "/api/auth/keys/"): "token",
    ("DELETE", "/api/auth/keys/{id}/"): "token",
    ("GET", "/api/conversations/"): "token",
    ("POST", "/api/conversations/"): "token",
    ("GET", "/api/conversations/{conversation_id}/"): "token",
    ("PATCH", "/api/conversations/{conversation_id}/"): "token",
    ("DELETE", "/api/conversations/{conversation_id}/"): "token",
    ("GET", "/api/conversations/{conversation_id}/messages/"): "token",
    ("POST", "/api/conversations/{conversation_id}/messages/"): "token",
    ("PATCH", "/api/conversations/{conversation_id}/active/"): "token",
    ("POST", "/api/chat/stream/"): "token",
    ("POST", "/api/chat/teststream/"): "token",
    ("POST", "/chat/stream"): "token",
    ("POST", "/chat/teststream"): "token",
    ("GET", "/api/turns/{turn_id}/events/"): "token",
    ("POST", "/api/turns/{turn_id}/stop/"): "token",
    ("GET", "/api/models/"): "token",
    ("GET", "/api/models/{id}/"): "token",
    ("POST", "/api/models/"): "administrator",
    ("PATCH", "/api/models/{id}/"): "administrator",
    ("DELETE", "/api/models/{id}/"): "administrator",
    ("GET", "/api/models/{id}/fit/"): "administrator",
    ("POST", "/api/models/{id}/load/"): "administrator",
    ("POST", "/api/models/{id}/unload/"): "administrator",
    ("POST", "/api/models/{id}/pin/"): "administrator",
    ("GET", "/api/hubs/"): "administrator",
    ("GET", "/api/hubs/cached/"): "administrator",
    ("GET", "/api/hubs/{hub}/search/"): "administrator",
    ("GET", "/api/hubs/{hub}/repo/"): "administrator",
    ("GET", "/api/catalogue/"): "administrator",
    ("GET", "/api/downloads/"): "administrator",
    ("POST", "/api/downloads/"): "administrator",
    ("GET", "/api/downloads/{id}/"): "administrator",
    ("POST", "/api/downloads/{id}/pause/"): "administrator",
    ("POST", "/api/downloads/{id}/resume/"): "administrator",
    ("POST", "/api/downloads/{id}/cancel/"): "administrator",
    ("GET", "/api/monitoring/now/"): "administrator",
    ("GET", "/v1/models"): "token",
    ("GET", "/v1/models/{model}"): "token",
    ("POST", "/v1/chat/completions"): "token",
    ("POST", "/v1/embeddings"): "token",
}

#: Django's own form to sign in is the one page of the administration that strangers see.
ADMIN_OPEN = ("/admin/login/",)

SOCKETS: dict[str, Access] = {"/ws/chat/": "token"}

#: Frames go over a socket that a token has opened; none needs an administrator.
FRAMES: dict[str, Access] = {
    "turn.start": "token",
    "turn.stop": "token",
    "turn.watch": "token",
    "turn.retry": "token",
    "turn.edit": "token",
    "turn.continue": "token",
    "turn.confirm": "token",
    "ping": "token",
}

#: Fields of frames and bodies that name a thing of one user's: another user gets "not found" for each.
OWNED_FIELDS = ("conversation", "message", "turn")

#: Parameters of paths that need no owner, and why.
SHARED_ROUTES: dict[str, str] = {
    "/c/{conversation_id}": "the page is the same for everybody; it asks the API, which checks",
    "/models/add/{hub}/{owner}/{name}": "the page is the same for everybody; it asks the API, which checks",
    "/static/{path}": "files of the page and of the administration, the same for everybody",
    "/api/models/{id}/": "models belong to the house; those may pick one for whom it is",
    "/v1/models/{model}": "models belong to the house; those may pick one for whom it is",
    "/api/models/{id}/fit/": "models belong to the house; administrators only",
    "/api/models/{id}/load/": "models belong to the house; administrators only",
    "/api/models/{id}/unload/": "models belong to the house; administrators only",
    "/api/models/{id}/pin/": "models belong to the house; administrators only",
    "/api/hubs/{hub}/search/": "a hub is the same for everybody; administrators only",
    "/api/hubs/{hub}/repo/": "a hub is the same for everybody; administrators only",
    "/api/downloads/{id}/": "downloads belong to the house; administrators only",
    "/api/downloads/{id}/pause/": "downloads belong to the house; administrators only",
    "/api/downloads/{id}/resume/": "downloads belong to the house; administrators only",
    "/api/downloads/{id}/cancel/": "downloads belong to the house; administrators only",
}

#: Text fields of frames that name nobody's thing, and why.
SHARED_FIELDS: dict[str, str] = {
    "client_id": "chosen by the client and looked up among the sender's own turns only",
    "model": "models belong to the house; those may pick one for whom it is",
    "task": "a fixed word",
    "datasource": "not served yet; data sources belong to the house",
    "call": "a place within the turn that stands beside it, whose owner is checked",
}
