"""The images, as far as can be told without an engine; `python -m tests.docker_check` installs them, too."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests import docker_check, docker_house
from tests.dockerfile import ROOT, context, files_of, last, lay, lineage, read, tracked

STAGES = read()
SENT = context(tracked())
IMAGES = docker_check.IMAGES
COMPOSE = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
#: What docker-compose.yml makes of a variable: ${NAME}, ${NAME:-default}, ${NAME:?error}.
ASKED = set(re.findall(r"\$\{(\w+)", COMPOSE))
PLUGINS = ("/usr/libexec/docker/cli-plugins", "/usr/lib/docker/cli-plugins", "~/.docker/cli-plugins")


def lines(name: str) -> dict[str, str]:
    """The settings of an example that are not commented out."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return dict(line.split("=", 1) for line in text.splitlines() if line and line[0] != "#")


@pytest.mark.parametrize("name", STAGES)
def test_what_is_copied_is_there_tracked_and_sent(name: str) -> None:
    for copy in STAGES[name].all("COPY"):
        *sources, _ = copy.words
        stage = copy.flag("from")
        assert stage is None or stage in STAGES
        for source in sources if stage is None else ():
            assert files_of(source, SENT), f"{name}: COPY {source} finds nothing"


def test_only_what_is_copied_is_sent() -> None:
    copies = [c for stage in STAGES.values() for c in stage.all("COPY") if not c.flag("from")]
    taken = set().union(*(files_of(source, SENT) for copy in copies for source in copy.words[:-1]))
    assert SENT - taken == set()
    assert not [file for file in SENT if "/tests/" in file or file.startswith((".env", "data/", ".git"))]


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_runs_as_nobody_in_particular_under_an_init_and_says_how_it_is(name: str) -> None:
    user = last(STAGES, name, "USER")
    assert user is not None and user.text == "10001:10001"
    docker_house.entry(STAGES, name)
    assert docker_house.words(STAGES, name, "HEALTHCHECK")[:2] == ["python", "docker/healthcheck.py"]


@pytest.mark.parametrize("name", IMAGES)
def test_no_secret_is_in_an_image(name: str) -> None:
    for one in lineage(STAGES, name):
        if one.name in ("ARG", "ENV"):
            assert not re.search(r"PASSWORD|SECRET|TOKEN|KEY", one.text), one.text


def test_the_web_has_no_torch_and_no_compiler() -> None:
    installed = " ".join(one.text for one in lineage(STAGES, "web"))
    assert "inference.txt" not in installed and "gcc" not in installed


@pytest.mark.parametrize("name", ["inference-cpu", "inference-cuda"])
def test_the_kernels_find_a_compiler(name: str) -> None:
    assert {"gcc", "libc6-dev"} <= docker_check.apt_packages(STAGES, name)


