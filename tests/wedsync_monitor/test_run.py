"""`manage.py run`: what it works out before anything starts."""

import pytest

from wedsync_monitor.management.commands.run import address_from_here


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
