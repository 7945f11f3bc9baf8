"""The README's pictures: `python -m scripts.screenshots [FOLDER]` writes small PNGs to docs/images/.

Needs the built page and Chromium; everything shown is answered by scripted models in a house of its own.
"""

from __future__ import annotations

import json
import math
import re
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page

from tests.browser.guests import Guests, ask, chromium, ended, has_words, last_answer
from tests.fake_hub import FakeHub
from tests.house import ROOT, House, Person, python

QUESTION = {
    "en": "Why is the sum of the first n odd numbers a square?",
    "zh": "为什么前 n 个奇数之和是一个平方数？",
}
ANSWER = {
    "en": """Lay the odd numbers as **corners** around a square:

| n | sum | square |
|--:|:----|-------:|
| 1 | 1 | 1 |
| 2 | 1 + 3 | 4 |
| 3 | 1 + 3 + 5 | 9 |

Each new corner has $2n - 1$ stones, and it turns a square of side $n-1$ into one of side $n$:

$$(n-1)^2 + (2n-1) = n^2$$

The same in Python:

```python
def odd_sum(n: int) -> int:
    return sum(2 * k - 1 for k in range(1, n + 1))
```
""",
    "zh": """把奇数看作围在正方形外的**拐角**：

| n | 和 | 平方 |
|--:|:----|-------:|
| 1 | 1 | 1 |
| 2 | 1 + 3 | 4 |
| 3 | 1 + 3 + 5 | 9 |

每个新拐角有 $2n - 1$ 颗石子，把边长 $n-1$ 的正方形补成边长 $n$ 的：

$$(n-1)^2 + (2n-1) = n^2$$
""",
}
WIDE = {"viewport": {"width": 1200, "height": 750}, "color_scheme": "light"}
PHONE = {
    "viewport": {"width": 390, "height": 780},
    "has_touch": True,
    "is_mobile": True,
    "color_scheme": "light",
}


def models(house: House, admin: Person) -> None:
    inline = {"inline": True}
    house.echo_model(admin, "Echo", text=ANSWER["en"], delay_ms=15, settings=inline)
    house.echo_model(admin, "Echo 回声", text=ANSWER["zh"], delay_ms=8, settings=inline)
    house.echo_model(admin, "Echo large", text=ANSWER["en"], delay_ms=0, settings={"load_ms": 3000})
    script = {"text": ANSWER["en"], "delay_ms": 5, "fault": "error", "fault_at": 30, "fault_always": True}
    house.echo_model(admin, "Echo frail", settings=inline, **script)