def test_hadolint() -> None:
    done = subprocess.run(["hadolint", "Dockerfile"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", [".env.example", ".env.cn.example"])
def test_an_example_needs_two_lines_and_names_what_compose_asks_for(name: str) -> None:
    needed = set(re.findall(r"\$\{(\w+):\?", COMPOSE))
    assert needed == {"COMPOSE_PROFILES", "HEARTH_ADMIN_PASSWORD"}
    assert needed <= set(lines(name)) <= ASKED
    if name == ".env.example":
        assert set(lines(name)) == needed
        commented = set(re.findall(r"^#(\w+)=", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE))
        known = ASKED - needed - {"HEARTH_ENDPOINT_NETWORKS"}
        assert commented == known


def test_compose_sets_nothing_that_nobody_reads() -> None:
    services = yaml.safe_load(COMPOSE)["services"]
    ours = {name for service in services.values() for name in service.get("environment", {})}
    ours = {name for name in ours if not name.startswith("MARIADB_")}
    described = (ROOT / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")
    assert ours <= set(re.findall(r"`([A-Z_]+)`", described))
    for service in services.values():
        if "build" in service:
            assert service["build"]["target"] in STAGES
            arguments = {one.text.partition("=")[0] for stage in STAGES.values() for one in stage.all("ARG")}
            assert set(service["build"]["args"]) - {"REGISTRY"} <= arguments


def compose() -> str | None:
    folders = os.pathsep.join(os.path.expanduser(folder) for folder in PLUGINS)
    return shutil.which("docker-compose", path=folders)


@pytest.mark.skipif(compose() is None, reason="the client of Docker Compose 2 is not here")
@pytest.mark.parametrize("profile", ["cpu", "gpu"])
def test_compose_understands_it(profile: str, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"COMPOSE_PROFILES={profile}\nHEARTH_ADMIN_PASSWORD=x\n")
    command = [str(compose()), "--project-directory", str(ROOT), "--env-file", str(tmp_path / ".env")]
    done = subprocess.run(
        [*command, "config", "--format", "json"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)["services"]
    service = "inference" if profile == "cpu" else "inference-gpu"
    others = {"web", "worker", "database", "redis", "first-model"}
    assert set(found) == others | {service}
    assert found["web"]["ports"][0]["host_ip"] == "127.0.0.1"
    if profile == "gpu":
        (device,) = found[service]["deploy"]["resources"]["reservations"]["devices"]
        assert device["driver"] == "nvidia" and device["capabilities"] == ["gpu"]


@pytest.mark.skipif(compose() is None, reason="the client of Docker Compose 2 is not here")
@pytest.mark.parametrize("given", ["COMPOSE_PROFILES=cpu", "HEARTH_ADMIN_PASSWORD=x"])
def test_a_missing_line_is_named(given: str, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(given + "\n")
    command = [
        str(compose()),
        "--project-directory",
        str(ROOT),
        "--env-file",
        str(tmp_path / ".env"),
        "config",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "into .env, see .env.example" in done.stderr


# The scripts of docker/, with programs in front of them that answer as a host would.


def program(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("nvidia", "docker", "says"),
    [
        (None, "exit 0", "install the NVIDIA driver"),
        ("exit 9", "exit 0", "install the NVIDIA driver"),
        ("exit 0", "exit 1", "Docker does not answer"),
        ("exit 0", 'echo "{\\"runc\\":{}}"', "container toolkit is missing"),
        ("exit 0", 'echo "nvidia $*"', "nvidia compose --profile gpu up -d"),
    ],
)
def test_a_host_that_cannot_hand_over_its_gpu_is_told_why(
    tmp_path: Path, nvidia: str | None, docker: str, says: str
) -> None:
    if nvidia is not None:
        program(tmp_path, "nvidia-smi", nvidia)
    program(tmp_path, "docker", docker)
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    script = [str(ROOT / "docker" / "gpu.sh")]
    done = subprocess.run(script, env=env, capture_output=True, text=True, check=False)
    assert says in done.stdout + done.stderr
    assert (done.returncode == 0) == says.startswith("nvidia ")


def inference(data: Path, models: Path, **more: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "HEARTH_DATA": str(data), "HEARTH_IMAGE_MODELS": str(models), **more}
    script = ["sh", str(ROOT / "docker" / "inference.sh"), "echo", "started"]
    return subprocess.run(script, env=env, capture_output=True, text=True, check=True)


def test_the_image_s_model_comes_into_an_empty_data_folder_and_not_again(tmp_path: Path) -> None:
    models, data = tmp_path / "image", tmp_path / "data"
    name = "SmolLM2-135M-Instruct"
    (models / name).mkdir(parents=True)
    (models / name / "config.json").write_text("{}")
    assert inference(data, models).stdout == "started\n"
    assert (data / "models" / name / "config.json").read_text() == "{}"
    (data / ".default-model").touch()
    shutil.rmtree(data / "models" / name)
    inference(data, models)
    assert not (data / "models" / name).exists()


@pytest.mark.skipif(Path("/dev/nvidiactl").exists(), reason="there is a GPU here")
def test_a_container_that_no_gpu_reaches_says_so_and_goes_on(tmp_path: Path) -> None:
    (tmp_path / ".default-model").touch()
    done = inference(tmp_path, tmp_path, HEARTH_EXPECTS_GPU="1")
    assert "nvidia-container-toolkit" in done.stderr and done.stdout == "started\n"


@pytest.mark.slow
@pytest.mark.e2e
def test_what_is_copied_starts_and_is_healthy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the packages of this environment; whether `pip install` brings them all, docker_check says."""
    for name in [
        name for name in os.environ if name.startswith(("HEARTH_", "DJANGO_", "DATABASE_", "REDIS_"))
    ]:
        monkeypatch.delenv(name)
    roots = {name: tmp_path / name for name in ("web", "inference-cpu")}
    for name, root in roots.items():
        lay(STAGES, name, root / "app", SENT)
    data = tmp_path / "run" / "data"
    data.mkdir(parents=True, mode=0o700)
    (data / ".default-model").touch()
    with docker_house.house(STAGES, roots, data) as joined:
        assert set(joined.took) == {"web", "inference", "worker"}
