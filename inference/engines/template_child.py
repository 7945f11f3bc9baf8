"""The process that renders chat templates: run as a script, it imports nothing but jinja2.

One JSON line in, {"template", "variables"}; one out, {"text"} or {"error"}. A template that takes too long
ends the process by an alarm, also inside one call of C (not on Windows, which has none); one that takes too
much memory gets a MemoryError.
"""

from __future__ import annotations

import json
import signal
import sys
from datetime import datetime
from functools import lru_cache
from typing import Any

from jinja2 import Template, TemplateError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

SECONDS = 2.0
CHARACTERS = 4_000_000
_MEMORY = 512 << 20


class _Generation(Extension):
    """`{% generation %}` marks what a model is trained on; for a prompt it is just its body."""

    tags = {"generation"}

    def parse(self, parser: Parser) -> nodes.Node | list[nodes.Node]:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body, lineno=line)


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: Any = None,
    separators: Any = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def _raise_exception(message: str) -> None:
    raise TemplateError(message)


def _now(form: str) -> str:
    return datetime.now().strftime(form)


@lru_cache(maxsize=8)
def _compiled(template: str) -> Template:
    """As the library compiles chat templates: same options, tags, filters and functions."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
    )
    environment.filters["tojson"] = _tojson
    environment.globals.update(raise_exception=_raise_exception, strftime_now=_now)
    return environment.from_string(template)


def answer(line: str) -> dict[str, str]:
    try:
        asked = json.loads(line)
        parts, room = [], CHARACTERS
        for part in _compiled(asked["template"]).generate(**asked["variables"]):
            parts.append(part)
            if (room := room - len(part)) < 0:
                return {"error": f"it makes more than {CHARACTERS:,} characters"}
        return {"text": "".join(parts)}
    except MemoryError:
        return {"error": "it takes too much memory"}
    except RecursionError:
        return {"error": "it calls itself without end"}
    except Exception as error:  # a template raises what it likes
        return {"error": f"{type(error).__name__}: {error}"[:500]}


def main() -> None:
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ImportError, ValueError, OSError):  # no such limits here, or tighter ones are set
        pass
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    alarm = getattr(signal, "setitimer", None)
    for line in sys.stdin:
        if alarm:
            alarm(signal.ITIMER_REAL, SECONDS)
        result = json.dumps(answer(line))
        if alarm:
            alarm(signal.ITIMER_REAL, 0)
        sys.stdout.write(result + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
