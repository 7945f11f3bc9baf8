"""Models to begin with: what each is, where both hubs have it, and how much memory it needs.

`catalogue.json` holds the facts, as the models' own cards, configs and files have them: `size_bytes` is that
of the stored weights, `kv_numbers` how many numbers the KV cache holds for one token (keys and values of all
layers: 2 × layers × KV heads × head size; for MLA layers × (latent + rotary part), DeepSeek-V2, arXiv
2405.04434). A model of another size or quantisation is found by search; the fit of a repository is exact.
"""

from __future__ import annotations

import functools
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

#: What is said beside some entries, by the word that stands in the file.
_NOTES = {
    "": "",
    "experts": gettext_noop("Mixture of experts: 3.3 billion parameters work on each token."),
    "research": gettext_noop("Not for commercial use."),
    "base_licence": gettext_noop("Made from a Llama model, whose licence holds as well."),
    "gated": gettext_noop("Hugging Face asks for agreement to its terms, and for a token."),
    "large": gettext_noop("By endpoint, or on several GPUs with vLLM or SGLang."),
    "endpoint": gettext_noop("Runs at its maker, who may give a newer model under this name; needs a key."),
}
#: Beside weights and KV: tokenizer, buffers, the activations of a step.
_OVERHEAD = 256 << 20
_CONTEXT, _KV_WIDTH = 4096, 2
_FILE = Path(__file__).with_name("catalogue.json")


@dataclass(frozen=True)
class Entry:
    """`modelscope`, `huggingface`: "owner/name" there; `remote`: `{"base_url", "model"}` of an endpoint."""

    id: str
    name: str
    family: str
    parameters: int
    size_bytes: int
    kv_numbers: int
    context_length: int
    license: str
    capabilities: tuple[str, ...]
    languages: tuple[str, ...]
    modelscope: str | None
    huggingface: str | None
    remote: dict[str, str] | None
    note: str

    @property
    def needed_bytes(self) -> int:
        """Memory for one answer of 4096 tokens: the weights as stored, their KV in 16 bits, and 256 MiB.

        0 for an endpoint. An estimate before anything is known of the machine: no part of it is measured.
        """
        if self.remote is not None:
            return 0
        return self.size_bytes + _CONTEXT * self.kv_numbers * _KV_WIDTH + _OVERHEAD


@functools.cache
def entries() -> tuple[Entry, ...]:
    lines = json.loads(_FILE.read_text(encoding="utf-8"))
    return tuple(
        Entry(**line | {name: tuple(line[name]) for name in ("capabilities", "languages")}) for line in lines
    )


def entry(entry_id: str) -> Entry:
    """Raises StopIteration for an id that is not there: ids stand in the code only."""
    return next(one for one in entries() if one.id == entry_id)


def languages_of(hub: str, repo: str) -> list[str]:
    """The tags of what this repository speaks; [] where the catalogue does not know it."""
    found = (one for one in entries() if getattr(one, hub, None) == repo)
    return list(next((one.languages for one in found), ()))


def body(entry: Entry) -> dict[str, Any]:
    """The line of /api/catalogue/, its note in the active language."""
    note = _NOTES[entry.note]
    shown = asdict(entry) | {"needed_bytes": entry.needed_bytes, "note": _(note) if note else ""}
    del shown["kv_numbers"]
    return shown
