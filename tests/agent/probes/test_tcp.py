"""tcp probes: dialogues and STARTTLS against servers that speak a little of each protocol."""

from __future__ import annotations

import pytest

from tests.agent.probes.conftest import dripping, probed


def speaking(*lines, tls=None):
    """Says the first line, and after each line that it is sent the next; and then begins TLS where there is any."""

    async def behave(reader, writer):
        for number, line in enumerate(lines):
            if number:
                await reader.readline()
            writer.write(line)
            await writer.drain()
        if tls is not None:
            await writer.start_tls(tls)
            await reader.readline()
            writer.write(b"over tls\r\n")
        await reader.read(1000)

    return behave


def test_a_port_that_takes_connections_is_up_and_a_closed_one_is_not(serve):
    port = serve(speaking(b"")).port
    outcome = probed("tcp", host="127.0.0.1", port=port)
    assert (outcome.status, outcome.network_info["port"]) == ("success", port)
    assert outcome.timing.total_ms == outcome.timing.dns_lookup_ms + outcome.timing.connection_ms
    assert probed("tcp", host="10.1.1.1", port=port).problem == "forbidden"
    assert probed("tcp", host="127.0.0.1").problem == "configuration"


def test_a_dialogue_is_followed_line_by_line(serve):
    port = serve(speaking(b"220 mail ready\r\n", b"250 hello ann\r\n")).port
    dialogue = [{"expect": "^220 .*ready"}, {"send": "EHLO {{secret:who}}\r\n", "expect": "hello"}]
    said = {"host": "127.0.0.1", "port": port, "sample_bytes": 100}
    outcome = probed("tcp", dialogue=dialogue, **said)
    assert outcome.problem == "configuration"
    outcome = probed("tcp", dialogue=[dialogue[0], {"send": "EHLO ann\r\n", "expect": "hello"}], **said)
    assert outcome.error_message is None
    assert outcome.response_body_sample == "220 mail ready\r\n250 hello ann\r\n"


@pytest.mark.parametrize(
    ("behaviour", "seconds", "told"),
    [
        (dripping(b"554 go away\r\n"), 0.1, "within 0.1 seconds"),
        (dripping(b"", b"x" * 8000), 10, "16384 bytes came"),
        (dripping(b""), 0.1, "within 0.1 seconds"),
    ],
)
def test_what_does_not_match_ends(serve, behaviour, seconds, told):
    dialogue = [{"expect": "^220"}]
    outcome = probed("tcp", host="127.0.0.1", port=serve(behaviour).port, dialogue=dialogue, timeout=seconds)
    assert told in outcome.error_message


def test_an_end_before_the_match_says_what_came(serve):
    async def leave(reader, writer):
        writer.write(b"421 too busy")

    outcome = probed("tcp", host="127.0.0.1", port=serve(leave).port, dialogue=[{"expect": "^220"}])
    assert (outcome.status, outcome.problem) == ("failure", "expectation")
    assert "421 too busy" in outcome.error_message


CONVERSATIONS = {
    "smtp": [b"220-hello\r\n220 ready\r\n", b"250-mail\r\n250 STARTTLS\r\n", b"220 go on\r\n"],
    "imap": [b"* OK ready\r\n", b"a1 OK go on\r\n"],
    "pop3": [b"+OK ready\r\n", b"+OK go on\r\n"],
    "ftp": [b"220 ready\r\n", b"234 go on\r\n"],
}


@pytest.mark.parametrize("protocol", CONVERSATIONS)
def test_tls_begins_where_the_protocol_says_so(serve, tls, authority, protocol):
    port = serve(speaking(*CONVERSATIONS[protocol], tls=tls("good"))).port
    said = {"host": "localhost", "port": port, "ip_version": "4", "starttls": protocol}
    dialogue = [{"send": "hello\r\n", "expect": "over tls"}]
    outcome = probed("tcp", ca_certificate=authority.root.pem(), dialogue=dialogue, **said)
    assert outcome.error_message is None
    assert outcome.certificate_info["subject"] == "good"


def test_no_starttls_is_said_and_words_in_the_clear_behind_it_are_refused(serve):
    said = {"host": "127.0.0.1", "starttls": "smtp"}
    port = serve(speaking(b"220 ready\r\n", b"250 mail\r\n", b"502 what?\r\n")).port
    assert "502 what?" in probed("tcp", port=port, **said).error_message
    port = serve(speaking(b"220 ready\r\n", b"250 mail\r\n", b"220 go\r\n250 injected\r\n")).port
    assert probed("tcp", port=port, **said).problem == "protocol"
