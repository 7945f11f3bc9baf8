"""What start.py says, in the language of its user. Runs on Python 3.8, before there is any package.

`t("An English sentence with {gaps}", gaps=…)`: the English is the key, launcher/chinese.py holds the Chinese.
"""

import locale
import os
import sys

from launcher.chinese import SENTENCES

LANGUAGES = ("en", "zh")
_language = ["en"]


def console():
    # type: () -> None
    """UTF-8 on every console: a Chinese path or a typographic sign must not end the program."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="replace")


def language_of(words, environ, system=""):
    # type: (list[str], dict[str, str], str) -> str
    """`--lang`, else the environment's variables in the order of gettext, else the system's."""
    for at, word in enumerate(words):
        if word == "--lang" and at + 1 < len(words) and words[at + 1] in LANGUAGES:
            return words[at + 1]
        if word.startswith("--lang=") and word[7:] in LANGUAGES:
            return word[7:]
    for name in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        value = environ.get(name, "")
        if value:
            return "zh" if value.lower().startswith("zh") else "en"
    return "zh" if system.lower().startswith(("zh", "chinese")) else "en"


def choose(words):
    # type: (list[str]) -> None
    system = (locale.getlocale()[0] or "") if os.name == "nt" else ""
    _language[0] = language_of(words, dict(os.environ), system)


def language():
    # type: () -> str
    return _language[0]


def speak(which):
    # type: (str) -> None
    _language[0] = which


def t(sentence, **gaps):
    # type: (str, object) -> str
    found = SENTENCES.get(sentence, sentence) if _language[0] == "zh" else sentence
    return found.format(**gaps) if gaps else found
