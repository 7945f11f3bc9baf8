"""The Dockerfile read as an engine would: stages, instructions, and which files an image gets."""

from __future__ import annotations

import fnmatch
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Instruction:
    name: str
    text: str

    @property
    def words(self) -> list[str]:
        return [word for word in shlex.split(self.text) if not word.startswith("--")]

    def flag(self, name: str) -> str | None:
        found = re.search(rf"--{name}=(\S+)", self.text)
        return found[1] if found else None


@dataclass
class Stage:
    name: str
    base: str
    instructions: list[Instruction] = field(default_factory=list)

    def all(self, name: str) -> list[Instruction]:
        return [one for one in self.instructions if one.name == name]


def read(path: Path = ROOT / "Dockerfile") -> dict[str, Stage]:
    """The stages by name, in order. What stands before the first FROM is left out."""
    text = re.sub(r"^\s*#.*\n", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    stages: dict[str, Stage] = {}
    stage: Stage | None = None
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        name, _, rest = line.strip().partition(" ")
        if name == "FROM":
            base, _, title = rest.partition(" AS ")
            stage = stages[title] = Stage(title, base)
        elif name and stage is not None:
            stage.instructions.append(Instruction(name, rest.strip()))
    return stages


def lineage(stages: dict[str, Stage], name: str) -> list[Instruction]:
    """Everything that is done for this image, from its outermost base on."""
    stage = stages[name]
    before = lineage(stages, stage.base) if stage.base in stages else []
    return [*before, *stage.instructions]


def last(stages: dict[str, Stage], name: str, instruction: str) -> Instruction | None:
    found = [one for one in lineage(stages, name) if one.name == instruction]
    return found[-1] if found else None


def tracked() -> set[str]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split("\0")) - {""}


def context(files: set[str], path: Path = ROOT / ".dockerignore") -> set[str]:
    """The files that reach the engine: the last line of .dockerignore that fits a file decides."""
    rules = [line for line in path.read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]

    def sent(file: str) -> bool:
        parents = [file, *(str(parent) for parent in Path(file).parents if str(parent) != ".")]
        kept = True
        for rule in rules:
            pattern = rule.removeprefix("!").strip("/")
            if any(_fits(name, pattern) for name in parents):
                kept = rule.startswith("!")
        return kept

    return {file for file in files if sent(file)}


def _fits(name: str, pattern: str) -> bool:
    parts, wanted = name.split("/"), pattern.split("/")
    if wanted[0] == "**":
        return len(parts) >= len(wanted) - 1 and _same(parts[-len(wanted) + 1 :], wanted[1:])
    return len(parts) == len(wanted) and _same(parts, wanted)


def _same(parts: list[str], wanted: list[str]) -> bool:
    return all(fnmatch.fnmatchcase(part, want) for part, want in zip(parts, wanted, strict=True))


def files_of(source: str, files: set[str]) -> set[str]:
    """The files that `COPY source` takes: one, or all below a folder."""
    return {file for file in files if file == source or file.startswith(source.rstrip("/") + "/")}


def lay(stages: dict[str, Stage], name: str, folder: Path, sent: set[str]) -> None:
    """Into `folder` what the image has in its working folder, of the tree itself (not from other stages)."""
    for copy in lineage(stages, name):
        if copy.name != "COPY" or copy.flag("from"):
            continue
        *sources, target = copy.words
        for source in sources:
            for file in files_of(source, sent):
                below = file.removeprefix(source).strip("/") if file != source else Path(file).name
                many = target.endswith("/") or target in (".", "./")
                to = folder / target / below if file != source or many else folder / target
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / file, to)
