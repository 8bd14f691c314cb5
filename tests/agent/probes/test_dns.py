"""dns probes against a resolver that answers, lies, truncates, and says nothing."""

from __future__ import annotations

import asyncio
import socket

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from wedsync_agent.probes import dns as probe

from tests.agent.probes.conftest import probed

ZONE = {
    "A": ["192.0.2.1", "192.0.2.2"],
    "AAAA": ["2001:db8::1"],
    "CNAME": ["other.example."],
    "MX": ["10 mail.example."],
    "NS": ["ns.example."],
    "TXT": ['"v=spf1" " -all"'],
    "SOA": ["ns.example. admin.example. 1 2 3 4 5"],
    "SRV": ["1 2 443 srv.example."],
    "CAA": ['0 issue "ca.example"'],
    "PTR": ["host.example."],
}


def answer(question: dns.message.Message, over_tcp: bool) -> list[bytes]:
    """The zone's records, as a resolver that validated them."""
    said = dns.message.make_response(question)
    asked = question.question[0]
    kind = dns.rdatatype.to_text(asked.rdtype)
    said.flags |= dns.flags.AD
    said.answer.append(dns.rrset.from_text(asked.name, 300, "IN", kind, *ZONE[kind]))
    return [said.to_wire()]


def unsigned(question, over_tcp):
    said = dns.message.from_wire(answer(question, over_tcp)[0])
    said.flags &= ~dns.flags.AD
    return [said.to_wire()]


def truncated(question, over_tcp):
    if over_tcp:
        return answer(question, True)
    said = dns.message.make_response(question)
    said.flags |= dns.flags.TC
    return [said.to_wire()]


def lies_first(question, over_tcp):
    """Somebody who cannot see the question answers before the resolver does: other numbers, other names, rubbish."""
    forged = dns.message.from_wire(answer(question, over_tcp)[0].replace(bytes([192, 0, 2, 1]), bytes([6, 6, 6, 6])))
    forged.id ^= 1
    other = dns.message.make_query("other.example", "A")
    other.id = question.id
    return [forged.to_wire(), b"rubbish", dns.message.make_response(other).to_wire(), *answer(question, over_tcp)]


def gone(question, over_tcp):
    said = dns.message.make_response(question)
    said.set_rcode(dns.rcode.NXDOMAIN)
    return [said.to_wire()]


class Resolver(asyncio.DatagramProtocol):
    """One port over UDP and TCP that answers as `behave` says; the first `lost` datagrams never arrive."""

    def __init__(self):
        self.behave, self.lost, self.asked = answer, 0, 0

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, sender):
        self.asked += 1
        if self.asked > self.lost:
            for one in self.behave(dns.message.from_wire(data), False):
                self.transport.sendto(one, sender)

    async def over_tcp(self, reader, writer):
        size = int.from_bytes(await reader.readexactly(2), "big")
        for one in self.behave(dns.message.from_wire(await reader.readexactly(size)), True):
            writer.write(len(one).to_bytes(2, "big") + one)
        writer.close()


def port_of_both() -> tuple[socket.socket, socket.socket]:
    """A port that is free for TCP and for UDP."""
    while True:
        listening = socket.create_server(("127.0.0.1", 0))
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            datagrams.bind(listening.getsockname())
            return listening, datagrams
        except OSError:
            listening.close()
            datagrams.close()


@pytest.fixture
def resolver(targets):
    started = Resolver()
    listening, datagrams = port_of_both()
    started.address = f"127.0.0.1:{listening.getsockname()[1]}"

    async def start():
        await asyncio.get_running_loop().create_datagram_endpoint(lambda: started, sock=datagrams)
        return await asyncio.start_server(started.over_tcp, sock=listening)

    async def end():
        server.close()
        started.transport.close()

    server = asyncio.run_coroutine_threadsafe(start(), targets).result(5)
    yield started
    asyncio.run_coroutine_threadsafe(end(), targets).result(5)


