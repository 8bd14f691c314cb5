"""The installation's secret key and files that only its owner reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from wedsync_monitor.embedded.keys import secret_key, write_private


@pytest.fixture(autouse=True)
def without_a_key_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WEDSYNC_SECRET_KEY", raising=False)


def test_the_key_is_made_once_and_kept(tmp_path: Path) -> None:
    made = secret_key(tmp_path)
    assert len(made) > 50
    assert secret_key(tmp_path) == made
    assert (tmp_path / "secret-key").stat().st_mode & 0o777 == 0o600


def test_the_environment_goes_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEDSYNC_SECRET_KEY", "from outside")
    assert secret_key(tmp_path) == "from outside"
    assert not (tmp_path / "secret-key").exists()


def test_the_first_of_two_writers_wins(tmp_path: Path) -> None:
    write_private(tmp_path / "key", "first")
    write_private(tmp_path / "key", "second")
    assert (tmp_path / "key").read_text() == "first\n"
    assert [path.name for path in tmp_path.iterdir()] == ["key"]
