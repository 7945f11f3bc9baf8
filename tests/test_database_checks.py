"""`manage.py check --database default` on databases made in the MariaDB on loopback."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.checks import CheckMessage
from django.db.utils import ConnectionHandler, NotSupportedError

from config import checks
from config.checks import Facts, problems
from config.settings.parts import storage

MySQLdb = pytest.importorskip("MySQLdb")
ROOT = Path(__file__).resolve().parents[1]
LOOPBACK = "mysql://root@127.0.0.1:3306"


def server(statement: str) -> None:
    connection = MySQLdb.connect(host="127.0.0.1", user="root")
    try:
        connection.cursor().execute(statement)
    finally:
        connection.close()


@contextmanager
def database(options: str) -> Iterator[str]:
    name = f"hearth_check_{os.getpid()}"
    server(f"DROP DATABASE IF EXISTS {name}")
    server(f"CREATE DATABASE {name} {options}")
    try:
        yield name
    finally:
        server(f"DROP DATABASE IF EXISTS {name}")


def manage(url: str, data: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"DATABASE_URL": url, "HEARTH_DATA": str(data)}
    env["DJANGO_SETTINGS_MODULE"] = "config.settings.prod"
    command = [sys.executable, "manage.py", *words]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)


@pytest.fixture
def found(django_db_blocker: Any) -> Iterator[Any]:
    """What is found at a DATABASE_URL, over a connection as the settings make it."""

    def look(url: str) -> list[CheckMessage]:
        with django_db_blocker.unblock():
            connection = ConnectionHandler({"default": storage.database(url)})["default"]
            try:
                return checks.check(connection)
            finally:
                connection.close()

    yield look


def ids(messages: list[CheckMessage]) -> set[str]:
    return {str(one.id) for one in messages}


def test_the_readme_s_database_has_no_errors(found: Any) -> None:
    with database("CHARACTER SET utf8mb4 COLLATE utf8mb4_bin") as name:
        assert ids(found(f"{LOOPBACK}/{name}")) <= {"hearth.W004"}  # the server may lack its time zones


def test_latin1_stops_migrate_with_the_line_that_mends_it_before_a_table_is_made(
    tmp_path: Path, found: Any
) -> None:
    with database("CHARACTER SET latin1") as name:
        url, line = (
            f"{LOOPBACK}/{name}",
            f"ALTER DATABASE `{name}` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;",
        )
        done = manage(url, tmp_path, "migrate", "--noinput")
        assert done.returncode != 0
        assert "hearth.E001" in done.stderr and "latin1" in done.stderr and line in done.stderr
        server(line)  # as it says
        assert ids(found(url)) <= {"hearth.W004"}  # and no table has stayed behind in latin1


def test_tables_that_stayed_in_latin1_are_named(found: Any) -> None:
    with database("CHARACTER SET latin1") as name:
        server(f"CREATE TABLE {name}.old_notes (text varchar(10))")
        server(f"ALTER DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
        (told,) = [one for one in found(f"{LOOPBACK}/{name}") if one.id == "hearth.E003"]
        assert "old_notes" in told.msg
        server(f"USE {name}; {told.hint}".partition("; ")[2].replace("`old_notes`", f"{name}.old_notes"))
        assert ids(found(f"{LOOPBACK}/{name}")) <= {"hearth.W004"}


def test_a_folding_collation_is_warned_of(found: Any) -> None:
    with database("CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci") as name:
        (told,) = [one for one in found(f"{LOOPBACK}/{name}") if one.id == "hearth.W002"]
        assert "utf8mb4_general_ci" in told.msg and not told.is_serious()


@pytest.mark.parametrize(
    ("url", "code", "hint"),
    [
        (f"{LOOPBACK}/hearth_not_made", "hearth.E006", "CREATE DATABASE `hearth_not_made`"),
        ("mysql://nobody:wrong@127.0.0.1:3306/hearth", "hearth.E007", "GRANT ALL ON `hearth`"),
        ("mysql://root@127.0.0.1:1/hearth", "hearth.E008", "DATABASE_URL"),
    ],
)
def test_why_there_is_no_connection_is_told_in_words(found: Any, url: str, code: str, hint: str) -> None:
    (told,) = found(url)
    assert told.id == code and hint in str(told.hint)


def test_a_command_ends_in_words_and_not_in_a_traceback(tmp_path: Path) -> None:
    done = manage(f"{LOOPBACK}/hearth_not_made", tmp_path, "check", "--database", "default")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "CREATE DATABASE `hearth_not_made`" in done.stderr


def test_time_zone_tables() -> None:
    """The server answers by what was loaded into it; so both answers are given here."""
    assert problems(Facts("hearth", "utf8mb4", "utf8mb4_bin", (), True)) == []
    (told,) = problems(Facts("hearth", "utf8mb4", "utf8mb4_bin", (), False))
    assert told.id == "hearth.W004" and "tzinfo_to_sql" in str(told.hint)


def test_everything_wrong_is_told_at_once() -> None:
    found = problems(Facts("hearth", "latin1", "latin1_swedish_ci", ("a", "b"), False))
    assert ids(found) == {"hearth.E001", "hearth.E003", "hearth.W004"}


def test_an_old_server_is_named_with_what_is_needed() -> None:
    """No old server is at hand: Django's refusal is what a connection to one raises."""

    def refuse() -> None:
        raise NotSupportedError("MariaDB 10.5 or later is required (found 10.3.39).")

    (told,) = checks.check(SimpleNamespace(cursor=refuse, settings_dict={}))  # type: ignore[arg-type]
    assert told.id == "hearth.E005" and "found 10.3.39" in told.msg and "MariaDB 10.5" in str(told.hint)
