"""The reference and the architecture page say what the code says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from conversations.frames import CLIENT_FRAMES, LONGEST_FRAME, SERVER_FRAMES
from inference import protocol
from models_registry import deployment
from models_registry.openai_api import params
from tests import access_page
from tests.docs_facts import ROOT, WEB, error_codes, of_compose, trees, variables

DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"
TEST_ONLY = {"HEARTH_TEST_MODEL", "HEARTH_CHROMIUM", "HEARTH_PEERS"}


def rows(page: Path, head: str) -> dict[str, list[str]]:
    """First cell without its backticks → the other cells, of every table whose head begins with `head`."""
    found: dict[str, list[str]] = {}
    inside = False
    for line in page.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if not cells:
            inside = False
        elif cells[0] == head:
            inside = True
        elif inside and cells[0].startswith("`"):
            found[cells[0].strip("`")] = cells[1:]
    assert found, f"{page} has no table that begins with {head}"
    return found


def table(page: str, head: str, with_cell: str) -> dict[str, list[str]]:
    """The one table with this head of which a row's first cell is `with_cell`."""
    blocks = re.split(r"\n\n", (REFERENCE / page).read_text(encoding="utf-8"))
    (block,) = [b for b in blocks if b.startswith(f"| {head} ") and f"\n| `{with_cell}` |" in b]
    lines = [re.split(r"(?<!\\)\|", line)[1:-1] for line in block.strip().splitlines()[2:]]
    return {cells[0].strip().strip("`"): [cell.strip() for cell in cells[1:]] for cells in lines}


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_access_page_is_fresh():
    assert access_page.PAGE.read_text(encoding="utf-8") == access_page.page(), "python -m tests.access_page"


def test_every_variable_is_described_and_no_other():
    described = set(rows(REFERENCE / "settings.md", "variable"))
    assert described | TEST_ONLY == variables()


def test_every_setting_of_a_model_is_described():
    assert set(table("settings.md", "setting", "slots")) == set(deployment.KNOWN["transformers"])
    text = (REFERENCE / "settings.md").read_text(encoding="utf-8").partition("A remote endpoint has")[2]
    remote, _, echo = text.partition("The echo")
    assert set(names(remote)) == set(deployment.KNOWN["openai"])
    assert set(names(echo)) == set(deployment.KNOWN["echo"])


@pytest.mark.parametrize("readme", ["README.md", "README.zh.md"])
def test_the_readme_names_no_variable_that_is_not_there(readme: str):
    named = set(re.findall(r"HEARTH_[A-Z_]+", (ROOT / readme).read_text(encoding="utf-8")))
    assert named <= variables() | of_compose()


def test_frames_of_clients():
    described = table("frames.md", "type", "turn.start")
    assert {kind: names(cells[0]) for kind, cells in described.items()} == {
        kind: list(fields) for kind, fields in CLIENT_FRAMES.items()
    }
    assert f"{LONGEST_FRAME:,} characters" in (REFERENCE / "frames.md").read_text(encoding="utf-8")


def test_frames_of_the_server():
    assert tuple(table("frames.md", "type", "turn.accepted")) == SERVER_FRAMES


def test_kinds_of_events():
    described = set(table("frames.md", "kind", "status"))
    assert described == set(re.findall(r"^  (\w+) {2,}", protocol.__doc__ or "", re.MULTILINE))
    assert described >= protocol.LAST_EVENTS


def test_phases():
    described = set(table("frames.md", "phase", "queued"))
    made = set()
    for path, _ in trees("inference", "conversations"):
        made |= set(re.findall(r"""["']phase["']: ?["'](\w+)["']""", path.read_text(encoding="utf-8")))
    assert described == made


def test_error_codes():
    assert set(table("frames.md", "code", "invalid")) == error_codes("AppError", *WEB)
    service = error_codes("InferenceError", "inference", "conversations", "models_registry")
    assert set(table("frames.md", "code", "unavailable")) == service


def test_the_architecture_page_names_every_module_and_none_that_is_gone():
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^- `([\w/]+\.py)`", text, re.MULTILINE))
    ours = {str(path.relative_to(ROOT)) for path, _ in trees(*WEB, "inference", "launcher", "system")}
    wanted = {path for path in ours if "migrations" not in path and not path.endswith("__init__.py")}
    assert named == wanted


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.name)
def test_links_and_files_that_a_page_names_are_there(page: Path):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert (page.parent / target).exists(), target
    for path in re.findall(
        r"`((?:config|accounts|inference|conversations|models_registry|monitoring|launcher|frontend|tests|benchmarks|docs)/[\w./-]+\.\w+)`",
        text,
    ):
        assert (ROOT / path).exists(), path


def test_fields_of_a_chat_completion():
    described = {name for cell in rows(REFERENCE / "openai.md", "fields") for name in names(f"`{cell}`")}
    known = {*params.NUMBERS, *params.INTEGERS, *params.OWN, *params.IGNORED}
    assert described == known - {"model", "messages"}
