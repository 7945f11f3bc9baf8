"""Register the models that lie in a folder, in place; each once: one removed on the page stays away."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import override

from config.errors import AppError
from models_registry import caches
from models_registry.hubs import selectors
from models_registry.models import Once
from models_registry.services import model_create, name_free, once


class Command(BaseCommand):
    help = "Register every model (safetensors or GGUF) in DIR and the two levels of folders below it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("dir", type=Path)
        parser.add_argument("--language", choices=[code for code, _name in settings.LANGUAGES], default="en")

    def handle(self, *args: Any, **options: Any) -> None:
        place: Path = options["dir"].expanduser().resolve()
        with override(options["language"]):
            if not place.is_dir():
                raise CommandError(_("There is no folder %(path)s.") % {"path": place})
            found = caches.models_in(place)
            if not found:
                self.stdout.write(_("There is no model in %(path)s.") % {"path": place})
            here = selectors.by_path()
            for cached in found:
                if cached.path not in here:
                    self._register(cached)

    def _register(self, cached: caches.Cached) -> None:
        key = "folder:" + hashlib.sha256(cached.path.encode(errors="surrogateescape")).hexdigest()
        if Once.objects.filter(pk=key).exists():
            return
        try:
            source = {"kind": cached.kind, "path": cached.path}
            model = model_create(name=name_free(cached.name), source=source)
        except AppError as error:
            text = _("%(path)s was left out: %(why)s")
            self.stdout.write(text % {"path": cached.path, "why": error.message})
            return
        once(key, model.pk)
        self.stdout.write(_("%(name)s is on the list: %(path)s") % {"name": model.name, "path": cached.path})