def asked(resolver, name="wedding.example", **said):
    return probed("dns", host=name, **{"resolvers": [resolver.address]} | said)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("A", ["192.0.2.1", "192.0.2.2"]),
        ("AAAA", ["2001:DB8:0::1"]),
        ("CNAME", ["OTHER.example"]),
        ("MX", ["10 mail.example"]),
        ("NS", ["ns.example."]),
        ("TXT", ["v=spf1 -all"]),
        ("SOA", ["ns.example. admin.example. 1 2 3 4 5"]),
        ("SRV", ["1 2 443 srv.example"]),
        ("CAA", ['0 issue "ca.example"']),
        ("PTR", ["host.example"]),
    ],
)
def test_every_type_of_record_is_asked_for_and_compared(resolver, kind, values):
    name = "192.0.2.7" if kind == "PTR" else "wedding.example"
    outcome = asked(resolver, name, dns_record_type=kind, expected_answers=values, require_dnssec=True)
    assert outcome.error_message is None
    told = outcome.dns_info
    assert told["name"] == ("7.2.0.192.in-addr.arpa." if kind == "PTR" else "wedding.example.")
    assert told["resolvers"][0]["authenticated"]
    assert outcome.timing.total_ms == outcome.timing.dns_lookup_ms
    assert "1 is not among" in asked(resolver, name, dns_record_type=kind, expected_answers=["1"]).error_message


def test_an_expected_address_has_to_be_among_the_answers(resolver):
    assert asked(resolver, expected_ip="192.0.2.2").status == "success"
    outcome = asked(resolver, expected_ip="192.0.2.3")
    assert (outcome.status, outcome.problem) == ("failure", "expectation")
    assert outcome.dns_info["answers"] == ["192.0.2.1", "192.0.2.2"]


def test_an_answer_that_does_not_fit_is_asked_for_again_over_tcp(resolver):
    resolver.behave = truncated
    outcome = asked(resolver, expected_ip="192.0.2.1")
    assert outcome.error_message is None
    assert outcome.dns_info["resolvers"][0]["over_tcp"]


def test_answers_to_other_questions_are_passed_over(resolver):
    resolver.behave = lies_first
    assert asked(resolver, expected_answers=ZONE["A"]).dns_info["answers"] == ZONE["A"]


def test_dnssec_has_to_be_vouched_for_where_it_is_required(resolver):
    resolver.behave = unsigned
    assert "not authenticated" in asked(resolver, require_dnssec=True).error_message
    assert asked(resolver).status == "success"


def test_names_that_are_not_there(resolver):
    resolver.behave = gone
    assert "NXDOMAIN, expected NOERROR" in asked(resolver).error_message
    assert asked(resolver, expected_rcode="NXDOMAIN").status == "success"


def test_a_datagram_that_is_lost_is_sent_again(resolver, monkeypatch):
    monkeypatch.setattr(probe, "ATTEMPTS", 100)
    resolver.lost = 1
    assert asked(resolver, timeout=10).status == "success"
    assert resolver.asked > 1


def test_silence_is_a_timeout(resolver):
    resolver.behave = lambda *_: []
    assert asked(resolver, timeout=0.1).status == "timeout"


def test_every_one_of_several_resolvers_has_to_answer(resolver):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        other = f"127.0.0.1:{silent.getsockname()[1]}"
        outcome = asked(resolver, resolvers=[resolver.address, other], timeout=0.1)
    assert outcome.status == "timeout"


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({"resolvers": ["169.254.169.254"]}, "forbidden"),
        ({"resolvers": ["10.0.0.53:53"]}, "forbidden"),
        ({"resolvers": ["dns.example"]}, "configuration"),
        ({"resolvers": ["127.0.0.1:99999"]}, "configuration"),
        ({"name": "a..b"}, "configuration"),
    ],
)
def test_resolvers_are_guarded_addresses(resolver, said, problem):
    assert asked(resolver, **said).problem == problem
