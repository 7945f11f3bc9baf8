"""Where a model comes from: each kind of source is checked here before a row is written."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from config.errors import AppError
from inference import address
from models_registry.folders import folder_inspect
from models_registry.gguf import gguf_engine, gguf_inspect

LONGEST_SCRIPT = 256 * 1024


@dataclass(frozen=True)
class Checked:
    """What registering needs to know. `secret` is plain text and must be sealed before it is stored."""

    engine: str
    source: dict[str, Any]
    secret: str = field(default="", repr=False)
    family: str = ""
    context_length: int | None = None
    capabilities: list[str] = field(default_factory=list)


def invalid(name: str, message: str) -> AppError:
    """The one shape of a refused field."""
    return AppError("invalid", message, {"fields": {name: [message]}})


def source_check(source: Any) -> Checked:
    """Raises AppError: "invalid" for the source as such, "invalid_model_folder" for what lies in a folder."""
    if not isinstance(source, dict):
        raise invalid("source", _("An object is expected."))
    kind = source.get("kind")
    if kind == "hub":
        raise AppError("not_yet", _("This kind of source is not supported yet."), {"kind": kind})
    rule = _RULES.get(kind) if isinstance(kind, str) else None
    if rule is None:
        raise invalid("source", _("The kind must be one of: %(kinds)s.") % {"kinds": ", ".join(_RULES)})
    allowed, check = rule
    unknown = sorted(set(map(str, source)) - allowed - {"kind"})
    if unknown:
        raise invalid("source", _("Unknown field: %(name)s.") % {"name": unknown[0][:64]})
    return check(source)


def _text(source: dict[str, Any], name: str, longest: int = 1024) -> str:
    value = source.get(name)
    if not isinstance(value, str) or not value.strip() or len(value) > longest or not value.isprintable():
        raise invalid("source", _("%(name)s must be a text.") % {"name": name})
    return value.strip()


def _folder(source: dict[str, Any]) -> Checked:
    facts = folder_inspect(str(_path(source)))
    return Checked(
        engine="transformers",
        source={"kind": "folder", "path": facts.path},
        family=facts.family,
        context_length=facts.context_length,
        capabilities=facts.capabilities,
    )


def _gguf(source: dict[str, Any]) -> Checked:
    facts = gguf_inspect(_path(source))
    return Checked(
        engine=gguf_engine(),
        source={"kind": "gguf", "path": facts.path, "quantization": facts.quantization},
        family=facts.family,
        context_length=facts.context_length,
        capabilities=facts.capabilities,
    )


def _path(source: dict[str, Any]) -> Path:
    """A path without a begin lies in the data folder's own models."""
    path = Path(_text(source, "path", 4096))
    return path if path.is_absolute() else Path(settings.HEARTH_DATA) / "models" / path


def _remote(source: dict[str, Any]) -> Checked:
    base_url = _address(_text(source, "base_url"))
    model = _text(source, "model", 256)
    key = source.get("api_key") or ""
    if not isinstance(key, str) or len(key) > 4096 or not (key.isascii() and key.isprintable()):
        raise invalid("source", _("%(name)s must be a text.") % {"name": "api_key"})
    continues = source.get("continues", False)
    if not isinstance(continues, bool):
        raise invalid("source", _("%(name)s must be true or false.") % {"name": "continues"})
    return Checked(
        engine="openai",
        source={"kind": "remote", "base_url": base_url, "model": model, "continues": continues},
        secret=key.strip(),
        capabilities=["continue"] if continues else [],
    )


def _address(text: str) -> str:
    """http(s)://host[:port][/path], in its one form. Private ones are allowed: only administrators come here.

    Nothing is looked up; the model service checks where the host leads when it connects."""
    if "@" in text:
        raise invalid("source", _("base_url must not hold a user name or password; use api_key."))
    if "?" in text or "#" in text:
        raise invalid("source", _("base_url must have no query and no fragment."))
    try:
        return address.parse(text).url
    except ValueError:
        raise invalid("source", _("base_url must be an http or https address.")) from None


def _echo(source: dict[str, Any]) -> Checked:
    script = source.get("script") or {}
    if not isinstance(script, dict) or len(json.dumps(script)) > LONGEST_SCRIPT:
        raise invalid("source", _("script must be an object, at most 256 KB long."))
    return Checked(
        engine="echo",
        source={"kind": "echo", "script": script},
        family="echo",
        context_length=8192,
        capabilities=["continue", "reasoning"],
    )


_RULES: dict[str, tuple[set[str], Callable[[dict[str, Any]], Checked]]] = {
    "folder": ({"path"}, _folder),
    "gguf": ({"path", "quantization"}, _gguf),
    "remote": ({"base_url", "model", "api_key", "continues"}, _remote),
    "echo": ({"script"}, _echo),
}
