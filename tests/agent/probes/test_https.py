"""http probes over TLS and HTTP/2."""

from __future__ import annotations

import asyncio
import time

import h2.config
import h2.connection
import h2.errors
import h2.events
import pytest

from tests.agent.probes.conftest import answering, dripping, page, probed


@pytest.fixture
def trusted(authority):
    return {"ca_certificate": authority.root.pem()}


def test_tls_is_verified_and_the_certificate_told(serve, tls, trusted):
    target = serve(answering(page()), tls("good"))
    outcome = probed("http", url=f"https://localhost:{target.port}/", ip_version="4", **trusted)
    assert outcome.status == "success"
    told = outcome.certificate_info
    assert (told["subject"], told["issuer"], told["protocol"]) == ("good", "Test Intermediate", "TLSv1.3")
    assert [one["subject"] for one in told["chain"]] == ["good", "Test Intermediate"]
    assert 89 < told["days_left"] <= 90
    assert told["earliest_verified_expiry"] == told["not_after"]
    assert outcome.timing.tls_handshake_ms > 0


@pytest.mark.parametrize(
    ("leaf", "told"),
    [
        ("expired", "has expired"),
        ("wrong", "not valid for 'localhost'"),
        ("self-signed", "self-signed"),
        ("incomplete", "unable to get local issuer"),
        ("gone intermediate", "has expired"),
    ],
)
def test_a_certificate_that_is_not_valid_fails_unless_the_check_says_otherwise(serve, tls, trusted, leaf, told):
    url = f"https://localhost:{serve(answering(page()), tls(leaf)).port}/"
    outcome = probed("http", url=url, ip_version="4", **trusted)
    assert (outcome.status, outcome.problem, outcome.status_code) == ("failure", "tls", None)
    assert told in outcome.error_message
    outcome = probed("http", url=url, ip_version="4", verify_tls=False)
    assert (outcome.status, outcome.certificate_info["earliest_verified_expiry"]) == ("success", None)


def test_an_intermediate_that_ends_first_is_the_one_that_is_warned_of(serve, tls, trusted):
    target = serve(answering(page()), tls("old intermediate"))
    said = {"url": f"https://localhost:{target.port}/", "ip_version": "4", **trusted}
    outcome = probed("http", certificate_days_warning=14, **said)
    assert (outcome.status, outcome.problem) == ("failure", "expiring")
    assert outcome.certificate_info["days_left"] > 80
    assert 4 < outcome.certificate_info["earliest_days_left"] <= 5
    assert probed("http", certificate_days_warning=3, **said).status == "success"


def test_a_name_for_tls_can_be_given(serve, tls, trusted):
    target = serve(answering(page()), tls("good"))
    assert probed("http", url=target.url, server_name="shop.wedding.example", **trusted).status == "success"
    assert probed("http", url=target.url, server_name="wedding.example", **trusted).problem == "tls"


def test_a_handshake_that_drips_or_is_none_ends(serve):
    port = serve(dripping(b"\x16\x03\x03\x40\x00", b"\x00")).port
    began = time.monotonic()
    assert probed("http", timeout=0.1, url=f"https://127.0.0.1:{port}/").status == "timeout"
    assert time.monotonic() - began < 5
    plain = serve(dripping(b"SSH-2.0-OpenSSH_9.9\r\n"))
    assert probed("http", url=f"https://127.0.0.1:{plain.port}/").problem == "tls"


class Second:
    """An HTTP/2 server for one request: what it answers is the behaviour."""

    def __init__(self, answer):
        self.answer = answer

    async def __call__(self, reader, writer):
        spoken = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        spoken.initiate_connection()
        headers, body = {}, bytearray()
        while data := await reader.read(65536):
            for event in spoken.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    headers = dict(event.headers)
                elif isinstance(event, h2.events.DataReceived):
                    body += event.data
                    spoken.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, h2.events.StreamEnded):
                    self.target.requests.append((headers, bytes(body)))
                    self.answer(spoken, event.stream_id, bytes(body))
            writer.write(spoken.data_to_send())
            await writer.drain()


def echo(spoken, stream, body):
    spoken.send_headers(stream, [(":status", "200"), ("content-type", "text/plain")])
    for place in range(0, len(body), 16000):
        spoken.send_data(stream, body[place : place + 16000])
    spoken.end_stream(stream)


def test_http_2_is_spoken_where_the_server_chooses_it(serve, tls, trusted):
    target = serve(Second(echo), tls("good", "h2"))
    said = {"url": f"{target.url}/p?q=1", "headers": {"X-Own": "1"}, "auth": {"type": "bearer", "token": "t-123456"}}
    outcome = probed("http", method="POST", body="rings " * 10000, expected_content="rings", **said, **trusted)
    assert outcome.error_message is None
    assert (outcome.network_info["http_version"], outcome.response_size_bytes) == ("2", 60000)
    ((headers, body),) = target.requests
    assert headers[":authority"] == f"127.0.0.1:{target.port}"
    assert (headers[":path"], headers["x-own"], headers["authorization"]) == ("/p?q=1", "1", "Bearer t-123456")
    assert "connection" not in headers
    assert len(body) == 60000
    assert probed("http", http_version="1.1", url=target.url, timeout=1, **trusted).problem in ("protocol", "tls")


def test_http_2_without_tls_is_spoken_where_the_check_asks_for_it(serve):
    assert probed("http", url=serve(Second(echo)).url, http_version="2", body="x", method="PUT").status == "success"


def reset(spoken, stream, body):
    spoken.reset_stream(stream, h2.errors.ErrorCodes.REFUSED_STREAM)


def many_headers(spoken, stream, body):
    spoken.send_headers(stream, [(":status", "200"), *[("x", str(n)) for n in range(300)]], end_stream=True)


def huge(spoken, stream, body):
    spoken.send_headers(stream, [(":status", "200")])
    spoken.send_data(stream, b"x" * 10000, end_stream=True)


@pytest.mark.parametrize(
    ("answer", "told"),
    [(reset, "REFUSED_STREAM"), (many_headers, "headers"), (huge, "larger than 5000")],
)
def test_http_2_that_misbehaves_is_told(serve, answer, told):
    outcome = probed("http", url=serve(Second(answer)).url, http_version="2", max_body_bytes=5000)
    assert outcome.status == "failure"
    assert told in outcome.error_message


def test_http_2_that_says_nothing_is_left_at_the_timeout(serve):
    outcome = probed("http", url=serve(Second(lambda *_: None)).url, http_version="2", timeout=0.1)
    assert outcome.status == "timeout"


def test_what_is_no_http_2_is_told_so(serve, tls, trusted):
    async def babble(reader, writer):
        writer.write(b"\x00\x00\x02\x04\x00\x00\x00\x00\x00zz" * 3)
        await reader.read(100)
        await asyncio.sleep(0.1)

    assert probed("http", url=serve(babble).url, http_version="2").problem == "protocol"
    first = serve(answering(page()), tls("good", "http/1.1"))
    outcome = probed("http", url=first.url, http_version="2", **trusted)
    assert outcome.status == "failure"
