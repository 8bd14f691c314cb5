"""`manage.py run`: what it works out before anything starts."""

import socket
from pathlib import Path
from typing import Any

import pytest

from wedsync_monitor.embedded import location
from wedsync_monitor.management.commands.run import Command, address_from_here


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::", "http://127.0.0.1:8000"),
        ("::1", "http://[::1]:8000"),
        ("10.0.0.5", "http://10.0.0.5:8000"),
    ],
)
def test_the_agent_of_this_machine_reaches_a_server_that_listens_anywhere(host: str, address: str) -> None:
    assert address_from_here(host, 8000) == address


def test_the_address_is_told_once_and_not_before_it_takes_connections(
    settings: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        settings.HOST, settings.PORT = server.getsockname()
        announce = Command()._announcement(tmp_path)
        announce()
        assert capsys.readouterr().out == ""
        server.listen()
        announce()
        announce()
    assert capsys.readouterr().out.count(settings.PUBLIC_URL) == 1


def test_socket_folders_go_with_their_servers_unless_something_is_in_them(tmp_path: Path) -> None:
    postgres, redis = (location.socket_dir(tmp_path, server) for server in ("postgres", "redis"))
    for folder in (postgres, redis):
        location.claim_private_dir(folder)
    (redis / "redis.sock").touch()
    location.remove_socket_dirs(tmp_path)
    assert (postgres.exists(), redis.exists()) == (False, True)
    (redis / "redis.sock").unlink()
    location.remove_socket_dirs(tmp_path)
