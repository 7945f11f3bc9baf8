"""Twenty machines: which torch, and from where."""

from __future__ import annotations

from pathlib import Path

import pytest

from launcher import torch_choice
from launcher.place import ROOT
from launcher.torch_choice import TORCH, Machine, choose

LINUX, WINDOWS, MAC = ("Linux", "x86_64"), ("Windows", "AMD64"), ("Darwin", "arm64")
ARM = ("Linux", "aarch64")
CU126, CPU, PYPI = f"torch=={TORCH}+cu126", f"torch=={TORCH}+cpu", f"torch=={TORCH}"

# (system, machine), driver, cards, flag → package, index, a word of the reason
TABLE = [
    ("a laptop without a card", LINUX, "", (), "auto", CPU, "cpu", "no NVIDIA card"),
    ("a Mac", MAC, "", (), "auto", PYPI, "", "macOS"),
    ("Windows without a card", WINDOWS, "", (), "auto", CPU, "cpu", "no NVIDIA card"),
    ("an arm server without a card", ARM, "", (), "auto", CPU, "cpu", "no NVIDIA card"),
    ("RTX 4090, driver of today", LINUX, "580.95.05", (8.9,), "auto", PYPI, "", "8.9"),
    ("RTX 4090, driver of 2024", LINUX, "550.54.15", (8.9,), "auto", CU126, "cu126", "550.54.15"),
    ("A100s, driver 525", LINUX, "525.60.13", (8.0, 8.0), "auto", CU126, "cu126", "8.0"),
    ("GTX 1080, newest driver for it", LINUX, "580.82.07", (6.1,), "auto", CU126, "cu126", "6.1"),
    ("V100s, driver 535", LINUX, "535.183.01", (7.0,) * 4, "auto", CU126, "cu126", "7.0"),
    ("V100, CUDA 11 driver", LINUX, "470.82.01", (7.0,), "auto", "torch==2.7.1+cu118", "cu118", "470"),
    ("Maxwell, driver 450", LINUX, "450.80.02", (5.2,), "auto", "torch==2.7.1+cu118", "cu118", "5.2"),
    ("K80", LINUX, "470.256.02", (3.7, 3.7), "auto", CPU, "cpu", "3.7"),
    ("driver 418", LINUX, "418.87", (7.5,), "auto", CPU, "cpu", "install 450 or later"),
    ("RTX 5090, driver 570", LINUX, "570.86.10", (12.0,), "auto", "torch==2.11.0+cu128", "cu128", "12.0"),
    ("RTX 5090, driver 580", LINUX, "580.65.06", (12.0,), "auto", PYPI, "", "12.0"),
    ("a 1080 beside a 5090", LINUX, "580.65.06", (6.1, 12.0), "auto", PYPI, "", "6.1 are not used"),
    ("RTX 3060 on Windows", WINDOWS, "581.15", (8.6,), "auto", f"{PYPI}+cu130", "cu130", "8.6"),
    ("RTX 2060 on Windows, 2023", WINDOWS, "531.41", (7.5,), "auto", CU126, "cu126", "531.41"),
    ("Grace Hopper", ARM, "580.65.06", (9.0,), "auto", PYPI, "", "9.0"),
    ("Jetson-like on arm", ARM, "580.65.06", (7.2,), "auto", CPU, "cpu", "7.2"),
    ("the processor, asked for", LINUX, "580.65.06", (8.9,), "cpu", CPU, "cpu", "--torch cpu"),
    ("CUDA 12.6, asked for", LINUX, "", (), "cu126", CU126, "cu126", "--torch cu126"),
    ("left to pip", LINUX, "580.65.06", (8.9,), "none", PYPI, "", "left to pip"),
    ("Arm Windows with a card", ("Windows", "ARM64"), "581.15", (8.9,), "auto", CPU, "cpu", "Windows"),
]


@pytest.mark.parametrize(
    ("what", "kind", "driver", "cards", "flag", "spec", "index", "why"), TABLE, ids=[row[0] for row in TABLE]
)
def test_which_torch(
    what: str,
    kind: tuple[str, str],
    driver: str,
    cards: tuple[float, ...],
    flag: str,
    spec: str,
    index: str,
    why: str,
) -> None:
    choice = choose(Machine(*kind, driver, cards), flag)
    assert (choice.spec, choice.index) == (spec, index)
    assert why in choice.why


def test_a_user_who_told_pip_where_packages_are_is_not_overruled() -> None:
    here = Machine(*LINUX)
    assert choose(here, own_source=True).index == ""
    assert choose(here, "cpu", own_source=True).index == "cpu"
    card = Machine(*LINUX, "550.54", (8.6,))
    assert choose(card, own_source=True).index == "cu126"


def test_the_release_is_the_one_that_the_requirements_name() -> None:
    lines = Path(ROOT / "requirements" / "inference.txt").read_text().splitlines()
    assert f"torch=={TORCH}" in lines
    assert choose(Machine(*LINUX)).pinned
    assert not choose(Machine(*LINUX, "470.1", (7.0,))).pinned


@pytest.mark.parametrize(
    ("output", "found"),
    [
        ("550.54.15, 8.9\n550.54.15, 6.1\n", ("550.54.15", (8.9, 6.1))),
        ("450.80.02, ?\n", ("450.80.02", (6.0,))),
        ("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n", ("", ())),
        ("No devices were found\n", ("", ())),
        ("", ("", ())),
    ],
)
def test_what_nvidia_smi_says(output: str, found: tuple[str, tuple[float, ...]]) -> None:
    assert torch_choice.parse(output) == found


def test_an_old_driver_that_does_not_know_the_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    smi = tmp_path / "nvidia-smi"
    smi.write_text(
        "#!/bin/sh\ncase $1 in *compute_cap*) echo 'Field \"compute_cap\" is not a valid field'; exit 2;;\n"
        "*) echo 460.32.03;; esac\n"
    )
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert torch_choice.this_machine("Linux", "x86_64") == Machine("Linux", "x86_64", "460.32.03", (6.0,))
