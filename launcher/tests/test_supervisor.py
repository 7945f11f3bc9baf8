"""Deaths: of a role, of one that dies again and again, and of start.py itself."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from launcher import supervisor
from launcher.place import ROLES, Place
from launcher.tests.conftest import House, gone, until


def roles(house: House) -> dict[str, int]:
    return {name: pid for name, pid in house.pids().items() if name in ROLES}


def came_back(house: House, role: str, old: int) -> dict[str, int] | None:
    found = roles(house)
    return found if found.get(role, old) != old else None


@pytest.mark.windows
@pytest.mark.parametrize("role", ["web", "inference", "worker"])
def test_a_killed_role_comes_back_and_the_others_stay(house: House, role: str) -> None:
    process = house.start()
    before = roles(house)
    killed = time.monotonic()
    os.kill(before[role], signal.SIGKILL)
    assert "signal 9" in house.line(process, f"{role} ended")
    after = until(lambda: came_back(house, role, before[role]))
    assert time.monotonic() - killed < 2
    assert {name for name in before if before[name] != after.get(name)} == {role}
    assert gone(before[role])


@pytest.mark.windows
def test_nothing_outlives_a_killed_start_and_the_next_start_works(house: House) -> None:
    process = house.start()
    pids = house.pids()
    process.kill()
    process.wait()
    until(lambda: all(gone(pid) for pid in pids.values()))
    assert house.status()["url"] is None
    house.start()
    assert house.status()["ready"] is True


class Dying(supervisor.Child):
    """A role whose program ends at once."""

    def start(self) -> None:
        super().start()
        assert self.process is not None
        self.process.wait()


def test_a_role_that_keeps_dying_is_started_ever_more_rarely(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = Place(data=tmp_path, python=Path("/bin/false"), root=tmp_path)
    place.make()
    child = Dying(place, "worker")
    pauses, now = [], time.monotonic()
    for _ in range(8):
        assert child.look(now)
        assert child.process is not None
        now = time.monotonic()
        assert child.look(now)
        pauses.append(round(child.due - now, 1))
        assert not child.look(now)
        now = child.due
    assert pauses == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]
    said = capsys.readouterr().out
    assert "worker ended (exit status 1)" in said


def test_a_role_that_ran_steadily_comes_back_at_once(tmp_path: Path) -> None:
    place = Place(data=tmp_path, python=Path("/bin/false"), root=tmp_path)
    place.make()
    child = Dying(place, "worker")
    child.delay = supervisor.LONGEST_DELAY
    child.look(time.monotonic())
    later = child.started_at + supervisor.STEADY_AFTER
    child.look(later)
    assert child.due - later == pytest.approx(supervisor.FIRST_DELAY)


def test_the_lock_is_one_per_data_folder(tmp_path: Path) -> None:
    first, second = (Place(data=tmp_path / name, python=Path("/bin/false")) for name in "ab")
    first.make()
    second.make()
    held = supervisor.hold(first)
    assert held is not None
    assert supervisor.hold(first) is None
    other = supervisor.hold(second)
    assert other is not None
    other.close()
    held.close()
    again = supervisor.hold(first)
    assert again is not None
    again.close()


def test_a_long_log_is_cut_and_its_past_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "LONGEST_LOG", 10)
    place = Place(data=tmp_path, python=Path("/bin/false"))
    place.make()
    child = supervisor.Child(place, "web")
    child.log.write_text("a long line")
    child.trim_log()
    assert child.log.read_text() == ""
    assert (place.logs / "web.log.1").read_text() == "a long line"
    child.trim_log()
    assert (place.logs / "web.log.1").read_text() == "a long line"
