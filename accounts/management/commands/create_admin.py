from __future__ import annotations

import os
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import selectors, services
from config.errors import AppError

#: The exit status of --exists where nobody is an administrator (start.py reads it).
NOBODY = 3


class Command(BaseCommand):
    help = (
        "Makes an administrator, or makes an existing user one. Running it again changes nothing. "
        "The password may come from the environment (HEARTH_ADMIN_PASSWORD) instead of the command line."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--username", default="")
        parser.add_argument("--exists", action="store_true", help="Only ask: 0 where there is one, else 3.")
        parser.add_argument("--password", default=os.environ.get("HEARTH_ADMIN_PASSWORD", ""))
        parser.add_argument("--email", default="")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["exists"]:
            sys.exit(0 if selectors.has_admin() else NOBODY)
        username, password = options["username"], options["password"]
        if not username:
            raise CommandError("No name: give --username.")
        if not password:
            raise CommandError("No password: give --password, or set HEARTH_ADMIN_PASSWORD.")
        try:
            user, made = services.admin_ensure(username=username, password=password, email=options["email"])
        except AppError as error:
            raise CommandError(_in_words(error)) from None
        word = (
            "Created the administrator" if made else "Already there, and an administrator with this password:"
        )
        self.stdout.write(f"{word} {user.username}.")


def _in_words(error: AppError) -> str:
    fields: dict[str, list[str]] = error.extra.get("fields", {})
    lines = [f"{name}: {text}" for name, texts in fields.items() for text in texts]
    return "\n".join(["The administrator was not made.", *(lines or [error.message])])
