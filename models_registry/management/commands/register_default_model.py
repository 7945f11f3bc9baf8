"""Register the model that the launcher prepared. Running it again changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.errors import AppError
from models_registry import catalogue
from models_registry.services import model_register_folder

NAME, ENTRY = "SmolLM2-135M-Instruct", "smollm2-135m-instruct"


class Command(BaseCommand):
    help = "Register the default model (a folder under the data folder) unless it is registered already."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--name", default=NAME)
        parser.add_argument("--path", type=Path, help="default: <data>/models/<name>")

    def handle(self, *args: Any, **options: Any) -> None:
        path = options["path"] or Path(settings.HEARTH_DATA) / "models" / options["name"]
        try:
            model, made = model_register_folder(
                name=options["name"], path=Path(path), languages=catalogue.entry(ENTRY).languages
            )
        except AppError as error:
            raise CommandError(error.message) from error
        self.stdout.write(f"{model.name}: {'registered' if made else 'registered already'}")
