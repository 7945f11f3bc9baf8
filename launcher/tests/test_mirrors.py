"""Where packages come from: what the user has set wins, else what was asked for, else what answers faster."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from launcher import mirrors
from launcher.mirrors import SOURCES, choose
from tests.patience import timed, within

USUAL = {source.usual + source.look for source in SOURCES}


def speeds(usual: float | None, china: float | None) -> object:
    return lambda url: usual if url in USUAL else china


@pytest.mark.parametrize(
    ("usual", "china", "mirror"),
    [
        (0.2, 0.1, False),
        (None, 0.4, True),
        (0.3, None, False),
        (None, None, False),
        (2.5, 0.2, True),
        # Slow, but so is everything: the mirror has no merit.
        (2.5, 1.5, False),
        (0.9, 0.05, False),
    ],
)
def test_the_measured_choice(usual: float | None, china: float | None, mirror: bool) -> None:
    found = choose("auto", {}, speeds(usual, china))  # type: ignore[arg-type]
    silent = usual is None and china is None
    assert (len(found.variables) == len(SOURCES)) == mirror
    assert (
        found.variables == {"HEARTH_TORCH_INDEX": mirrors.SILENT}
        if silent
        else bool(found.variables) == mirror
    )
    assert all("does not answer" in line for line in found.lines()) == silent


def test_what_is_asked_for_needs_no_network() -> None:
    def never(url: str) -> float:
        raise AssertionError(url)

    china = choose("cn", {}, never).variables
    assert china["PIP_INDEX_URL"].startswith("https://pypi.tuna") and len(china) == len(SOURCES)
    assert choose("none", {}, never).variables == {}
    assert choose("auto", {}, never, measure=False).variables == {}


def test_the_users_own_wins_over_everything() -> None:
    own = {"PIP_INDEX_URL": "https://pypi.corp/simple", "HEARTH_HF_ENDPOINT": "https://hf.corp"}
    found = choose("cn", own)
    assert set(found.variables) == {"npm_config_registry", "HEARTH_TORCH_INDEX"}
    assert "pip: https://pypi.corp/simple (yours)" in found.lines()


@timed
def test_measuring_ends_in_time_though_nothing_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirrors, "WITHIN", 0.05)
    hangs = threading.Event()
    began = time.monotonic()
    found = mirrors.measured(["https://a", "https://b"], lambda url: hangs.wait() and None)
    assert found == {"https://a": None, "https://b": None}
    within(2, time.monotonic() - began)
    hangs.set()


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    ("environ", "files", "expected"),
    [
        ({}, {}, {}),
        ({"PIP_INDEX_URL": "https://a/simple"}, {}, {"PIP_INDEX_URL": "https://a/simple"}),
        (
            {},
            {".config/pip/pip.conf": "[global]\nindex-url = https://b/simple\n"},
            {"PIP_INDEX_URL": "https://b/simple"},
        ),
        ({}, {".pip/pip.conf": "[install]\nno-index = true\n"}, {"PIP_INDEX_URL": "no-index"}),
        ({}, {".config/pip/pip.conf": "no section\n"}, {}),
        ({}, {".config/pip/pip.conf": "[global]\nfind-links = /opt/wheels\n"}, {}),
        ({}, {".npmrc": "audit=false\nregistry=https://c/\n"}, {"npm_config_registry": "https://c/"}),
        ({"NPM_CONFIG_REGISTRY": "https://d/"}, {}, {"npm_config_registry": "https://d/"}),
        ({"HF_ENDPOINT": "https://e"}, {}, {"HEARTH_HF_ENDPOINT": "https://e"}),
        ({"HEARTH_TORCH_INDEX": "https://f"}, {}, {"HEARTH_TORCH_INDEX": "https://f"}),
    ],
)
def test_what_the_user_has_set_is_found(
    environ: dict[str, str], files: dict[str, str], expected: dict[str, str], tmp_path: Path
) -> None:
    for name, text in files.items():
        write(tmp_path / name, text)
    environ = {"XDG_CONFIG_DIRS": str(tmp_path / "none"), **environ}
    own = mirrors.users_own(environ, tmp_path, tmp_path / "venv", tmp_path / "frontend")
    if not Path("/etc/pip.conf").exists():
        assert own == expected


def test_pip_that_was_told_of_wheels_is_known_to_have_a_source_of_its_own(tmp_path: Path) -> None:
    write(tmp_path / ".config/pip/pip.conf", "[global]\nfind_links = /opt/wheels\n")
    found = mirrors.pip_settings({"XDG_CONFIG_DIRS": ""}, tmp_path, tmp_path)
    assert found["find-links"] == "/opt/wheels"
    assert mirrors.pip_settings({"PIP_CONFIG_FILE": os.devnull}, tmp_path, tmp_path) == {}


def test_a_measured_choice_is_forgotten_after_a_week_and_an_asked_for_one_is_not(tmp_path: Path) -> None:
    file = tmp_path / "mirror.json"
    assert mirrors.remembered(file, 0) is None
    china = choose("cn", {})
    mirrors.remember(file, china, "cn", 100)
    assert mirrors.remembered(file, 100 + 10 * mirrors.KEPT) == china.variables
    mirrors.remember(file, china, "auto", 100)
    assert mirrors.remembered(file, 100 + mirrors.KEPT / 2) == china.variables
    assert mirrors.remembered(file, 101 + mirrors.KEPT) is None
    file.write_text('{"at": 0, "asked": true, "variables": {"PATH": "/evil"}}')
    assert mirrors.remembered(file, 1) == {}
    file.write_text("[]")
    assert mirrors.remembered(file, 1) is None
