"""Every sentence of start.py has its Chinese, with the same gaps; which language is spoken."""

from __future__ import annotations

import argparse
import ast
import inspect
import re

import pytest

from launcher import arguments, words
from launcher.chinese import ARGPARSE, SENTENCES
from launcher.place import ROOT


def sentences() -> set[str]:
    """The literals that `t(...)` is called with, and those of `N_(...)`, which are translated later."""
    found = set()
    files = [ROOT / "start.py", *(ROOT / "launcher").glob("*.py")]
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("t", "N_"):
                first = node.args[0]
                if isinstance(first, ast.Constant):
                    found.add(str(first.value))
    return found


def test_every_sentence_has_its_chinese_and_no_chinese_is_left_over() -> None:
    assert sentences() == set(SENTENCES)


@pytest.mark.parametrize("english", sorted(SENTENCES))
def test_the_gaps_are_the_same(english: str) -> None:
    gaps = re.compile(r"\{[^}]*\}")
    assert sorted(gaps.findall(english)) == sorted(gaps.findall(SENTENCES[english]))


@pytest.mark.parametrize(
    ("argv", "environ", "system", "language"),
    [
        ([], {}, "", "en"),
        ([], {"LANG": "zh_CN.UTF-8"}, "", "zh"),
        ([], {"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, "", "en"),
        ([], {"LANG": "C.UTF-8", "LANGUAGE": "zh_TW:en"}, "", "zh"),
        (["start", "--lang", "zh"], {"LANG": "en_US.UTF-8"}, "", "zh"),
        (["--lang=en"], {"LANG": "zh_CN"}, "", "en"),
        ([], {}, "Chinese (Simplified)_China", "zh"),
        ([], {"LANG": "de_DE"}, "Chinese (Simplified)_China", "en"),
    ],
)
def test_the_language(argv: list[str], environ: dict[str, str], system: str, language: str) -> None:
    assert words.language_of(argv, environ, system) == language


def test_a_sentence_in_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "_language", ["en"])
    english = words.t("Hearth needs Python 3.11 or later; this is {mine}.", mine="3.8")
    words.speak("zh")
    chinese = words.t("Hearth needs Python 3.11 or later; this is {mine}.", mine="3.8")
    assert english.startswith("Hearth") and chinese.startswith("炉边") and "3.8" in chinese


def test_the_help_is_in_the_users_language(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(argparse, "_", argparse._)  # type: ignore[attr-defined]
    monkeypatch.setattr(words, "_language", ["zh"])
    arguments.parser().print_help()
    said = capsys.readouterr().out
    assert "用法：" in said and "数据文件夹" in said and "显示本帮助并退出" in said
    with pytest.raises(SystemExit):
        arguments.parser().parse_args(["--mirror", "moon"])
    assert "没有 'moon' 这个选择" in capsys.readouterr().err
    words.speak("en")
    arguments.parser().print_help()
    assert capsys.readouterr().out.isascii()


def test_argparse_still_asks_for_its_words_as_they_are_known() -> None:
    source = inspect.getsource(argparse)
    assert [word for word in ARGPARSE if word.replace("\n", "\\n") not in source] == []
