"""Reading signs of life and figures."""

from __future__ import annotations

from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from monitoring.models import Beat

#: A process that beat this long ago still counts as alive (seconds).
ALIVE = 10.0

_migrated = False


def migrations_missing() -> int:
    """How many migrations are not applied. Once there were none, only a query that the database is there."""
    global _migrated
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    if _migrated:
        return 0
    executor = MigrationExecutor(connection)
    missing = len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
    _migrated = not missing
    return missing


def beat_age(role: str) -> float | None:
    """Seconds since any process of this role was seen; None when there is none."""
    seen = Beat.objects.filter(role=role).order_by("-seen").values_list("seen", flat=True).first()
    return None if seen is None else (timezone.now() - seen).total_seconds()


def processes() -> list[Beat]:
    return [beat for beat in Beat.objects.all() if (timezone.now() - beat.seen).total_seconds() <= ALIVE]


def data_folder() -> str:
    return str(settings.HEARTH_DATA)
