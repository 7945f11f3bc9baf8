"""An archive with the built page needs no Node.js, and the same files give the same archive."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from launcher import node, page, release, steps
from launcher.place import LauncherError, Place


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "checkout"
    for name, text in {
        "start.py": "print()",
        "pyproject.toml": '[project]\nversion = "1.2"\n',
        "frontend/package.json": "{}",
        "frontend/src/main.tsx": "x",
        "frontend/dist/index.html": "<html>",
        "frontend/dist/assets/main.js": "x",
        "secret.txt": "not tracked",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    for words in (
        ["init", "-q"],
        ["add", "start.py", "pyproject.toml", "frontend/package.json", "frontend/src"],
    ):
        subprocess.run(["git", *words], cwd=root, check=True)
    monkeypatch.setattr(release, "ROOT", root)
    for name, value in {"ROOT": root, "FRONTEND": root / "frontend", "CACHE": root / ".cache"}.items():
        monkeypatch.setattr(page, name, value)
    return root


def test_a_release_carries_the_page_and_nothing_that_is_not_tracked(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(data=tmp_path / "data", python=Path(sys.executable))
    # Built already, of these sources.
    steps.put(checkout / ".cache" / "stamps" / "page", page.page_digest())
    first, second = tmp_path / "a.tar.gz", tmp_path / "b.tar.gz"
    assert release.make(place, first) == 0
    release.make(place, second)
    with tarfile.open(first) as archive, tarfile.open(second) as again:
        names = archive.getnames()
        assert [m.get_info() for m in archive if m.name[-4:] != "page"] == [
            m.get_info() for m in again if m.name[-4:] != "page"
        ]
        archive.extractall(tmp_path / "out", filter="data")
    assert "hearth-1.2/start.py" in names and "hearth-1.2/frontend/dist/assets/main.js" in names
    assert not any("secret" in name or ".git/" in name for name in names)

    # Unpacked elsewhere, the page counts as built: no Node.js is looked for.
    monkeypatch.setattr(page, "FRONTEND", tmp_path / "out" / "hearth-1.2" / "frontend")
    monkeypatch.setattr(page, "CACHE", tmp_path / "empty")
    carried = (tmp_path / "out" / "hearth-1.2" / "frontend" / "dist" / page.CARRIED).read_text()
    monkeypatch.setattr(page, "page_digest", lambda: carried)
    monkeypatch.setattr(node, "ready", lambda *words: pytest.fail("Node.js was looked for"))
    page.page(place)


def test_without_git_the_reason_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release, "ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(LauncherError, match="git checkout"):
        release.tracked()
