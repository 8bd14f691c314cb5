"""Where the embedded servers listen."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wedsync_monitor.embedded import location

SOCKET_PATH_LIMIT = 100


def test_two_data_folders_have_two_sockets() -> None:
    one, other = (location.socket_dir(Path("/srv") / name, "postgres") for name in ("one", "other"))
    assert one != other


def test_a_folder_has_the_same_socket_however_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    assert location.socket_dir(tmp_path / "link", "redis") == location.socket_dir(tmp_path, "redis")


def test_a_socket_path_is_short_however_deep_the_data_are() -> None:
    deep = Path("/", *["a long folder name"] * 40)
    assert len(str(location.socket_dir(deep, "postgres") / ".s.PGSQL.5432")) < SOCKET_PATH_LIMIT
    assert len(str(location.redis_socket(deep))) < SOCKET_PATH_LIMIT


def test_celery_names_a_unix_socket_its_own_way() -> None:
    assert location.broker_url("unix:///run/redis.sock") == "redis+socket:///run/redis.sock"
    assert location.broker_url("redis://cache:6379/0") == "redis://cache:6379/0"


def test_a_private_folder_is_ours_alone(tmp_path: Path) -> None:
    folder = tmp_path / "sockets"
    folder.mkdir(mode=0o777)
    location.claim_private_dir(folder)
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_link_in_the_place_of_a_private_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "sockets").symlink_to(tmp_path)
    with pytest.raises(PermissionError, match="another user"):
        location.claim_private_dir(tmp_path / "sockets")


def test_a_folder_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stranger = tmp_path.stat().st_uid + 1
    monkeypatch.setattr(os, "geteuid", lambda: stranger)
    with pytest.raises(PermissionError, match="another user"):
        location.claim_private_dir(tmp_path)
