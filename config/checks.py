"""Is the MySQL or MariaDB behind DATABASE_URL fit for this? ``manage.py check --database default``.

`migrate` asks the same before it changes anything, so an unfit database stops the start with the line to
type. SQLite has nothing to check here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import DatabaseError, NotSupportedError
from django.utils.translation import gettext as _

CHARSET, COLLATION = "utf8mb4", "utf8mb4_bin"
#: What the server says when it lets nobody in.
_DENIED, _UNKNOWN_DATABASE = (1044, 1045, 1698), 1049


@dataclass(frozen=True)
class Facts:
    """What a server says of one database. `foreign_tables` are those in another character set."""

    database: str
    charset: str
    collation: str
    foreign_tables: tuple[str, ...]
    has_time_zones: bool


@register(Tags.database)
def databases_are_fit(app_configs: Any, databases: Sequence[str] | None, **kwargs: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    for alias in databases or ():
        connection = connections[alias]
        if connection.vendor == "mysql":
            found += check(connection)
    return found


def check(connection: BaseDatabaseWrapper) -> list[CheckMessage]:
    try:
        return problems(facts(connection))
    except DatabaseError as error:
        return [told(error, connection.settings_dict)]


def in_words(error: DatabaseError) -> str | None:
    """For manage.py: Django's own checks connect, too, and would end in a traceback. None: not MySQL's."""
    connection = connections["default"]
    if connection.vendor != "mysql" or connection.connection is not None:
        return None
    found = told(error, connection.settings_dict)
    return f"{found.msg}\n{_('Hint')}: {found.hint}\n({found.id})"


def facts(connection: BaseDatabaseWrapper) -> Facts:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DATABASE(), @@character_set_database, @@collation_database,"
            " CONVERT_TZ('2000-01-01 00:00:00', 'UTC', 'Europe/Berlin') IS NOT NULL"
        )
        database, charset, collation, zones = cursor.fetchone()
        cursor.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()"
            " AND table_type = 'BASE TABLE' AND table_collation NOT LIKE %s ORDER BY table_name",
            [f"{CHARSET}%"],
        )
        tables = tuple(name for (name,) in cursor.fetchall())
    return Facts(database, charset, collation, tables, bool(zones))


def problems(facts: Facts) -> list[CheckMessage]:
    """A pure function: what is wrong, each with the line that mends it."""
    found: list[CheckMessage] = []
    alter = f"ALTER DATABASE `{facts.database}` CHARACTER SET {CHARSET} COLLATE {COLLATION};"
    if facts.charset != CHARSET:
        message = _(
            "The database %(name)s is in %(charset)s, which cannot hold every character (Chinese, emoji)."
        )
        found.append(
            Error(message % {"name": facts.database, "charset": facts.charset}, hint=alter, id="hearth.E001")
        )
    elif facts.collation != COLLATION:
        message = _("The database %(name)s compares by %(collation)s, which takes e and é for the same name.")
        found.append(
            Warning(
                message % {"name": facts.database, "collation": facts.collation}, hint=alter, id="hearth.W002"
            )
        )
    if facts.foreign_tables:
        message = _("%(count)d tables of %(name)s are not in utf8mb4: %(tables)s.")
        shown = ", ".join(facts.foreign_tables[:5]) + (" …" if len(facts.foreign_tables) > 5 else "")
        count = len(facts.foreign_tables)
        found.append(
            Error(
                message % {"count": count, "name": facts.database, "tables": shown},
                hint=f"ALTER TABLE `{facts.foreign_tables[0]}` CONVERT TO CHARACTER SET {CHARSET}"
                f" COLLATE {COLLATION};",
                id="hearth.E003",
            )
        )
    if not facts.has_time_zones:
        message = _(
            "The server's time-zone tables are empty: dates in another zone than UTC cannot be grouped."
        )
        found.append(
            Warning(
                message,
                hint="mysql_tzinfo_to_sql /usr/share/zoneinfo | mysql -u root mysql"
                "    (MariaDB: mariadb-tzinfo-to-sql)",
                id="hearth.W004",
            )
        )
    return found


def told(error: DatabaseError, settings: dict[str, Any]) -> CheckMessage:
    """Why there is no connection, and what to type."""
    if isinstance(error, NotSupportedError):  # Django knows the lowest version that it works with
        message = _("The database server is too old. %(said)s") % {"said": error}
        hint = _("Use MariaDB 10.5 or MySQL 8.0.11 or later, or leave DATABASE_URL away for SQLite.")
        return Error(message, hint=hint, id="hearth.E005")
    number = error.args[0] if error.args else None
    name, user = settings.get("NAME") or "hearth", settings.get("USER") or "hearth"
    create = f"CREATE DATABASE `{name}` CHARACTER SET {CHARSET} COLLATE {COLLATION};"
    if number == _UNKNOWN_DATABASE:
        return Error(_("There is no database %(name)s.") % {"name": name}, hint=create, id="hearth.E006")
    if number in _DENIED:
        message = _("The database server does not let %(user)s in: %(error)s") % {
            "user": user,
            "error": error.args[-1],
        }
        hint = (
            f"{create} CREATE USER '{user}'@'%' IDENTIFIED BY '…'; GRANT ALL ON `{name}`.* TO '{user}'@'%';"
        )
        return Error(message, hint=hint, id="hearth.E007")
    message = _("The database server cannot be reached: %(error)s") % {"error": error}
    hint = _("Is it started, and are host and port of DATABASE_URL right?")
    return Error(message, hint=hint, id="hearth.E008")
