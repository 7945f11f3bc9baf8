"""Repositories that mean harm: each is refused in words, by the web or in the model's own process, nothing of
them runs, and the web and the model service stay alive and small.

Each is a whole small Llama with one thing changed. A real house: registered over REST, loaded by a message.
"""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import shutil
import struct
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from inference.tests import tiny_models
from tests.house import House, Person

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

MB = 1 << 20
#: What one hostile repository may add to a process (what the allocator keeps of parsing 16 MB of JSON).
MOST_GROWTH = 200 * MB


@dataclass(frozen=True)
class Repository:
    """`at_load`: the web cannot tell, the model's process does. `says`: a word of the refusal."""

    make: Callable[[Path, Path], Any]
    says: str
    at_load: bool = False


def edit(folder: Path, name: str = "config.json", **changes: Any) -> None:
    file = folder / name
    known = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps({**known, **changes}))


def code(folder: Path, canary: Path, name: str = "modeling_evil.py") -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(f"open({str(canary)!r}, 'w').close()\nclass Evil: pass\n")


class _Bomb:
    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.canary}",)


def bomb(file: Path, canary: Path) -> None:
    file.write_bytes(pickle.dumps(_Bomb(canary)))


def header(folder: Path, tensors: Any, *, data: int = 0, length: int | None = None) -> None:
    text = tensors if isinstance(tensors, bytes) else json.dumps(tensors).encode()
    size = struct.pack("<Q", len(text) if length is None else length)
    (folder / "model.safetensors").write_bytes(size + text + b"\0" * data)


def tensor(begin: int, end: int, *shape: int) -> dict[str, Any]:
    return {"dtype": "F32", "shape": list(shape), "data_offsets": [begin, end]}


def many_tensors(folder: Path, canary: Path) -> None:
    one = b'"%d":{"dtype":"F32","shape":[],"data_offsets":[0,0]}'
    header(folder, b"{" + b",".join(one % n for n in range(250_000)) + b"}")


def only_pickles(folder: Path, canary: Path) -> None:
    (folder / "model.safetensors").unlink()
    bomb(folder / "pytorch_model.bin", canary)


def link(folder: Path, name: str, to: Path) -> None:
    target = folder / name
    target.unlink(missing_ok=True)
    target.symlink_to(to)


def outside_weights(folder: Path, canary: Path) -> None:
    link(folder, "model.safetensors", shutil.copy(folder / "model.safetensors", canary.parent / "w"))


def index(folder: Path, name: str) -> None:
    edit(folder, "model.safetensors.index.json", weight_map={"lm_head.weight": name})


def template(text: str) -> Callable[[Path, Path], None]:
    def make(folder: Path, canary: Path) -> None:
        (folder / "chat_template.jinja").write_text(text.replace("CANARY", str(canary)))

    return make


def sparse(name: str, size: int) -> Callable[[Path, Path], None]:
    def make(folder: Path, canary: Path) -> None:
        with (folder / name).open("ab") as file:
            file.truncate(size)

    return make


def config(**changes: Any) -> Callable[[Path, Path], None]:
    return lambda folder, canary: edit(folder, **changes)


