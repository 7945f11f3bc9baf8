"""The commands, as a user gives them."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, cast

import pytest

from launcher.tests.conftest import House, gone, until
from system import ways


def test_start_makes_everything_says_the_address_and_ctrl_c_ends_it_all(house: House) -> None:
    process = house.start(ready=False)
    assert f"http://127.0.0.1:{house.port}" in house.line(process, "Hearth is ready")

    found = house.status()
    assert found["ready"] is True
    assert found["url"] == f"http://127.0.0.1:{house.port}"
    assert [p["name"] for p in found["processes"]] == ["web", "inference", "worker", "model:echo"]
    assert all(p["rss_bytes"] > 2**20 for p in found["processes"])
    first = ["collectstatic --noinput --clear", "migrate --noinput", "register_default_model"]
    assert house.calls()[:3] == first
    assert (house.data / "models" / "SmolLM2-135M-Instruct" / "config.json").exists()
    assert stat.S_IMODE(house.data.stat().st_mode) == 0o700

    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 0
    assert all(gone(p["pid"]) for p in found["processes"])
    assert house.status() == {"url": None, "ready": False, "processes": []}
    assert house.call("status").returncode == 1


def test_a_second_start_says_that_it_runs(house: House) -> None:
    house.start()
    again = house.call("start", "--no-browser")
    assert again.returncode == 0
    assert "running already" in again.stdout and str(house.port) in again.stdout


def test_a_later_start_runs_no_step_again(house: House) -> None:
    house.start().send_signal(signal.SIGTERM)
    house.started[0].wait(timeout=60)
    before = house.calls()
    second = house.start()
    house.line(second, "Said found_models")
    assert [call for call in house.calls()[len(before) :] if not call.startswith("found_models")] == []


def test_what_the_caches_hold_is_told_after_the_start(house: House) -> None:
    process = house.start()
    assert "Said found_models --url http://127.0.0.1:" in house.line(process, "Said found_models")
    assert house.calls()[-1].endswith("--language en")


def test_a_folder_of_models_is_looked_through_at_each_start(house: House, tmp_path: Path) -> None:
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    for _ in range(2):
        process = house.start("--models", str(shelf), "--lang", "zh", ready=False)
        house.line(process, f"  {shelf} 中的模型")
        assert f"Said register_models {shelf}" in house.line(process, "Said register_models")
        house.line(process, "Said found_models")
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
    asked = [call for call in house.calls() if call.startswith("register_models")]
    assert asked == [f"register_models {shelf} --language zh-hans"] * 2


def test_a_folder_of_models_that_is_not_there_stops_the_start_before_anything_is_made(house: House) -> None:
    said = house.call("start", "--no-browser", "--models", str(house.root / "nowhere"))
    assert said.returncode == 1 and "There is no folder" in said.stderr
    assert not (house.root / "calls.log").exists()


def test_the_first_download_is_on_here_and_off_by_a_flag(house: House) -> None:
    def environment() -> str:
        worker = house.pids()["worker"]
        return Path(f"/proc/{worker}/environ").read_text()

    process = house.start(ready=False)
    house.line(process, "--no-first-download")
    house.line(process, "Hearth is ready")
    assert "HEARTH_FIRST_DOWNLOAD=1" in environment()
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=60)
    house.start("--no-first-download")
    assert "HEARTH_FIRST_DOWNLOAD=0" in environment()


def test_a_taken_port_is_named_with_its_owner(house: House) -> None:
    with socket.create_server(("127.0.0.1", house.port)):
        said = house.call("start", "--no-browser")
    assert said.returncode == 1
    assert f"Port {house.port} is taken by" in said.stderr
    assert f"(pid {os.getpid()})" in said.stderr
    assert f"--port {house.port + 1}" in said.stderr


def test_an_address_of_another_machine_is_refused_in_words(house: House) -> None:
    said = house.call("start", "--no-browser", "--host", "192.0.2.1")
    assert said.returncode == 1
    assert "Cannot listen on 192.0.2.1" in said.stderr and "Traceback" not in said.stderr


@pytest.mark.windows
def test_in_the_background_and_stopped_again(house: House) -> None:
    said = house.call("start", "--no-browser", "--background")
    assert said.returncode == 0, said.stderr
    assert f"Hearth is ready: http://127.0.0.1:{house.port}" in said.stdout
    pids = house.pids()
    assert house.call("stop").stdout.strip() == "Stopped."
    assert all(gone(pid) for pid in pids.values())
    assert house.call("stop").stdout.strip() == "Hearth is not running."


def test_a_start_in_the_background_that_fails_shows_why(house: House) -> None:
    (house.root / "manage.py").write_text("raise SystemExit('no database today')")
    said = house.call("start", "--no-browser", "--background")
    assert said.returncode == 1
    assert "no database today" in said.stderr


def test_the_manual_way_names_a_page_that_was_not_built(house: House) -> None:
    (house.root / "frontend/dist/index.html").unlink()
    said = house.call("start", "--no-browser")
    assert said.returncode == 1
    assert "npm run build" in said.stderr


def test_without_the_default_model_it_starts_all_the_same(house: House) -> None:
    """The stand-in has no inference.default_model, so making it fails."""
    (house.root / ".cache/models/SmolLM2-135M-Instruct/config.json").unlink()
    (house.root / ".cache/models/SmolLM2-135M-Instruct").rmdir()
    process = house.start(ready=False)
    house.line(process, "going on without it")
    house.line(process, "Hearth is ready")


@pytest.mark.windows
def test_run_is_the_role_itself_with_production_settings(house: House) -> None:
    """Itself: the process becomes the role, so the signals of a container reach it. Where none can become
    another, the role ends with it."""

    def answer() -> dict[str, Any] | None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{house.port}/any", timeout=5) as got:
                return cast(dict[str, Any], json.load(got))
        except urllib.error.HTTPError as error:
            return cast(dict[str, Any], json.load(error))
        except OSError:
            return None

    env = {**house.environ(), "DJANGO_SETTINGS_MODULE": "somebody.elses"}
    web = subprocess.Popen(house.command("run", "web"), env=env)
    try:
        found = until(answer)
        assert found["pid"] == web.pid or ways.WINDOWS
        assert found["env"]["DJANGO_SETTINGS_MODULE"] == "config.settings.prod"
        assert found["env"]["HEARTH_DATA"] == str(house.data)
        assert found["env"]["HEARTH_PORT"] == str(house.port)
        assert house.calls() == ["collectstatic --noinput --clear", "migrate --noinput"]
    finally:
        web.terminate()
        web.wait(timeout=60)
    until(lambda: gone(found["pid"]))


def test_create_admin_passes_on_what_django_says(house: House) -> None:
    assert house.call("create-admin", "--username", "ada", "--password", "pw").returncode == 0
    assert house.calls() == ["migrate --noinput", "create_admin --username ada --password pw"]
    assert house.call("create-admin", "--username", "taken", "--password", "pw").returncode == 1


def test_logs_show_the_last_lines_of_a_role(house: House) -> None:
    house.start()
    shown = until(lambda: "the worker waits" in house.call("logs", "worker").stdout)
    assert shown


def test_logs_are_followed_also_over_a_cut(house: House) -> None:
    log = house.data / "logs" / "web.log"
    log.parent.mkdir(parents=True)
    log.write_text("first\n")
    command = house.command("logs", "web", "-f")
    with subprocess.Popen(command, env=house.environ(), text=True, stdout=subprocess.PIPE) as following:
        house.line(following, "first")
        with log.open("a") as more:
            more.write("second\n")
        house.line(following, "second")
        os.truncate(log, 0)
        with log.open("a") as more:
            more.write("x\n")
        house.line(following, "x")
        following.send_signal(signal.SIGINT)
        assert following.wait(timeout=15) == 130


def test_doctor_fits_on_a_screen_and_keeps_passwords(house: House) -> None:
    os.environ["DATABASE_URL"] = "mysql://u:secret@db:3306/hearth"
    try:
        shown = house.call("doctor")
    finally:
        del os.environ["DATABASE_URL"]
    assert shown.returncode == 1, shown.stderr  # there is no such host
    assert "mysql://db:3306/hearth" in shown.stdout and "secret" not in shown.stdout
    assert len(shown.stdout.splitlines()) < 30


def test_a_port_that_is_no_number_is_refused_in_words(house: House) -> None:
    command = house.command("status")[:-2]
    env = {**house.environ(), "HEARTH_PORT": "http"}
    said = subprocess.run(command, env=env, text=True, capture_output=True, check=False, timeout=60)
    assert said.returncode == 1
    assert "HEARTH_PORT is 'http'" in said.stderr
