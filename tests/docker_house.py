"""The commands of the images as processes, each below a folder that plays its `/`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.dockerfile import Instruction, Stage, last, lineage
from tests.house import PASSWORD, free_port

HEALTHY_WITHIN = 120.0
#: The first load on a machine that has much else to do (seconds).
ANSWER_WITHIN = 240.0


class Failed(Exception):
    pass


def paths(root: Path) -> dict[str, str]:
    return {"PATH": f"{root}/opt/hearth/bin{os.pathsep}{os.environ['PATH']}"}


def environment(stages: dict[str, Stage], name: str, root: Path) -> dict[str, str]:
    """What the image's ENV lines say, with a data folder below `root`."""
    env = {"HOME": str(root)}
    for one in lineage(stages, name):
        if one.name == "ENV":
            env |= dict(word.split("=", 1) for word in one.words if not word.startswith("PATH="))
    return env | {"HEARTH_DATA": f"{root}/data", "HEARTH_CACHE": f"{root}/data/cache"} | paths(root)


@contextmanager
def started(
    command: list[str], folder: Path, env: Mapping[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Only `env` and the PATH: a shell's own settings do not reach a container either."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, env=dict(env), stdout=output, stderr=output)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def until_healthy(
    process: subprocess.Popen[bytes], check: list[str], folder: Path, env: Mapping[str, str], log: Path
) -> float:
    """Asks as the engine does; the seconds that it took."""
    began = time.monotonic()
    while time.monotonic() - began < HEALTHY_WITHIN:
        if subprocess.run(check, cwd=folder, env=dict(env), capture_output=True, check=False).returncode == 0:
            return time.monotonic() - began
        if process.poll() is not None:
            break
    raise Failed(f"not healthy: {check}\n{log.read_text(errors='replace')[-3000:]}")


def words(stages: dict[str, Stage], name: str, instruction: str) -> list[str]:
    """The JSON list of CMD, ENTRYPOINT or HEALTHCHECK."""
    found: Instruction | None = last(stages, name, instruction)
    if found is None:
        raise Failed(f"{name} has no {instruction}")
    listed: list[str] = json.loads(found.text[found.text.index("[") :])
    return listed


def entry(stages: dict[str, Stage], name: str) -> list[str]:
    """What the image starts, without the init before it."""
    whole = words(stages, name, "ENTRYPOINT") + words(stages, name, "CMD")
    if whole[:2] != ["tini", "--"]:
        raise Failed(f"{name} starts without an init: {whole}")
    return whole[2:]


@dataclass
class Joined:
    """What runs: where its page is, how many seconds each role took to be healthy, the web's environment."""

    url: str
    took: dict[str, float] = field(default_factory=dict)
    web: dict[str, str] = field(default_factory=dict)


@contextmanager
def house(stages: dict[str, Stage], roots: Mapping[str, Path], data: Path) -> Iterator[Joined]:
    """Web, model service and worker as their images start them, joined as docker-compose.yml joins them: one
    data folder, the model service over TCP with the secret from there. Yields when all of it is ready.

    `roots`: by image, the folder that stands for its `/`.
    """
    web, service = free_port(), free_port()
    shared = {"HEARTH_DATA": str(data), "HEARTH_CACHE": str(data / "cache")}
    # HEARTH_ADMIN_PASSWORD: beyond loopback the web wants an administrator before it listens.
    django = {
        "HEARTH_ADMIN_PASSWORD": PASSWORD,
        "HEARTH_INFERENCE": f"http://127.0.0.1:{service}",
        "HEARTH_PORT": str(web),
        "HEARTH_FIRST_DOWNLOAD": "0",
    }
    inference = {"HEARTH_INFERENCE_LISTEN": f"http://0.0.0.0:{service}"}
    worker = ["python", "start.py", "run", "worker", "--here"]
    parts = [
        ("web", "web", entry(stages, "web"), django, f"{web}/healthz"),
        ("inference", "inference-cpu", entry(stages, "inference-cpu"), inference, f"{service}/healthz"),
        ("worker", "web", worker, django, f"{web}/readyz"),
    ]
    joined = Joined(f"http://127.0.0.1:{web}")
    with ExitStack() as stack:
        for role, image, command, more, address in parts:
            root, log = roots[image], data.parent / f"{role}.log"
            env = environment(stages, image, root) | {"HEARTH_IMAGE_MODELS": f"{root}/opt/model"}
            env |= shared | more
            process = stack.enter_context(started(command, root / "app", env, log))
            check = ["python", "docker/healthcheck.py", role, f"http://127.0.0.1:{address}"]
            joined.took[role] = until_healthy(process, check, root / "app", env, log)
            joined.web = env if role == "web" else joined.web
        until_ready(joined.url)
        yield joined


def until_ready(url: str) -> None:
    """/readyz asks the model service with the secret, which /healthz does not need."""
    began = time.monotonic()
    while not (answer := httpx.get(f"{url}/readyz", trust_env=False)).json()["ready"]:
        if time.monotonic() - began > HEALTHY_WITHIN:
            raise Failed(answer.text)


def first_answer(joined: Joined, root: Path) -> str:
    """The one-shot service puts the image's model on the list; then the administrator asks it."""
    script = ["sh", "docker/first-model.sh"]
    subprocess.run(script, cwd=root / "app", env=joined.web, check=True, capture_output=True)
    with httpx.Client(base_url=joined.url, trust_env=False, timeout=ANSWER_WITHIN) as client:
        body = {"grant_type": "password", "username": "admin", "password": PASSWORD}
        token = client.post("/api/auth/token/", json=body).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        asked = {"content": "What is the capital of France?", "params": {"max_tokens": 24, "temperature": 0}}
        lines = client.post("/api/chat/stream/", json=asked).text.splitlines()
    events = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    text = "".join(event["text"] for event in events if "text" in event)
    if not text:
        raise Failed(f"no answer: {lines[-6:]}")
    return text