def repository(folder: Path) -> None:
    """Qwen3-0.6B as a hub lists it: its real shape, and weights that are a hole in the disk."""
    folder.mkdir(parents=True)
    wide, heads, inner, layers, vocabulary = 1024, 16 * 128, 3072, 28, 151936
    config = {
        "model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"], "torch_dtype": "bfloat16",
        "hidden_size": wide, "intermediate_size": inner, "num_hidden_layers": layers, "head_dim": 128,
        "num_attention_heads": 16, "num_key_value_heads": 8, "vocab_size": vocabulary,
        "max_position_embeddings": 40960, "tie_word_embeddings": True,
    }  # fmt: skip
    shapes = {"model.embed_tokens.weight": [vocabulary, wide], "model.norm.weight": [wide]}
    for layer in range(layers):
        parts = {
            "self_attn.q_proj": [heads, wide], "self_attn.k_proj": [wide, wide],
            "self_attn.v_proj": [wide, wide], "self_attn.o_proj": [wide, heads],
            "mlp.gate_proj": [inner, wide], "mlp.up_proj": [inner, wide], "mlp.down_proj": [wide, inner],
            "input_layernorm": [wide],
        }  # fmt: skip
        shapes |= {f"model.layers.{layer}.{name}.weight": shape for name, shape in parts.items()}
    header, end = {}, 0
    for name, shape in shapes.items():
        begin, end = end, end + 2 * math.prod(shape)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [begin, end]}
    head = json.dumps(header).encode()
    with (folder / "model.safetensors").open("wb") as weights:
        weights.write(len(head).to_bytes(8, "little") + head)
        weights.truncate(8 + len(head) + end)
    (folder / "config.json").write_text(json.dumps(config))
    template = {"chat_template": "{% for tool in tools %}{{ tool }}{% endfor %}<think></think><tool_call>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(template))
    (folder / "tokenizer.json").write_text("{}")
    (folder / "LICENSE").write_text("Apache License 2.0")
    (folder / "README.md").write_text("# Qwen3-0.6B")
    folder.with_name(folder.name + ".json").write_text(json.dumps({"license": "apache-2.0"}))


class Pictures:
    def __init__(self, house: House, guests: Guests, person: Person, folder: Path) -> None:
        self.house, self.guests, self.person, self.folder = house, guests, person, folder

    def chat(self, model: str, lang: str = "en", **options: object) -> Page:
        """A page that has just asked `model` its question."""
        body = {"model": model}
        made = self.house.call("POST", "/api/conversations/", self.person, status=201, json=body)
        page = self.guests.open(self.person, f"/c/{made['id']}", **options)
        page.get_by_test_id("composer").wait_for()
        ask(page, QUESTION[lang])
        return page

    def take(self, page: Page, name: str) -> None:
        page.evaluate("() => document.fonts.ready")
        # What is loaded late: formulas, the list and the models.
        for waits in (".formula-waits", ".list-waits", ".ant-skeleton"):
            page.wait_for_function("(one) => !document.querySelector(one)", arg=waits)
        page.screenshot(path=self.folder / f"{name}.png", animations="disabled")
        page.context.close()

    def all(self) -> None:
        page = self.guests.open(path="/login", **WIDE)
        page.get_by_test_id("submit").wait_for()
        self.take(page, "login")
        page = self.guests.open(self.person, **WIDE)
        page.get_by_text("Echo answers here").wait_for()
        self.take(page, "empty")
        page = self.chat("Echo", **WIDE)
        has_words(page, 45)
        self.take(page, "streaming")
        page = self.chat("Echo large", **WIDE)
        last_answer(page).get_by_text("60 %").wait_for()
        self.take(page, "loading")
        page = self.chat("Echo frail", **WIDE)
        ended(page, "failed")
        self.take(page, "failed")
        page = self.chat("Echo", **PHONE)
        ended(page)
        self.take(page, "phone")
        page = self.chat("Echo", **WIDE | {"color_scheme": "dark"})
        ended(page)
        self.take(page, "dark")
        page = self.chat("Echo 回声", "zh", **WIDE, locale="zh-CN")
        ended(page)
        self.take(page, "chinese")
        page = self.guests.open(self.person, "/models", **WIDE)
        page.get_by_test_id("model-card").first.wait_for()
        self.take(page, "models")
        page = self.guests.open(self.person, "/models/add/modelscope/Qwen/Qwen3-0.6B", **WIDE)
        page.get_by_test_id("repo-download").click()
        figures = page.get_by_test_id("download-figures")
        figures.get_by_text(re.compile(r"[3-9]\d\d MB of")).wait_for(timeout=120_000)
        page.locator(".ant-message-notice").wait_for(state="detached")
        self.take(page, "get-model")


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as root, FakeHub(root) as hub:
        repository(Path(root) / "Qwen" / "Qwen3-0.6B")
        hub.faults.add("throttle", match="*.safetensors", rate=30_000_000)
        hub.repos.all()  # hashed before anybody waits for an answer
        _take_all(folder, hub.endpoint)


def _take_all(folder: Path, hub: str) -> None:
    house = House(worker=True, HEARTH_MODELSCOPE_ENDPOINT=hub, HEARTH_HF_ENDPOINT=hub)
    python(house.env, "-m", "django", "collectstatic", "--noinput", "--verbosity", "0")
    with house, chromium() as browser:
        admin = house.register("anna")
        models(house, admin)
        guests = Guests(browser, house)
        Pictures(house, guests, admin, folder).all()
        if guests.trouble:
            sys.exit("\n".join(guests.trouble))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images")
