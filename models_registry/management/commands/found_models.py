"""Tell which models other programs have left in the hubs' caches here. Nothing is registered."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.utils.translation import ngettext, override

from models_registry import caches
from models_registry.hubs import selectors

#: Names that fit on the line.
SHOWN = 3


class Command(BaseCommand):
    help = "Name the models in the caches of ModelScope and Hugging Face that are not on the list yet."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--url", default="", help="the address of the page")
        parser.add_argument("--language", choices=[code for code, _ in settings.LANGUAGES], default="en")

    def handle(self, *args: Any, **options: Any) -> None:
        here = selectors.by_path()
        found = sorted({cached.repo for cached in caches.cached_models() if cached.path not in here})
        if not found:
            return
        names = ", ".join(found[:SHOWN]) + (", …" if len(found) > SHOWN else "")
        with override(options["language"]):
            line = ngettext(
                "A hub's cache on this machine holds %(count)d model (%(names)s). Use it in place: %(url)s",
                "The hubs' caches here hold %(count)d models (%(names)s). Use them in place: %(url)s",
                len(found),
            )
            url = options["url"] + "/models/add/machine"
            self.stdout.write(line % {"count": len(found), "names": names, "url": url})
