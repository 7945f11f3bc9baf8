"""start.py's sentences in Chinese. Runs on Python 3.8; launcher/tests/test_words.py keeps it whole."""

# ruff: noqa: E501 - one sentence, one line

SENTENCES = {
    "Fetching Python 3.12 with uv …": "正在用 uv 获取 Python 3.12……",
    "Hearth needs Python 3.11 or later; this is {mine}.": "炉边需要 Python 3.11 或更新版本，当前是 {mine}。",
    "Its packages (Django 5.2, torch 2.13) are not made for older ones; no newer one was found.": (
        "它用到的软件包（Django 5.2、torch 2.13）不支持更旧的版本，本机也没有找到更新的 Python。"
    ),
    "Type this, it needs no root:  {line}": "请输入下面这一行（不需要 root 权限）：  {line}",
    "This is Python {mine}; going on with {found}: {program}": "当前 Python 为 {mine}；改用 {found}：{program}",
}
