"""What the URL conf, the schema and the sockets really offer, in the words of the access table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.resolvers import RoutePattern
from django.views.generic import RedirectView

#: The few routes that are regular expressions. An unknown one is a failure: add its paths here.
EXPRESSIONS = {
    r"^docs/?$": ["/docs"],
    r"^chat/stream/?$": ["/chat/stream"],
    r"^chat/teststream/?$": ["/chat/teststream"],
    r"^(?:login|register|models(?:/add(?:/[\w.-]+){0,3})?|c/[0-9a-f]+)?/?$": [
        "/",
        "/login",
        "/register",
        "/models",
        "/models/add",
        "/models/add/{hub}/{owner}/{name}",
        "/c/{conversation_id}",
    ],
}

#: Served by WhiteNoise before the URL conf is asked.
BEYOND = [("GET", "/static/{path}")]


@dataclass(frozen=True)
class Found:
    path: str
    methods: tuple[str, ...]
    view: Any


def found_routes() -> list[Found]:
    """Everything but the administration."""
    routes = []
    for pattern, prefix in _walk(get_resolver().url_patterns, ""):
        if prefix.startswith("admin/"):
            continue
        for path in _paths(pattern, prefix):
            routes.append(Found(path, _methods(pattern.callback), pattern.callback))
    return routes


def admin_routes() -> list[str]:
    """Each route of the administration, with an id filled in where one is wanted."""
    paths = []
    for pattern, prefix in _walk(get_resolver().url_patterns, ""):
        if prefix.startswith("admin/"):
            route = f"/{prefix}{pattern.pattern}"
            if "(?P<app_label>" in route:
                route = "/admin/accounts/"
            route = re.sub(r"\(\?P<url>\.\*\)\$$", "no/such/place/", route)
            paths.append(re.sub(r"<[^>]+>", "1", route).replace("^", ""))
    return paths


def schema() -> dict[str, Any]:
    from drf_spectacular.generators import SchemaGenerator

    made: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    return made


def schema_operations() -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (method.upper(), path): operation
        for path, operations in schema()["paths"].items()
        for method, operation in operations.items()
        if method in ("get", "post", "put", "patch", "delete")
    }


def body_fields(operation: dict[str, Any]) -> set[str]:
    """Names of the top-level fields of an operation's body."""
    components = schema()["components"]["schemas"]
    names: set[str] = set()
    for content in operation.get("requestBody", {}).get("content", {}).values():
        body = content["schema"]
        if "$ref" in body:
            body = components[body["$ref"].rpartition("/")[2]]
        names |= set(body.get("properties", {}))
    return names


def filled(path: str, ids: dict[str, str]) -> str:
    """`path` with its parameters replaced; an unknown one by an id that nothing has."""
    return re.sub(r"\{(\w+)\}", lambda name: ids.get(name[1], "0" * 32), path)


def _walk(patterns: list[Any], prefix: str) -> Iterator[tuple[URLPattern, str]]:
    for entry in patterns:
        if isinstance(entry, URLResolver):
            yield from _walk(entry.url_patterns, prefix + str(entry.pattern))
        else:
            yield entry, prefix


def _paths(pattern: URLPattern, prefix: str) -> list[str]:
    text = f"{prefix}{pattern.pattern}"
    if not isinstance(pattern.pattern, RoutePattern):
        assert text in EXPRESSIONS, f"{text}: say in tests/access_routes.py which paths it stands for"
        return EXPRESSIONS[text]
    return ["/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", text)]


def _methods(callback: Any) -> tuple[str, ...]:
    view = getattr(callback, "cls", None) or getattr(callback, "view_class", None)
    if view is None or issubclass(view, RedirectView):
        return ("GET",)  # pages, health, a redirect: other methods change nothing there
    rest = hasattr(view, "authentication_classes")
    names = ("get", "post", "put", "patch", "delete") if rest else ("get", "post")
    return tuple(name.upper() for name in names if hasattr(view, name))
