"""`python -m inference` as a process: each command once on a tiny model."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import orjson
import pytest

from inference.tests import tiny_models
from inference.tests.conftest import ROOT

pytestmark = pytest.mark.slow
Process = asyncio.subprocess.Process
Run = Callable[..., Awaitable[Process]]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_models.make_llama(tmp_path_factory.mktemp("tiny")))


@pytest.fixture
async def run() -> AsyncIterator[Run]:
    started: list[Process] = []

    async def start(*args: str) -> Process:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "inference", *args, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def until(stream: asyncio.StreamReader | None, text: str) -> str:
    assert stream is not None
    async with asyncio.timeout(60):
        return (await stream.readuntil(text.encode())).decode()


async def ended(process: Process, said: bytes = b"") -> tuple[str, str]:
    async with asyncio.timeout(60):
        out, err = await process.communicate(said or None)
    return (out or b"").decode(), (err or b"").decode()


async def test_chat_answers_keeps_the_history_and_leaves(run: Run, model: str) -> None:
    process = await run("chat", model, "--max-tokens", "12", "--temperature", "0", "--no-packing")
    out, err = await ended(process, b"Hello\nAnd you?\n/exit\n")
    assert process.returncode == 0, err
    answers = re.findall(r"> (.+)\n\[(\d+) tokens in .* 12 out", out)
    assert len(answers) == 2 and "context 512 tokens" in err and "The settings say so" in err
    # The second prompt holds the first question and its answer.
    assert int(answers[1][1]) > int(answers[0][1]) + 12


async def test_ctrl_c_stops_the_answer_and_not_the_chat(run: Run, model: str) -> None:
    process = await run("chat", model)
    assert process.stdin is not None
    await until(process.stderr, "/exit leaves")
    process.stdin.write(b"Hello\n")
    await until(process.stdout, "> ")
    await process.stdout.readexactly(3)  # type: ignore[union-attr]
    process.send_signal(signal.SIGINT)
    await until(process.stdout, "[stopped]")
    await until(process.stdout, "> ")
    process.send_signal(signal.SIGINT)  # nothing runs: it ends the chat
    await ended(process)
    assert process.returncode == 0


async def test_bench_prints_a_line_for_each_number(run: Run, model: str) -> None:
    process = await run("bench", model, "-n", "1", "3", "-p", "150", "-g", "8")
    out, err = await ended(process)
    assert process.returncode == 0, err
    head, *rows, memory = out.strip().splitlines()
    assert "tokens/s" in head and "MB" in memory
    cells = [row.split() for row in rows]
    assert [row[0] for row in cells] == ["1", "3"]
    assert all(float(row[1]) > 0 and abs(int(row[-2]) - 150) < 15 for row in cells)


@pytest.mark.skipif(not shutil.which("curl"), reason="no curl here")
async def test_serve_prints_a_curl_that_works(run: Run, model: str) -> None:
    process = await run("serve", model, "--port", "0")
    line = await until(process.stdout, "\n")
    assert line.startswith("curl -N http://127.0.0.1:")
    curl = await asyncio.create_subprocess_shell(
        line.replace("curl", "curl -s"), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await ended(curl)
    events = [orjson.loads(event) for event in out.splitlines()]
    assert events[-1]["kind"] == "finished" and any(event["kind"] == "text" for event in events)
    process.send_signal(signal.SIGTERM)
    await ended(process)
    assert process.returncode == 0


@pytest.mark.parametrize("path", ["/nowhere", "model.gguf", "inference"])
async def test_what_is_no_model_is_one_line_and_code_2(run: Run, path: str) -> None:
    process = await run("chat", path)
    out, err = await ended(process)
    assert process.returncode == 2 and not out
    assert err.startswith("error: ") and err.count("\n") == 1 and path in err


async def test_a_model_that_cannot_load_is_one_line_and_code_2(run: Run, tmp_path: Path) -> None:
    folder = tiny_models.make_llama(tmp_path)
    (folder / "config.json").write_text("{}")
    process = await run("serve", str(folder), "--port", "0")
    _, err = await ended(process)
    assert process.returncode == 2 and "error: " in err
