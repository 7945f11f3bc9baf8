"""What `start.py doctor` cannot know without Django, as one line of JSON."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import aclosing
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import ERROR
from django.core.management.base import BaseCommand, CommandParser
from django.db import DatabaseError, connections
from django.utils.translation import gettext as _
from django.utils.translation import override

from config.checks import check
from inference.client import InferenceClient
from inference.errors import InferenceError
from inference.protocol import ModelSpec
from models_registry.models import Model
from models_registry.services import model_spec

#: The longest that one short answer may take, the load of the model included (seconds), and its length.
LONGEST_ANSWER, TOKENS = 170.0, 32
#: Shorter than this and the answer came in one piece (seconds).
AT_ONCE = 0.02


class Command(BaseCommand):
    help = "What start.py doctor asks: what is wrong with the database, how fast the default model answers."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("about", choices=["database", "answer"])
        parser.add_argument("--language", choices=[code for code, name in settings.LANGUAGES], default="en")

    def handle(self, *args: Any, **options: Any) -> None:
        with override(options["language"]):
            found: Any = problems() if options["about"] == "database" else answer()
        self.stdout.write(json.dumps(found))


def problems() -> list[tuple[str, str, bool]]:
    """(what, hint, is it an error and no warning) of each, the errors first."""
    connection = connections["default"]
    if connection.vendor == "mysql":
        found = sorted(check(connection), key=lambda one: -one.level)
        return [(one.msg, one.hint or "", one.level >= ERROR) for one in found]
    if unmade():
        return []
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM django_migrations")
    except DatabaseError as error:
        return [(str(error), "", True)]
    return []


def unmade() -> bool:
    """Is the database a file that no start has made yet? To look into it would make an empty one."""
    connection = connections["default"]
    return connection.vendor == "sqlite" and not Path(connection.settings_dict["NAME"]).exists()


def answer() -> dict[str, Any] | None:
    """`name` of the default model; `speed` (tokens/s), or `why` not and whether the model service is `away`;
    `folder` where it can be measured without that. None: there is no default."""
    if unmade():
        return None
    try:
        model = Model.objects.filter(is_default=True).first()
        spec = model_spec(model) if model else None
    except DatabaseError:  # no tables yet
        return None
    except InferenceError as error:
        return {"name": model.name if model else "", "why": error.message}
    if spec is None:
        return None
    found: dict[str, Any] = {"name": spec.name}
    try:
        found["speed"] = asyncio.run(asyncio.wait_for(speed(spec), LONGEST_ANSWER))
    except (InferenceError, TimeoutError) as error:
        found["why"] = error.message if isinstance(error, InferenceError) else _("It took too long.")
        found["away"] = isinstance(error, InferenceError) and error.code == "unavailable"
        if found["away"] and spec.source.get("kind") == "folder":
            found |= {"folder": spec.source["path"], "dtype": spec.settings.get("dtype", "auto")}
    return found


async def speed(spec: ModelSpec) -> float:
    """Tokens per second of one short answer from its first word on; neither loading nor the prompt counts.
    Raises InferenceError."""
    client = InferenceClient(settings.HEARTH_INFERENCE, settings.HEARTH_INFERENCE_SECRET or None)
    messages = [{"role": "user", "content": "Count from one to fifty, in words."}]
    params = {"max_tokens": TOKENS, "temperature": 0.0}
    began, first, tokens = time.monotonic(), 0.0, 0
    try:
        await client.state()  # not there: said at once
        async with aclosing(client.stream(messages, model=spec, params=params)) as events:
            async for event in events:
                if event["kind"] in ("text", "reasoning"):
                    first = first or time.monotonic()
                elif event["kind"] == "usage":
                    tokens = event["completion_tokens"]
                elif event["kind"] == "failed":
                    raise InferenceError.from_event(event)
    finally:
        await client.close()
    # An endpoint may send all of it at once: then the whole time is what is known.
    last = time.monotonic()
    return (tokens - 1) / (last - first) if first and last - first > AT_ONCE else tokens / (last - began)
