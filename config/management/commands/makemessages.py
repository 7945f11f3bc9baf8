"""`manage.py makemessages -l zh_Hans`: only what the server says, the model service's sentences included."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.commands import makemessages

#: The page has its own dictionaries; the others are not ours, or are data.
ELSEWHERE = [
    ".venv",
    "node_modules",
    "frontend",
    "data",
    "run",
    "docs",
    "benchmarks",
    "launcher",
    "tests",
    "config/locale",
]


class Command(makemessages.Command):
    # The model service knows no Django: what it says is translated where the web side passes it on.
    xgettext_options = [
        *makemessages.Command.xgettext_options,
        "--keyword=InferenceError:2",
        "--keyword=Refused:1",
    ]

    def handle(self, *args: Any, **options: Any) -> None:
        options["ignore_patterns"] = [*options["ignore_patterns"], *ELSEWHERE]
        # Line numbers would make every change of code a change of the catalogue.
        options["add_location"] = options["add_location"] or "file"
        options["no_obsolete"] = True
        super().handle(*args, **options)

    def build_potfiles(self) -> list[str]:
        found: list[str] = super().build_potfiles()
        for pot in map(Path, found):
            entries = pot.read_text(encoding="utf-8").split("\n\n")
            kept = [entry for entry in entries if not _holds_details(entry)]
            pot.write_text("\n\n".join(kept), encoding="utf-8")
        return found


def _holds_details(entry: str) -> bool:
    """An f-string of the model service: as a whole it is never said, so it cannot be looked up."""
    return "#: inference/" in entry and "{" in entry.partition("msgid ")[2]
