"""ping probes of loopback where the kernel lets them, and the codec of echo everywhere."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wedsync_agent.probes import ping

from tests.agent.probes.conftest import probed

TOKEN = bytes(range(16))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_loopback_answers_or_it_is_said_why_it_cannot_be_asked_here(host):
    outcome = probed("ping", host=host, ping_count=3, ping_interval_ms=10)
    if outcome.problem == "impossible":
        assert "not possible here" in outcome.error_message
        return
    told = outcome.network_info["ping"]
    assert (outcome.status, told["sent"], told["received"], told["loss_percent"]) == ("success", 3, 3, 0)
    assert 0 < told["min_ms"] <= told["avg_ms"] <= told["max_ms"]
    assert outcome.timing.total_ms == pytest.approx(outcome.timing.dns_lookup_ms + told["avg_ms"])


def test_a_kernel_that_allows_neither_socket_is_told_as_this_machines_lack(monkeypatch):
    allowed = socket.socket

    def refuse(family=-1, kind=-1, protocol=-1, number=None):
        if protocol == socket.IPPROTO_ICMP:
            raise PermissionError(1, "Operation not permitted")
        return allowed(family, kind, protocol, number)

    monkeypatch.setattr(ping.socket, "socket", refuse)
    outcome = probed("ping", host="127.0.0.1")
    assert (outcome.status, outcome.problem) == ("error", "impossible")
    assert "ping_group_range" in outcome.error_message


def test_pings_are_guarded_and_have_to_fit_into_their_time():
    assert probed("ping", host="169.254.169.254").problem == "forbidden"
    outcome = probed("ping", host="127.0.0.1", ping_count=20, ping_interval_ms=1000)
    assert outcome.problem == "configuration"


@settings(max_examples=20)
@given(st.integers(0, 65535), st.binary(min_size=16, max_size=16))
def test_a_reply_leads_back_to_its_request(number, token):
    request = ping.echo_request(socket.AF_INET, number, token)
    assert ping._checksum(request) == 0
    assert ping.number_in(socket.AF_INET, b"\0" + request[1:], token) == number
    assert ping.number_in(socket.AF_INET, b"\0" + request[1:], token[::-1] + b"x") is None
    assert ping.number_in(socket.AF_INET, request, token) is None


@pytest.mark.parametrize(("took", "jitter"), [([5.0], 0), ([1.0, 3.0, 2.0], 1.5), ([2.0, 2.0], 0)])
def test_jitter_is_the_mean_step(took, jitter):
    assert ping.jitter(took) == jitter
