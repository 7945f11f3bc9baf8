"""Where the model service reads its secret from, and what it says when it cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from inference.server.__main__ import secret_of


def test_a_plain_file_is_the_secret(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("abc\n")
    assert secret_of(tmp_path / "secret") == "abc"


def test_the_secrets_of_a_data_folder_are_understood(tmp_path: Path) -> None:
    (tmp_path / "secrets.json").write_text('{"secret_key": "no", "inference_secret": "yes"}')
    assert secret_of(tmp_path / "secrets.json") == "yes"


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("secrets.json", None, "the web process makes it"),
        ("secret", None, "is not there"),
        ("secrets.json", "{", "cannot be read"),
        ("secrets.json", "[]", "cannot be read"),
        ("secrets.json", '{"secret_key": "x"}', "holds no secret"),
        ("secret", " \n", "holds no secret"),
    ],
)
def test_a_service_without_a_secret_does_not_start(
    tmp_path: Path, name: str, text: str | None, says: str
) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(SystemExit, match=says):
        secret_of(tmp_path / name)
