"""A model folder loaded by itself; cards are stand-ins, there is no GPU in these tests."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import torch

from inference.engines import checkpoint, device
from inference.engines.device import Place
from inference.errors import InferenceError
from inference.protocol import ModelSpec
from inference.tests import tiny_models

GB = 1 << 30


def load(folder: Path, report: Callable[[float], None] = lambda _: None, **settings: Any) -> Any:
    spec = ModelSpec("t", "t", "transformers", {"kind": "folder", "path": str(folder)}, settings)
    return checkpoint.load(spec, report)


def refused(folder: Path, **settings: Any) -> InferenceError:
    with pytest.raises(InferenceError) as failure:
        load(folder, **settings)
    return failure.value


def edit(folder: Path, name: str = "config.json", **changes: Any) -> None:
    path = folder / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.fixture
def llama(tmp_path: Path) -> Path:
    return tiny_models.make_llama(tmp_path)


@pytest.mark.parametrize("make", [*tiny_models.PACKED, *tiny_models.NOT_PACKED])
def test_every_family_loads(make: Callable[[Path], Path], tmp_path: Path) -> None:
    loaded = load(make(tmp_path))
    assert loaded.device == "cpu" and loaded.dtype == "float32" and loaded.model.dtype == torch.float32
    assert loaded.ends == {loaded.tokenizer.eos_token_id}
    assert not loaded.model.training and not loaded.spread and not loaded.quantized
    assert loaded.memory_bytes > 10_000


def test_the_facts_come_from_the_folder(tmp_path: Path) -> None:
    folder = tiny_models.make_qwen3(tmp_path)
    edit(folder, "generation_config.json", eos_token_id=[7, 9])
    template = "{{ tools }}<think>"
    (folder / "chat_template.jinja").write_text(template)
    loaded = load(folder)
    assert loaded.capabilities == {"continues": True, "reasoning": True, "tools": True}
    assert loaded.ends == {7, 9, loaded.tokenizer.eos_token_id}
    assert load(tiny_models.make_llama(tmp_path / "b")).capabilities["reasoning"] is False


def test_the_context_is_the_models_or_a_shorter_one_that_is_set(llama: Path) -> None:
    assert load(llama).context_length == 512
    assert load(llama, context_length=100).context_length == 100
    assert load(llama, context_length=10**6).context_length == 512
    assert refused(llama, context_length=-1).code == "load_failed"


def test_the_progress_follows_the_bytes(llama: Path) -> None:
    told: list[float] = []
    load(llama, told.append)
    assert told == sorted(told) and told[-1] == 1.0 and len(told) > 10
    sizes = [tensor.size for tensor in checkpoint._tensors(llama).values()]
    steps = [b - a for a, b in pairwise([0.0, *told[:-1]])]
    assert max(steps) == pytest.approx(0.99 * max(sizes) / sum(sizes), abs=0.01)


def test_int8_is_float32_until_it_is_prepared(llama: Path) -> None:
    loaded = load(llama, dtype="int8")
    assert loaded.dtype == "int8" and loaded.model.dtype == torch.float32
    assert load(llama, dtype="bfloat16").model.dtype == torch.bfloat16
    assert "int4" in refused(llama, dtype="int4").message


def test_pickles_are_refused(llama: Path) -> None:
    (llama / "model.safetensors").rename(llama / "pytorch_model.bin")
    assert "safetensors" in refused(llama).message


def test_code_of_the_folder_does_not_run(llama: Path) -> None:
    ran = llama / "ran"
    (llama / "evil.py").write_text(f"open({str(ran)!r}, 'w')\nclass C: pass\n")
    edit(llama, model_type="evil", auto_map={"AutoConfig": "evil.C", "AutoModelForCausalLM": "evil.C"})
    assert "code" in refused(llama).message
    assert not ran.exists()


def test_the_folder_does_not_choose_the_kernels(llama: Path) -> None:
    edit(llama, attn_implementation="somebody/kernels")
    assert load(llama).model.config._attn_implementation == "sdpa"


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_folder_that_lacks_a_file_says_which(llama: Path, name: str) -> None:
    (llama / name).unlink()
    failure = refused(llama)
    assert failure.code == "load_failed" and name.rpartition(".")[2] in failure.message


def test_a_shard_outside_the_folder_is_refused(llama: Path) -> None:
    (llama / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "../x.safetensors"}}))
    assert refused(llama).code == "load_failed"


def test_a_download_that_ended_early_is_refused(llama: Path) -> None:
    path = llama / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    assert "whole" in refused(llama).message


def test_weights_that_are_missing_are_not_made_up(llama: Path) -> None:
    edit(llama, num_hidden_layers=3)
    assert "model.layers.2" in refused(llama).message


def test_a_model_that_writes_no_text_is_refused(llama: Path) -> None:
    from transformers import ViTConfig

    ViTConfig().save_pretrained(llama)
    assert "writes text" in refused(llama).message


def test_an_adapter_is_no_model(llama: Path) -> None:
    (llama / "adapter_config.json").write_text("{}")
    assert "merge" in refused(llama).message


@pytest.mark.parametrize("method", ["gptq", "awq"])
def test_a_quantised_folder_names_the_package_it_needs(llama: Path, method: str) -> None:
    edit(llama, quantization_config={"quant_method": method, "bits": 4, "group_size": 128})
    failure = refused(llama)
    assert failure.code == "load_failed"
    assert "gptqmodel" in failure.message or "optimum" in failure.message


def test_weights_that_do_not_fit_say_how_much_is_free(llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=1000))
    failure = refused(llama)
    assert failure.code == "out_of_memory" and failure.extra["free_bytes"] == 1000


def test_a_limit_of_the_address_space_counts_before_anything_is_read(
    llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import resource

    used = psutil.Process().memory_info().vms
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (used + (64 << 20), -1))
    assert refused(llama).code == "out_of_memory"
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (used + (1 << 30), -1))
    assert load(llama).device == "cpu"


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError(
            "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"
        ),
        OSError("Cannot allocate memory (os error 12)"),
    ],
)
def test_out_of_memory_is_known_in_all_its_forms(
    error: Exception, llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **options: Any) -> None:
        raise error

    monkeypatch.setattr(checkpoint, "_model", fail)
    assert refused(llama).code == "out_of_memory"
    assert not device.is_out_of_memory(RuntimeError("shapes cannot be multiplied"))


# Cards


@pytest.fixture
def cards(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def have(*free: int, capability: tuple[int, int] = (9, 0)) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(free))
        monkeypatch.setattr(torch.cuda, "device_count", lambda: len(free))
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda index=None: capability)
        monkeypatch.setattr(device, "_free", lambda index: free[index])

    return have


def test_the_freest_card_is_taken(cards: Callable[..., None]) -> None:
    cards(2 * GB, 8 * GB, 4 * GB)
    assert device.choose_device("", GB) == device.choose_device("cuda", GB) == Place("cuda:1")
    assert device.choose_device("cuda:2", GB) == Place("cuda:2")
    assert device.choose_device("cpu", GB) == Place("cpu")


def test_without_a_card_it_is_the_cpu(cards: Callable[..., None]) -> None:
    cards()
    assert device.choose_device("auto", 1) == Place("cpu")
    with pytest.raises(InferenceError, match="no GPU"):
        device.choose_device("cuda", 1)


@pytest.mark.parametrize("name", ["cuda:3", "gpu", "cuda:x"])
def test_a_device_that_is_not_there_is_refused(cards: Callable[..., None], name: str) -> None:
    cards(GB)
    with pytest.raises(InferenceError, match="load_failed"):
        device.choose_device(name, 1)


def test_a_model_too_large_for_one_card_is_spread(
    cards: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    from accelerate import infer_auto_device_map
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(hidden_size=64, intermediate_size=128, num_hidden_layers=8, vocab_size=64)
    with torch.device("meta"):
        model = LlamaForCausalLM(config)
    need = sum(p.numel() * 4 for p in model.parameters())
    cards(int(need * 0.8), int(need * 0.9))
    place = device.choose_device("", need)
    assert place.spread and place.device == "cuda:0"
    layers = infer_auto_device_map(
        model, max_memory=place.limits, no_split_module_classes=["LlamaDecoderLayer"]
    )
    assert set(layers.values()) == {0, 1}
    # A card that was named is meant, and one that is full stays so.
    for name, room in (("cuda:1", need), ("", need * 3)):
        with pytest.raises(InferenceError, match="out_of_memory"):
            device.choose_device(name, room)


def test_a_spread_model_gets_its_limits(llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import transformers

    seen: dict[str, Any] = {}

    def from_pretrained(*args: Any, **options: Any) -> Any:
        seen.update(options)
        return torch.nn.Linear(1, 1), {"missing_keys": []}

    monkeypatch.setattr(transformers.AutoModelForCausalLM, "from_pretrained", from_pretrained)
    config = transformers.AutoConfig.from_pretrained(llama)
    checkpoint._model(llama, config, Place("cuda:0", True, {0: 5, 1: 6}), "bfloat16", "")
    assert seen["device_map"] == "auto" and seen["max_memory"] == {0: 5, 1: 6}
    checkpoint._model(llama, config, Place("cuda:1"), "bfloat16", "")
    assert seen["device_map"] == {"": "cuda:1"} and seen["dtype"] == torch.bfloat16
    assert seen["use_safetensors"] and seen["local_files_only"] and not seen["trust_remote_code"]


@pytest.mark.parametrize(
    ("capability", "dtype"),
    [((7, 0), "float16"), ((7, 5), "float16"), ((8, 0), "bfloat16"), ((9, 0), "bfloat16")],
)
def test_bfloat16_only_where_the_card_has_it(
    cards: Callable[..., None], capability: tuple[int, int], dtype: str
) -> None:
    cards(GB, capability=capability)
    assert device.choose_dtype("auto", "cuda:0") == dtype
    assert device.choose_dtype("", "cpu") == "float32"
    assert device.choose_dtype("float32", "cuda:0") == "float32"
