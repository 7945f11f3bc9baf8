"""What memory there is for models: this machine's in truth, GPUs with a stand-in for NVML."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from inference.errors import InferenceError
from inference.protocol import ModelSpec
from inference.service import memory as module
from inference.service.memory import Memory, bytes_of
from inference.tests.conftest import echo
from inference.tests.test_fit import LLAMA, make


@pytest.mark.parametrize(
    ("text", "expected"),
    [("8GB", 8 * 10**9), ("512 MiB", 512 << 20), ("1.5gb", 1_500_000_000), ("123", 123), ("7B", 7)],
)
def test_amounts_of_memory(text: str, expected: int) -> None:
    assert bytes_of(text) == expected


@pytest.mark.parametrize("text", ["", "8 apples", "-1", "8G8", "I", "GB"])
def test_what_is_no_amount_of_memory(text: str) -> None:
    with pytest.raises(ValueError, match="amount"):
        bytes_of(text)


def folder_model(**settings: Any) -> ModelSpec:
    return ModelSpec("m", "m", "transformers", {"kind": "folder", "path": "/nowhere"}, settings)


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_gpus", lambda: ())


@pytest.mark.usefixtures("no_gpu")
def test_where_models_hold_memory_that_counts() -> None:
    memory = Memory()
    assert memory.device(folder_model()) == memory.device(folder_model(device="cpu")) == "cpu"
    assert memory.device(folder_model(device="cuda:1")) == "cuda:1"
    assert memory.device(ModelSpec("r", "r", "openai")) is None
    assert memory.device(echo()) is None
    assert memory.device(echo(settings={"memory_bytes": 5})) == "cpu"
    assert memory.device(echo(settings={"memory_bytes": 5, "inline": True})) is None


def test_the_budget_leaves_a_reserve_and_respects_the_limit() -> None:
    free = psutil.virtual_memory().available
    assert 0 < Memory().budget("cpu", [], 0) < free
    assert Memory(1000).budget("cpu", [], 0) == 1000


def test_what_models_hold_is_part_of_the_budget() -> None:
    script = "import sys; held = bytearray(b'x') * (300 << 20); print('there', flush=True); sys.stdin.read()"
    child = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout and child.stdin
    child.stdout.readline()
    memory = Memory()
    used = memory.used(child.pid) or 0
    assert used > 300 << 20
    with_it, without = memory.budget("cpu", [child.pid], 0), memory.budget("cpu", [], 0)
    # The rest of the machine breathes meanwhile; three hundred megabytes are more than a breath.
    assert with_it - without > 200 << 20
    assert not memory.is_back("cpu", child.pid, 0, used)
    child.communicate()
    assert memory.is_back("cpu", child.pid, 0, used) and memory.used(child.pid) is None


def test_an_ended_process_that_nobody_asked_for_holds_nothing() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    assert child.stdout
    child.stdout.read()  # it has ended, or is about to
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert Memory().is_back("cpu", child.pid, 0, 0)
    child.communicate()


class FakeNvml:
    NVMLError = RuntimeError

    def __init__(self, *free: int) -> None:
        self.free = list(free)

    def nvmlDeviceGetCount(self) -> int:
        return len(self.free)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        if index >= len(self.free):
            raise self.NVMLError
        return index

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> int:
        return int(uuid.removeprefix("GPU-"))

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> Any:
        return SimpleNamespace(total=80 << 30, free=self.free[handle])


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeNvml]:
    """Two cards, the second with more room."""
    fake = FakeNvml(10 << 30, 70 << 30)
    monkeypatch.setattr(module, "_nvml", lambda: fake)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    module._gpus.cache_clear()
    yield fake
    module._gpus.cache_clear()


@pytest.mark.usefixtures("nvml")
def test_a_model_goes_to_the_card_with_the_most_room_or_the_one_it_names() -> None:
    memory = Memory(limit=1)
    assert memory.device(folder_model()) == memory.device(folder_model(device="cuda")) == "cuda:1"
    assert memory.device(folder_model(device="cuda:0")) == "cuda:0"
    assert memory.device(folder_model(device="cpu")) == "cpu"
    # Other programs hold 60 of the first card's 80; a model of ours 10. The limit is the machine's alone.
    assert memory.budget("cuda:0", [], 10 << 30) == (20 << 30) - (4 << 30)


@pytest.mark.parametrize(
    ("visible", "free"), [("1", [70]), ("1,0", [70, 10]), ("GPU-1", [70]), ("0,7,1", [10]), ("", [])]
)
def test_cards_are_counted_as_their_children_see_them(
    nvml: FakeNvml, monkeypatch: pytest.MonkeyPatch, visible: str, free: list[int]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert [Memory().free(f"cuda:{index}") >> 30 for index in range(len(module._gpus()))] == free


def test_a_cards_memory_is_back_when_the_driver_says_so(nvml: FakeNvml) -> None:
    memory, held = Memory(), 8 << 30
    assert not memory.is_back("cuda:0", None, nvml.free[0], held)
    nvml.free[0] += held
    assert memory.is_back("cuda:0", None, 10 << 30, held)


@pytest.mark.usefixtures("nvml")
def test_a_model_larger_than_any_card_is_not_counted(tmp_path: Path) -> None:
    huge = {"w": {"dtype": "BF16", "shape": [50 << 30, 1]}}
    spec = ModelSpec("m", "m", "transformers", {"path": str(make(tmp_path, LLAMA, huge))})
    assert Memory().plan(spec, "cuda:1") is None
    fixed = ModelSpec("m", "m", "transformers", spec.source, {"device": "cuda:1"})
    assert Memory().plan(fixed, "cuda:1") is not None


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize("harm", ["cut", "no config", "code"])
def test_a_damaged_folder_is_found_out_before_anybody_leaves_for_it(tmp_path: Path, harm: str) -> None:
    folder = make(tmp_path, LLAMA)
    weights = folder / "model.safetensors"
    if harm == "cut":
        os.truncate(weights, weights.stat().st_size - 1)
    elif harm == "no config":
        (folder / "config.json").unlink()
    else:
        (folder / "modeling_x.py").touch()
    spec = ModelSpec("m", "m", "transformers", {"kind": "folder", "path": str(folder)})
    with pytest.raises(InferenceError, match="load_failed"):
        Memory().plan(spec, "cpu")
    assert Memory().foresee(spec, "cpu").weights > 0, "the question alone is answered as well as it can be"
