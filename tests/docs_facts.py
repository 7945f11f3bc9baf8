"""What the code says, read from its syntax trees, for the pages that must say the same."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WEB = ("config", "accounts", "models_registry", "conversations", "monitoring")
PYTHON = (*WEB, "inference", "launcher", "system", "tests")
_VARIABLE = re.compile(r"HEARTH_[A-Z_]+|DATABASE_URL|REDIS_URL|SERVER|DJANGO_SETTINGS_MODULE")
_READERS = {"get", "getenv", "str", "int", "list", "setdefault"}


def trees(*packages: str, tests: bool = False) -> Iterator[tuple[Path, ast.AST]]:
    for package in packages:
        for path in sorted((ROOT / package).rglob("*.py")):
            if tests or "tests" not in path.relative_to(ROOT).parts:
                yield path, ast.parse(path.read_text(encoding="utf-8"))


def variables() -> set[str]:
    """Names of environment variables that the code reads, the page's build included."""
    found = set()
    for _, tree in trees(*PYTHON, tests=True):
        for node in ast.walk(tree):
            name: ast.expr | None = None
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
                name = node.args[0] if node.func.attr in _READERS else None
            elif isinstance(node, ast.Subscript):
                name = node.slice
            if (
                isinstance(name, ast.Constant)
                and isinstance(name.value, str)
                and _VARIABLE.fullmatch(name.value)
            ):
                found.add(name.value)
    config = (ROOT / "frontend" / "vite.config.ts").read_text(encoding="utf-8")
    return found | set(re.findall(r"process\.env\.(\w+)", config))


def of_compose() -> set[str]:
    """Names that docker-compose.yml puts in from `.env`."""
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    return set(re.findall(r"\$\{(HEARTH_[A-Z_]+)", text))


def error_codes(kind: str, *packages: str) -> set[str]:
    """The literal codes of every `kind("code", ...)` and of the subclasses that fix theirs."""
    found = set()
    for _, tree in trees(*packages):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and node.args and _name(node.func) in (kind, "LoginRefused"):
                if isinstance(node.args[0], ast.Constant):
                    found.add(str(node.args[0].value))
            elif isinstance(node, ast.ClassDef) and kind in map(_name, node.bases):
                found |= {str(n.args[0].value) for n in ast.walk(node) if _is_super_init(n)}  # type: ignore[attr-defined]
    return found


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")


def _is_super_init(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "__init__"
        and bool(node.args)
        and isinstance(node.args[0], ast.Constant)
    )
