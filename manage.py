#!/usr/bin/env python3
"""Django's command line."""

from __future__ import annotations

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.dev")
    from django.core.management import execute_from_command_line
    from django.db.utils import DatabaseError

    try:
        execute_from_command_line(sys.argv)
    except DatabaseError as error:
        from config.checks import in_words

        # The start passes here: a database that lets nobody in is told with the line to type.
        if (words := in_words(error)) is None:
            raise
        sys.exit(words)


if __name__ == "__main__":
    main()