def catastrophic(folder: Path, canary: Path) -> None:
    made = json.loads((folder / "tokenizer.json").read_text())
    split = {
        "type": "Split",
        "pattern": {"Regex": r"(a|aa|a*)*b$|(a+)+$"},
        "behavior": "Isolated",
        "invert": False,
    }
    made["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [split, made["pre_tokenizer"]]}
    (folder / "tokenizer.json").write_text(json.dumps(made))


def auto_map(name: str, **inside: Any) -> Callable[[Path, Path], None]:
    """Python files would be refused by themselves; this names code that lies elsewhere."""
    classes = {"auto_map": {"AutoConfig": "evil--x.Evil", "AutoModelForCausalLM": "evil.Evil"}}
    return lambda folder, canary: edit(folder, name, **(inside or classes))


NESTED = {"auto_map": {"AutoModel": "evil.Evil"}}
LOOP = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
ESCAPE = "{{ cycler.__init__.__globals__.os.system('touch CANARY') }}"
CLASSES = "{{ ().__class__.__mro__[1].__subclasses__()[0]('touch CANARY') }}"

REPOSITORIES: dict[str, Repository] = {
    "code beside the weights": Repository(code, "modeling_evil.py"),
    "code in a folder": Repository(lambda f, c: code(f, c, "custom_generate/generate.py"), "generate.py"),
    "a library": Repository(lambda f, c: (f / "fast.so").write_bytes(b"\x7fELF"), "fast.so"),
    "auto_map in config": Repository(auto_map("config.json"), "auto_map"),
    "auto_map in tokenizer_config": Repository(auto_map("tokenizer_config.json"), "auto_map"),
    "auto_map nested": Repository(auto_map("config.json", text_config={"a": [{"b": NESTED}]}), "auto_map"),
    "auto_map in processor": Repository(auto_map("processor_config.json"), "auto_map"),
    "auto_map in preprocessor": Repository(auto_map("preprocessor_config.json"), "auto_map"),
    "auto_map in generation": Repository(auto_map("generation_config.json"), "auto_map"),
    "an adapter of another base": Repository(
        lambda f, c: edit(f, "adapter_config.json", base_model_name_or_path="evil/base", **NESTED), "auto_map"
    ),
    "an adapter": Repository(
        lambda f, c: edit(f, "adapter_config.json", base_model_name_or_path="evil/base"), "adapter"
    ),
    "pickles only": Repository(only_pickles, "pickles"),
    "a pickle named safetensors": Repository(lambda f, c: bomb(f / "model.safetensors", c), "safetensors"),
    "weights lead out": Repository(outside_weights, "leads out"),
    "a link to a secret": Repository(lambda f, c: link(f, "x.txt", Path("/etc/passwd")), "leads out"),
    "a linked folder": Repository(lambda f, c: link(f, "x", Path("/etc")), "leads out"),
    "a link to itself": Repository(lambda f, c: link(f, "x", f / "x"), "plain file"),
    "a pipe": Repository(lambda f, c: os.mkfifo(f / "extra.safetensors"), "plain file"),
    "an index that climbs": Repository(lambda f, c: index(f, "../w.safetensors"), "outside"),
    "an index to the root": Repository(lambda f, c: index(f, "/etc/passwd"), "outside"),
    "an index for Windows": Repository(lambda f, c: index(f, "..\\w.safetensors"), "outside"),
    "a header of 10^9 bytes": Repository(lambda f, c: header(f, {}, length=10**9), "safetensors"),
    "a header of 2^64-1": Repository(lambda f, c: header(f, {}, length=2**64 - 1), "safetensors"),
    "a long header": Repository(lambda f, c: header(f, b" " * (17 << 20)), "too long"),
    "tensors over each other": Repository(
        lambda f, c: header(f, {"a": tensor(0, 8, 2), "b": tensor(4, 12, 2)}, data=12), "whole"
    ),
    "a tensor beyond the end": Repository(
        lambda f, c: header(f, {"a": tensor(0, 1 << 40, 1 << 38)}), "whole"
    ),
    "a tensor before the begin": Repository(lambda f, c: header(f, {"a": tensor(-8, 0, 2)}), "whole"),
    "a negative shape": Repository(lambda f, c: header(f, {"a": tensor(0, 8, -1, -2)}, data=8), "whole"),
    "a shape that is larger": Repository(
        lambda f, c: header(f, {"a": tensor(0, 8, 1 << 40)}, data=8), "whole"
    ),
    "a tensor twice": Repository(
        lambda f, c: header(f, b'{"a":%b,"a":%b}' % ((json.dumps(tensor(0, 4, 1)).encode(),) * 2), data=4),
        "whole",
    ),
    "a quarter of a million tensors": Repository(many_tensors, "too many"),
    "a deep header": Repository(lambda f, c: header(f, b"[" * (8 << 20)), "whole"),
    "a wide header": Repository(lambda f, c: header(f, b"[" + b"[]," * (5 << 20) + b"1]"), "whole"),
    "a deep config": Repository(
        lambda f, c: (f / "config.json").write_text('{"a":' * 900 + "1" + "}" * 900), "read"
    ),
    "a wide config": Repository(
        lambda f, c: (f / "config.json").write_text('{"a":[' + "[]," * 5_000_000 + "1]}"), "read"
    ),
    "an endless config": Repository(sparse("config.json", 40 << 30), "read"),
    "an endless tokenizer": Repository(sparse("tokenizer.json", 40 << 30), "too large"),
    "an endless template": Repository(sparse("chat_template.jinja", 40 << 30), "too large"),
    "10^9 layers": Repository(config(num_hidden_layers=10**9), "num_hidden_layers"),
    "10^9 layers inside": Repository(config(text_config={"num_hidden_layers": 10**9}), "num_hidden_layers"),
    "10^12 words": Repository(config(vocab_size=10**12), "vocab_size"),
    "a negative width": Repository(config(hidden_size=-1), "hidden_size"),
    "9,000 layers that are not there": Repository(config(num_hidden_layers=9_000), "far larger"),
    "a width that is not there": Repository(config(hidden_size=1 << 20, vocab_size=1 << 25), "far larger"),
    "a module for quantization": Repository(
        config(quantization_config={"quant_method": "os.system", "modules": ["evil.Evil"]}), "quantization"
    ),
    "quantization of nobody": Repository(
        config(quantization_config={"quant_method": "evil"}), "quantis", True
    ),
    "a type of nobody": Repository(
        config(model_type="evil", architectures=["EvilForCausalLM"], _name_or_path="evil/base"), "", True
    ),
    "a template that loops": Repository(template(LOOP), "template", True),
    "a template that ranges": Repository(template("{{ range(10**12) | list }}"), "template", True),
    "a template that grows": Repository(template("{{ 'x' * 10**11 }}"), "template", True),
    "a template that escapes": Repository(template(ESCAPE), "template", True),
    "a template that climbs classes": Repository(template(CLASSES), "template", True),
    "a template that includes": Repository(template("{% include '/etc/passwd' %}"), "template", True),
    "a tokenizer that never ends": Repository(catastrophic, "tokenizer", True),
}


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    # What the libraries of a hub would ask must not leave the machine, and would be heard of.
    with House(HF_ENDPOINT="http://127.0.0.1:9", MODELSCOPE_DOMAIN="127.0.0.1:9") as made:
        yield made


@pytest.fixture(scope="module")
def boss(house: House) -> Person:
    return house.register("boss")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plain")
    tiny_models.make_llama(folder)
    return folder


@pytest.fixture(scope="module")
def echo(house: House, boss: Person) -> str:
    return house.echo_model(boss, settings={"inline": True})


def memory(house: House, role: str) -> int:
    return int(psutil.Process(house.pid(role)).memory_info().rss)


def answer(house: House, boss: Person, model: str) -> dict[str, Any]:
    """The last event of a turn with this model."""
    # What a tokenizer's regex may take for ever to tell; a short answer will do.
    body = {"client_id": uuid.uuid4().hex, "content": "a" * 60 + "c", "params": {"max_tokens": 2}}

    async def ask() -> dict[str, Any]:
        async with house.ws(boss) as socket:
            await socket.send("turn.start", conversation=None, model=model, **body)
            accepted = await socket.until("turn.accepted", 30)
            events = [frame["event"] async for frame in socket.events(accepted["turn"], 180)]
            return events[-1]

    return asyncio.run(ask())


@pytest.mark.parametrize("name", REPOSITORIES)
def test_a_hostile_repository_is_refused_and_harms_nobody(
    house: House, boss: Person, echo: str, plain: Path, tmp_path: Path, name: str
) -> None:
    repository, canary = REPOSITORIES[name], tmp_path / "canary"
    folder = tmp_path / "model"
    shutil.copytree(plain, folder)
    repository.make(folder, canary)
    before = {role: memory(house, role) for role in ("web", "inference")}
    body = {"name": name[:100], "source": {"kind": "folder", "path": str(folder)}}
    if repository.at_load:
        made = house.call("POST", "/api/models/", boss, status=201, json=body)
        last = answer(house, boss, made["id"])
        assert last["kind"] == "failed" and last["code"] in ("load_failed", "invalid_request"), last
        said = last["message"]
        house.call("DELETE", f"/api/models/{made['id']}/", boss, status=204)
    else:
        refused = house.call("POST", "/api/models/", boss, status=400, json=body)
        assert refused["code"] == "invalid_model_folder", refused
        said = refused["message"]
    assert (repository.says in said and said.rstrip().endswith((".", ")", ":"))) or repository.at_load, said
    assert said and "Traceback" not in said
    assert not canary.exists()
    # Whoever has no part in it does not notice: the same processes, not swollen, and they answer.
    for role, was in before.items():
        assert memory(house, role) - was < MOST_GROWTH, role
    assert answer(house, boss, echo)["kind"] == "finished"


def gguf(*values: bytes, tensors: int = 0, keys: int | None = None) -> bytes:
    """The head of a GGUF file with these key-value pairs, as they are."""
    count = len(values) if keys is None else keys
    return b"GGUF" + struct.pack("<IQQ", 3, tensors, count) + b"".join(values)


def value(kind: int, data: bytes, key: bytes = b"a") -> bytes:
    return struct.pack("<Q", len(key)) + key + struct.pack("<I", kind) + data


def nested(depth: int) -> bytes:
    return struct.pack("<IQ", 9, 1) * depth + struct.pack("<IQ", 0, 0)


#: 8 is a string, 9 an array, 0 a byte (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md).
GGUF = {
    "2^60 keys": gguf(keys=1 << 60),
    "2^60 tensors": gguf(tensors=1 << 60),
    "a string of 2^62": gguf(value(8, struct.pack("<Q", 1 << 62))),
    "a string of 2^64-1": gguf(value(8, struct.pack("<Q", (1 << 64) - 1))),
    "a key of 2^40": gguf(struct.pack("<Q", 1 << 40) + b"a"),
    "an array of 2^61": gguf(value(9, struct.pack("<IQ", 0, 1 << 61))),
    "an array of strings of 2^61": gguf(value(9, struct.pack("<IQ", 8, 1 << 61))),
    "arrays in arrays": gguf(value(9, nested(100_000))),
    "a type of nobody": gguf(value(77, b"")),
    "another version": b"GGUF" + struct.pack("<IQQ", 1 << 30, 0, 0),
    "a pickle": b"\x80\x04cos\nsystem\n",
    "nothing": b"",
}


@pytest.mark.parametrize("name", GGUF)
def test_a_hostile_gguf_is_refused_from_its_head(
    house: House, boss: Person, tmp_path: Path, name: str
) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(GGUF[name])
    before = {role: memory(house, role) for role in ("web", "inference")}
    body = {"name": name, "source": {"kind": "gguf", "path": str(file)}}
    refused = house.call("POST", "/api/models/", boss, status=400, json=body)
    assert refused["code"] == "invalid_model_file" and refused["message"]
    assert all(memory(house, role) - was < MOST_GROWTH for role, was in before.items())


def test_pickles_beside_the_weights_are_never_opened(
    house: House, boss: Person, plain: Path, tmp_path: Path
) -> None:
    folder, canary = tmp_path / "model", tmp_path / "canary"
    shutil.copytree(plain, folder)
    for name in ("pytorch_model.bin", "training_args.bin", "optimizer.pt", "tokenizer.pkl", "scheduler.ckpt"):
        bomb(folder / name, canary)
    body = {"name": "pickles beside", "source": {"kind": "folder", "path": str(folder)}}
    made = house.call("POST", "/api/models/", boss, status=201, json=body)
    assert answer(house, boss, made["id"])["kind"] == "finished"
    assert not canary.exists()
    house.call("DELETE", f"/api/models/{made['id']}/", boss, status=204)


def test_a_folder_that_turns_hostile_after_it_was_registered_is_refused_by_the_model_process(
    house: House, boss: Person, plain: Path, tmp_path: Path
) -> None:
    folder, canary = tmp_path / "model", tmp_path / "canary"
    shutil.copytree(plain, folder)
    body = {"name": "turned", "source": {"kind": "folder", "path": str(folder)}}
    made = house.call("POST", "/api/models/", boss, status=201, json=body)
    code(folder, canary)
    edit(folder, auto_map={"AutoModelForCausalLM": "modeling_evil.Evil"})
    last = answer(house, boss, made["id"])
    assert last["code"] == "load_failed" and "code of its own" in last["message"]
    assert not canary.exists()


def test_the_canary_sings_when_something_runs(tmp_path: Path) -> None:
    """Or its silence would prove nothing."""
    bomb(tmp_path / "x", tmp_path / "canary")
    pickle.loads((tmp_path / "x").read_bytes())
    assert (tmp_path / "canary").exists()
    code(tmp_path, tmp_path / "second")
    exec((tmp_path / "modeling_evil.py").read_text())
    assert (tmp_path / "second").exists()
