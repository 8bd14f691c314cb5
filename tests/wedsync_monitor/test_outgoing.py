"""Where requests may go: a table of addresses, and names that try to lead elsewhere."""

from __future__ import annotations

import ipaddress

import pytest

from wedsync_monitor import outgoing
from wedsync_monitor.outgoing import Forbidden


@pytest.mark.parametrize(
    ("address", "allowed", "reached"),
    [
        ("93.184.216.34", [], True),
        ("2606:4700::1111", [], True),
        ("127.0.0.1", [], False),
        ("127.0.0.1", ["127.0.0.0/8"], True),
        ("10.1.2.3", [], False),
        ("10.1.2.3", ["10.0.0.0/8"], True),
        ("192.168.1.1", ["10.0.0.0/8"], False),
        ("169.254.169.254", [], False),
        ("169.254.169.254", ["0.0.0.0/0"], False),
        ("100.100.100.200", ["0.0.0.0/0"], False),
        ("fd00:ec2::254", ["::/0"], False),
        ("fe80::1", ["::/0"], False),
        ("::1", [], False),
        ("::ffff:127.0.0.1", [], False),
        ("::ffff:169.254.169.254", ["0.0.0.0/0", "::/0"], False),
        ("64:ff9b::a9fe:a9fe", ["::/0"], False),
        ("0.0.0.0", [], False),
        ("224.0.0.1", [], False),
        ("255.255.255.255", [], False),
    ],
)
def test_which_addresses_are_reached(address, allowed, reached):
    networks = [ipaddress.ip_network(one) for one in allowed]
    assert (outgoing.refusal(ipaddress.ip_address(address), networks) is None) == reached


def answers(*addresses: str):
    return lambda host, port: [(0, 0, 0, "", (address, port)) for address in addresses]


def test_one_private_address_among_a_names_addresses_is_enough_to_refuse_it():
    with pytest.raises(Forbidden, match=r"10\.0\.0\.1"):
        outgoing.checked_address("sneaky.example", 80, answers("93.184.216.34", "10.0.0.1"))
    assert outgoing.checked_address("honest.example", 80, answers("93.184.216.34")) == "93.184.216.34"


@pytest.mark.parametrize(
    "url",
    ["ftp://example.com/", "file:///etc/passwd", "http://user:secret@example.com/", "http:///nothing", "gopher://x",
     "http://169.254.169.254/latest/meta-data", "http://[::ffff:169.254.169.254]/", "http://0x7f.1/", "http://localhost:0/"],
)  # fmt: skip
def test_urls_that_lead_where_nobody_should_go(url, settings):
    settings.OUTGOING_ALLOWED_NETWORKS = []
    with pytest.raises((Forbidden, outgoing.Unreachable)):
        outgoing.request("GET", url)
