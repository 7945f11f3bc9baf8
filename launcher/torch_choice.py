"""Which build of torch fits this machine. `choose` is pure: facts in, a package and its index out.

The builds, their cards and drivers are those of PyTorch's RELEASE.md ("Release Compatibility Matrix", "CUDA
Support Matrix") for 2.7 to 2.13 and of NVIDIA's "CUDA Compatibility" (12.x from 525, 13.x from 580,
11.x from 450); docs/decisions/0019-torch-choice.md tells why a build of an older torch may be taken.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field

from launcher.words import t

TORCH = "2.13.0"
WORDS = ("auto", "cpu", "cu130", "cu126", "cu128", "cu118", "none")
DOWNLOADS = "https://download.pytorch.org/whl"


@dataclass(frozen=True)
class Build:
    """`cards`: lowest and highest compute capability. `driver`: the least, on Linux and on Windows."""

    tag: str
    torch: str
    driver: tuple[int, int]
    cards: tuple[float, float]
    arm: bool
    # What PyPI itself carries for Linux: no second index is needed, any mirror of PyPI does.
    on_pypi: bool = False


# In the order of preference among those that fit.
BUILDS = (
    Build("cu130", TORCH, (580, 580), (7.5, 12.9), arm=True, on_pypi=True),
    Build("cu126", TORCH, (525, 528), (5.0, 9.9), arm=True),
    # The last torch for CUDA 12.8: cards newer than 9.0 behind a driver that is older than 580.
    Build("cu128", "2.11.0", (525, 528), (7.5, 12.9), arm=True),
    # The last torch for CUDA 11.
    Build("cu118", "2.7.1", (450, 452), (5.0, 9.9), arm=False),
)
# Linux on arm has kernels for server cards only.
ARM_FROM = 8.0


@dataclass(frozen=True)
class Machine:
    """`driver` as nvidia-smi says it, '' without one; `cards`: the compute capability of each, as 8.6."""

    system: str
    machine: str
    driver: str = ""
    cards: tuple[float, ...] = ()

    @property
    def arm(self) -> bool:
        return self.machine.lower() in ("aarch64", "arm64")


@dataclass(frozen=True)
class Choice:
    """`index` is the path below the torch index, as "cpu"; '' for where pip looks anyway. `why`: one line."""

    spec: str
    index: str
    build: str
    why: str = field(compare=False)

    @property
    def pinned(self) -> bool:
        """Is it the release that requirements/inference.txt names?"""
        return self.spec.split("==")[1].split("+")[0] == TORCH


def choose(machine: Machine, flag: str = "auto", *, own_source: bool = False) -> Choice:
    """`own_source`: pip's user said where packages are; no index is added for the CPU, unless `flag` asks."""
    if flag == "none":
        return plain(t("torch is left to pip"))
    if flag != "auto":
        return named(flag, machine)
    if machine.system == "Darwin":
        return plain(t("torch for macOS"))
    build, why = fitting(machine)
    if build is None:
        return plain(why) if own_source else cpu(machine, why)
    return of(build, machine, why)


def named(flag: str, machine: Machine) -> Choice:
    why = t("--torch {flag} was asked for", flag=flag)
    if flag == "cpu":
        return cpu(machine, why)
    return of(next(build for build in BUILDS if build.tag == flag), machine, why)


def plain(why: str) -> Choice:
    return Choice(f"torch=={TORCH}", "", "", why)


def cpu(machine: Machine, why: str) -> Choice:
    if machine.system == "Darwin":
        return plain(why)
    return Choice(f"torch=={TORCH}+cpu", "cpu", "cpu", why)


def of(build: Build, machine: Machine, why: str) -> Choice:
    if build.on_pypi and machine.system == "Linux":
        return Choice(f"torch=={build.torch}", "", build.tag, why)
    return Choice(f"torch=={build.torch}+{build.tag}", build.tag, build.tag, why)


def fitting(machine: Machine) -> tuple[Build | None, str]:
    """The build that runs on most of the cards, the newest card first where they tie; None: the processor."""
    if not machine.driver or not machine.cards:
        return None, t("on the CPU: nvidia-smi knows no NVIDIA card")
    if machine.system not in ("Linux", "Windows") or (machine.arm and machine.system != "Linux"):
        return None, t("on the CPU: there is no CUDA build for {what}", what=machine.system)
    driver = major(machine.driver)
    at = 0 if machine.system == "Linux" else 1
    ours = [build for build in BUILDS if build.arm or not machine.arm]
    ready = [build for build in ours if driver >= build.driver[at]]
    scored = [(score(build, machine), build) for build in ready]
    best = max((points for points, _ in scored), default=(0, 0.0))
    if best[0] == 0:
        return None, why_not(machine, [build for build in ours if build not in ready], at)
    build = next(build for points, build in scored if points == best)
    left = [card for card in machine.cards if not runs(build, card, machine)]
    said = t("driver {driver}, compute capability {cards}", driver=machine.driver, cards=shown(machine.cards))
    if left:
        said += "; " + t("cards of {cards} are not used: no one build has all", cards=shown(tuple(left)))
    return build, said


def score(build: Build, machine: Machine) -> tuple[int, float]:
    found = [card for card in machine.cards if runs(build, card, machine)]
    return len(found), max(found, default=0.0)


def runs(build: Build, card: float, machine: Machine) -> bool:
    lowest = max(build.cards[0], ARM_FROM) if machine.arm else build.cards[0]
    return lowest <= card <= build.cards[1]


def why_not(machine: Machine, later: list[Build], at: int) -> str:
    """The driver is too old for the cards, or no build has them."""
    wanted = [build.driver[at] for build in later if score(build, machine)[0]]
    if wanted:
        return t(
            "on the CPU: driver {driver} is too old for this card; install {wanted} or later",
            driver=machine.driver,
            wanted=min(wanted),
        )
    return t("on the CPU: no build of torch runs on compute capability {cards}", cards=shown(machine.cards))


def shown(cards: tuple[float, ...]) -> str:
    return ", ".join(str(card) for card in sorted(set(cards)))


def major(driver: str) -> int:
    word = driver.split(".")[0]
    return int(word) if word.isdecimal() else 0


def parse(output: str) -> tuple[str, tuple[float, ...]]:
    """Driver and cards from nvidia-smi's lines `driver_version, compute_cap`; other lines are skipped."""
    driver, cards = "", []
    for line in output.splitlines():
        words = [word.strip() for word in line.split(",")]
        if len(words) == 2 and major(words[0]):
            driver = words[0]
            try:
                cards.append(float(words[1]))
            except ValueError:
                # Drivers before 470 do not know the question; their cards are taken for Pascal.
                cards.append(6.0)
    return driver, tuple(cards)


def asked(query: str, form: str = "csv,noheader") -> str:
    command = ["nvidia-smi", f"--query-gpu={query}", f"--format={form}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def this_machine(system: str, machine: str) -> Machine:
    driver, cards = parse(asked("driver_version,compute_cap"))
    if not cards:
        # An old driver refuses the whole question because of one field.
        driver, cards = parse("\n".join(f"{line}, ?" for line in asked("driver_version").splitlines()))
    return Machine(system, machine, driver, cards)
