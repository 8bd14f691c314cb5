"""http probes against servers that answer well, badly, and not at all."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import struct
import time

import pytest
from wedsync_agent.probes import connecting

from tests.agent.probes.conftest import answering, around, dripping, page, probed, request_in

OK = b"HTTP/1.1 200 OK\r\n"
BOMB = gzip.compress(b"0" * 10_000_000, mtime=0)


def test_a_page_is_fetched_and_told_in_the_columns_of_results(serve):
    target = serve(answering(page(b'{"up": true}', Content_Type="application/json")))
    columns = probed("http", url=f"{target.url}/a b?c=ä", expected_content='"up"').columns()
    assert (columns["status"], columns["status_code"], columns["response_size_bytes"]) == ("success", 200, 12)
    assert columns["response_headers"]["content-type"] == "application/json"
    assert columns["network_info"].items() >= {"ip": "127.0.0.1", "port": target.port, "problem": None}.items()
    assert columns["response_body_sample"] is None
    ((head, _),) = target.requests
    assert head.startswith("GET /a%20b?c=%C3%A4 HTTP/1.1\r\nhost: 127.0.0.1:")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"expected_status_codes": [200, "3xx"]}, "status 503, expected 200 or 3xx"),
        ({}, "status 503, expected 200-299"),
        ({"expected": {"status_codes": ["500-502"]}}, "status 503, expected 500-502"),
        ({"expected_status_codes": ["5xx"]}, None),
        ({"expected_status_codes": [503], "expected_content": "wedding"}, 'the body does not contain "wedding"'),
        ({"expected_status_codes": [503], "expected": {"content": "rings"}}, None),
    ],
)
def test_status_codes_and_content_are_expected(serve, said, told):
    outcome = probed("http", url=serve(answering(page(b"rings", "503 Busy"))).url, **said)
    assert outcome.error_message == told
    assert (outcome.status, outcome.problem) == (("failure", "expectation") if told else ("success", None))


def test_requests_carry_method_headers_body_and_authorization_with_secrets_filled_in(serve):
    target = serve(answering(page()))
    given = around(secrets={"pw": "s3cret!", "key": "k-123456"})
    said = {
        "method": "POST",
        "headers": {"X-Api-Key": "{{secret:key}}", "Content-Type": "text/plain"},
        "body": "a={{ secret:pw }}",
        "auth": {"type": "basic", "username": "ann", "password": "{{secret:pw}}"},
    }
    assert probed("http", given, url=target.url, **said).status == "success"
    ((head, body),) = target.requests
    assert head.startswith("POST / HTTP/1.1")
    assert "x-api-key: k-123456\r\n" in head
    assert "authorization: Basic YW5uOnMzY3JldCE=\r\n" in head
    assert body == b"a=s3cret!"


def test_secrets_come_out_nowhere(serve):
    def echo(head: str, body: bytes) -> bytes:
        seen = head.encode() + body + b" s3%2Fcret s3/cret inline-token abcdef" + "x\0\u2764".encode()
        return page(seen, Set_Cookie="sid=abcdef; Path=/", X_Echo="s3/cret")

    said = {
        "method": "POST", "body": "{{secret:pw}}", "sample_bytes": 2000, "redact": ["W[a-z]+Sync"],
        "headers": {"Authorization": "Bearer inline-token"}, "expected_content": "{never}",
        "auth": {"type": "basic", "username": "ann", "password": "{{secret:pw}}"},
    }  # fmt: skip
    outcome = probed("http", around(secrets={"pw": "s3/cret"}), url=serve(answering(echo)).url, **said)
    shown = json.dumps(outcome.columns(), default=str)
    for secret in ("s3/cret", "s3%2Fcret", "YW5uOnMz", "abcdef", "\0", "\\u0000", "WedSync"):
        assert secret not in shown
    assert "host: 127.0.0.1" in outcome.response_body_sample


def test_what_a_redirect_or_a_broken_answer_gives_away_is_hidden_too(serve):
    cut = b"HTTP/1.1 200 OK\r\nSet-Cookie: sid=abcdefgh; Path=/\r\nContent-Length: 10\r\n\r\nshort"
    target = serve(answering(page(b"", "302 Found", Location="/in?code=xyz123"), cut))
    outcome = probed("http", url=f"{target.url}/login?token=qrs456")
    assert outcome.response_headers["set-cookie"] == "sid=********; Path=/"
    assert outcome.network_info["redirects"][0]["url"] == f"{target.url}/login"
    assert "xyz123" not in str(outcome.columns())


def test_a_sample_is_cut_after_secrets_are_hidden(serve):
    target = serve(answering(page(b"12345 s3cret-word and more")))
    given = around(secrets={"pw": "s3cret-word"})
    outcome = probed("http", given, url=target.url, sample_bytes=10, headers={"X-P": "{{secret:pw}}"})
    assert outcome.response_body_sample == "12345 ****"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"url": "ftp://127.0.0.1/"}, "http or https URL"),
        ({"url": "http://a:b@127.0.0.1/"}, "without a user name"),
        ({"url": "http://[::1/"}, "the URL is"),
        ({"url": "http://127.0.0.1:99999/"}, "the URL is"),
        ({"headers": {"X-A": "a\r\nX-B: b"}}, "on one line"),
        ({"headers": {"Content-Length": "3"}}, "leave out the header"),
        ({"headers": {"X-A": "{{secret:gone}}"}}, "no secret is called 'gone'"),
        ({"proxy": "socks5://127.0.0.1:1"}, "proxy: send an http"),
        ({"url": "https://127.0.0.1:1/", "ca_certificate": "x"}, None),
        ({"assertions": [{"source": "body", "op": "matches", "value": "("}]}, "cannot be read"),
        ({"assertions": [{"source": "json", "path": "$..a", "op": "exists"}]}, "the JSON path"),
        ({"assertions": [{"source": "status", "op": "less", "value": "x"}]}, "compare with a number"),
    ],
)
def test_a_check_that_cannot_be_run_says_what_to_send_instead(serve, said, told):
    url = serve(answering(page(b"{}"))).url
    outcome = probed("http", **{"url": url, **said})
    assert outcome.status == "error"
    if told:
        assert outcome.problem == "configuration"
        assert outcome.says_nothing_about_the_target
        assert told in outcome.error_message


@pytest.mark.parametrize(
    ("assertion", "told"),
    [
        ({"source": "json", "path": "$.items[*].id", "op": "equals", "value": 2}, None),
        ({"source": "json", "path": "$.items[-1].id", "op": "equals", "value": 1}, "$.items[-1].id is 2, expected 1"),
        ({"source": "json", "path": "$.items[9]", "op": "missing"}, None),
        ({"source": "json", "path": "['a b']", "op": "equals", "value": True}, None),
        ({"source": "json", "path": "['a b']", "op": "equals", "value": 1}, "['a b'] is true, expected 1"),
        ({"source": "json", "path": "$.gone", "op": "equals", "value": 1}, "$.gone is missing"),
        ({"source": "json", "path": "$.items[*].id", "op": "not_equals", "value": 2}, "$.items[*].id is 2"),
        ({"source": "json", "path": "$.items[0].id", "op": "greater", "value": 0.5}, None),
        ({"source": "header", "path": "X-Kind", "op": "matches", "value": "^we(dding)$"}, None),
        ({"source": "header", "path": "X-Gone", "op": "exists"}, "header X-Gone is missing"),
        ({"source": "body", "op": "not_contains", "value": "items"}, 'the body contains "items"'),
        ({"source": "body", "op": "matches", "value": "(a+)+$"}, 'the body: expected to match "(a+)+$"'),
        ({"source": "status", "op": "less", "value": 300}, None),
        ({"source": "time_ms", "op": "less", "value": 60000}, None),
    ],
)  # fmt: skip
def test_assertions_hold_or_say_what_was_seen(serve, assertion, told):
    body = json.dumps({"items": [{"id": 1}, {"id": 2}], "a b": True}).encode()
    target = serve(answering(page(body, X_Kind="wedding")))
    assert probed("http", url=target.url, assertions=[assertion]).error_message == told


def test_redirects_are_followed_and_told(serve):
    second = serve(answering(page(b"there")))
    first = serve(answering(page(b"", "302 Found", Location=f"{second.url}/b", Set_Cookie="s=123456")))
    said = {"method": "POST", "body": "x", "headers": {"X-Own": "for the first site only"}}
    outcome = probed("http", url=f"{first.url}/a", expected_content="there", **said)
    assert (outcome.status, outcome.network_info["port"]) == ("success", second.port)
    assert [(hop["url"], hop["status_code"]) for hop in outcome.network_info["redirects"]] == [(f"{first.url}/a", 302)]
    ((head, body),) = second.requests
    assert head.startswith("GET /b ")
    assert "x-own" not in head
    assert body == b""


def test_cookies_go_back_to_the_host_that_set_them(serve):
    target = serve(answering(page(b"", "302 Found", Location="/in", Set_Cookie="sid=1; Secure"),
                             page(b"", "302 Found", Location="/in", Set_Cookie="sid=2; HttpOnly"), page()))  # fmt: skip
    assert probed("http", url=target.url).status == "success"
    assert ["cookie: sid" in head for head, _ in target.requests] == [False, False, True]


def test_a_redirect_is_an_answer_where_it_is_not_to_be_followed(serve):
    target = serve(answering(page(b"", "301 Moved", Location="http://169.254.169.254/")))
    outcome = probed("http", url=target.url, follow_redirects=False)
    assert (outcome.status, outcome.status_code) == ("success", 301)


@pytest.mark.parametrize(
    ("location", "problem", "told"),
    [
        ("/", "expectation", "more than 3 redirects"),
        ("http://169.254.169.254/latest/meta-data", "forbidden", "metadata"),
        ("http://10.0.0.1/", "forbidden", "private network"),
        ("http://rebound.example/", "forbidden", "10.0.0.7"),
        ("file:///etc/passwd", "expectation", "it redirects to"),
        ("http://[", "expectation", "it redirects to"),
    ],
)
def test_redirects_end_and_lead_nowhere_forbidden(serve, location, problem, told):
    async def resolve(host):
        return ["127.0.0.1", "10.0.0.7"]

    target = serve(answering(page(b"", "302 Found", Location=location)))
    outcome = probed("http", around(resolve=resolve), url=target.url, max_redirects=3)
    assert outcome.problem == problem
    assert told in outcome.error_message


def test_a_body_is_not_redirected_to_another_site(serve):
    other = serve(answering(page()))
    target = serve(answering(page(b"", "307 Temporary", Location=other.url)))
    outcome = probed("http", url=target.url, method="POST", body="card number")
    assert "redirects the body" in outcome.error_message
    assert other.requests == []


def test_the_name_is_resolved_once_and_the_connection_goes_to_the_checked_address(serve):
    answers = iter([["127.0.0.1"], ["169.254.169.254"]])

    async def rebinding(host):
        return next(answers)

    target = serve(answering(page()))
    url = f"http://rebinding.example:{target.port}/"
    assert probed("http", around(resolve=rebinding), url=url).status == "success"
    assert probed("http", around(resolve=rebinding), url=url).problem == "forbidden"
    assert f"host: rebinding.example:{target.port}" in target.requests[0][0]


CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        CHUNKED + b"5;x=y\r\nhello\r\n0\r\nX-T: t\r\n\r\n",
        OK + b"\r\nhello",
        b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n" + page(b"hello"),
        OK + b"Content-Length: 5, 5\r\n\r\nhello and what is not part of it",
        page(gzip.compress(b"hello", mtime=0), Content_Encoding="gzip"),
    ],
)
def test_every_framing_of_a_body_is_read(serve, answer):
    assert probed("http", url=serve(answering(answer)).url, expected_content="hello").error_message is None


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"", "ended before the headers"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "not HTTP/1.1"),
        (OK + b"X-A: b", "ended within the headers"),
        (OK + b" folded: x\r\n\r\n", "a header cannot be read"),
        (OK + b"X: y\r\n" * 300 + b"\r\n", "more than 256 headers"),
        (OK + b"X-A: " + b"a" * 70000, "longer than 65536"),
        (OK + b"Content-Length: 10\r\n\r\nhello", "after 5 of 10 bytes"),
        (OK + b"Content-Length: -1\r\n\r\n", "content-length cannot be read"),
        (OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", "content-length cannot be read"),
        (CHUNKED + b"5\r\nhel", "after 3 of 5 bytes"),
        (CHUNKED + b"0x5\r\nhello\r\n0\r\n\r\n", "size of a chunk cannot be read"),
        (CHUNKED + b"5\r\nhello0\r\n\r\n", "does not end where"),
        (CHUNKED + b"fffffffffffff\r\n", "larger than 2000 bytes"),
        (OK + b"Content-Length: 999999999999\r\n\r\n", "larger than 2000 bytes"),
        (OK + b"\r\n" + b"x" * 100_000, "larger than 2000 bytes"),
        (page(BOMB[:1900], Content_Encoding="gzip"), "unpacks to more than 2000 bytes"),
        (page(b"not gzip", Content_Encoding="gzip"), "the body is not gzip"),
        (page(b"?", Content_Encoding="br"), "content-encoding 'br' is not read"),
    ],
)  # fmt: skip
def test_what_is_no_whole_answer_within_bounds_is_a_failure(serve, answer, told):
    outcome = probed("http", url=serve(answering(answer)).url, max_body_bytes=2000, expected_content="hello")
    assert outcome.status == "failure"
    assert told in outcome.error_message


@pytest.mark.parametrize(
    "behaviour",
    [
        dripping(b""),
        dripping(b"H", b"T"),
        dripping(OK + b"X: ", b"x"),
        dripping(OK + b"Content-Length: 100000\r\n\r\n", b"x"),
        dripping(CHUNKED, b"1\r\nx\r\n"),
    ],
)
def test_what_drips_or_hangs_is_left_at_the_timeout(serve, behaviour):
    began = time.monotonic()
    outcome = probed("http", timeout=0.1, url=serve(behaviour).url)
    assert outcome.status == "timeout"
    assert outcome.error_message.endswith("within 0.1 seconds")
    assert outcome.timing.total_ms >= 100
    assert time.monotonic() - began < 5


def test_a_reset_is_told_as_the_connection_that_was_lost(serve):
    async def reset(reader, writer):
        await request_in(reader)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    outcome = probed("http", url=serve(reset).url)
    assert (outcome.status, outcome.problem) == ("error", "connect")
    assert "connection reset" in outcome.error_message


def test_a_closed_port_is_an_error():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    outcome = probed("http", url=f"http://127.0.0.1:{port}/")
    assert (outcome.status, outcome.error_message) == ("error", f"127.0.0.1 port {port}: connection refused")


def test_a_slow_answer_is_told_as_slow_where_all_the_rest_is_as_expected(serve):
    async def late(reader, writer):
        await asyncio.sleep(0.03)
        writer.write(page())

    outcome = probed("http", url=serve(late).url, expected_response_time_ms=20)
    assert (outcome.status, outcome.problem) == ("failure", "slow")


def test_the_phases_are_where_the_target_takes_its_time_and_add_up_to_the_total(serve):
    marks = {}

    async def timed(reader, writer):
        await request_in(reader)
        marks["asked"] = time.perf_counter()
        await asyncio.sleep(0.04)
        marks["first"] = time.perf_counter()
        writer.write(OK + b"Content-Length: 2\r\n\r\na")
        await asyncio.sleep(0.06)
        marks["last"] = time.perf_counter()
        writer.write(b"b")

    async def resolve(host):
        began = time.perf_counter()
        await asyncio.sleep(0.03)
        marks["resolving"] = time.perf_counter() - began
        return ["127.0.0.1"]

    url = f"http://slow.example:{serve(timed).port}/"
    began = time.perf_counter()
    timing = probed("http", around(resolve=resolve), url=url).timing
    ended = time.perf_counter()
    assert timing.dns_lookup_ms >= marks["resolving"] * 1000
    assert timing.first_byte_ms >= (marks["first"] - marks["asked"]) * 1000
    assert timing.tls_handshake_ms == 0
    # The first byte may be late in coming; with the rest it is what the server took.
    assert timing.first_byte_ms + timing.download_ms >= (marks["last"] - marks["asked"]) * 1000
    assert (marks["last"] - began) * 1000 <= timing.total_ms + (marks["asked"] - began) * 1000
    assert timing.total_ms <= (ended - began) * 1000


def test_ipv4_and_ipv6_can_be_chosen_and_are_raced_otherwise(serve):
    async def resolve(host):
        return ["::1", "127.0.0.1"]

    target = serve(answering(page()))
    url = f"http://both.example:{target.port}/"
    assert probed("http", around(resolve=resolve), url=url).network_info["ip"] == "127.0.0.1"
    assert probed("http", around(resolve=resolve), url=url, ip_version="6").problem == "connect"
    assert probed("http", url=target.url, ip_version="6").error_message == "127.0.0.1 has no IPv6 address"


def test_an_address_that_does_not_answer_gets_a_head_start_and_no_more(serve, monkeypatch):
    dialled = connecting._dialled

    async def hangs(loop, address, port):
        await asyncio.sleep(60 if address == "127.0.0.2" else 0)
        return await dialled(loop, address, port)

    async def resolve(host):
        return ["127.0.0.2", "127.0.0.1"]

    monkeypatch.setattr(connecting, "_dialled", hangs)
    monkeypatch.setattr(connecting, "HEAD_START_SECONDS", 0.01)
    url = f"http://two.example:{serve(answering(page())).port}/"
    assert probed("http", around(resolve=resolve), url=url).network_info["ip"] == "127.0.0.1"


def test_a_check_goes_through_a_proxy_to_a_checked_address(serve):
    target = serve(answering(page(b"behind")))

    async def connect(reader, writer):
        head, _ = await request_in(reader)
        connect.target.requests.append(head)
        writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        there, back = await asyncio.open_connection("127.0.0.1", target.port)
        back.write((await request_in(reader))[0].encode())
        writer.write(await there.read())

    proxy = serve(connect)
    said = {"proxy": proxy.url, "proxy_auth": {"type": "basic", "username": "u", "password": "p"}}
    outcome = probed("http", url=f"http://localhost:{target.port}/", expected_content="behind", ip_version="4", **said)
    assert outcome.network_info.items() >= {"proxy": f"127.0.0.1:{proxy.port}", "ip": "127.0.0.1"}.items()
    assert proxy.requests[0].startswith(f"CONNECT 127.0.0.1:{target.port} HTTP/1.1\r\n")
    assert "proxy-authorization: Basic dTpw" in proxy.requests[0]
    assert "proxy-auth" not in target.requests[0][0]
    assert probed("http", url="http://10.0.0.1/", **said).problem == "forbidden"
    refusing = serve(answering(page(b"", "403 Forbidden")))
    assert "status 403" in probed("http", url=target.url, proxy=refusing.url).error_message
