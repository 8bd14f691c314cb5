"""ssl probes: chains that are good, and bad in one way each, with and without OCSP staples."""

from __future__ import annotations

import socket
import threading
from datetime import UTC, datetime

import pytest
from OpenSSL import SSL
from wedsync_agent.probes import ocsp
from wedsync_agent.probes.ssl import fits

from tests.agent.probes import certificates
from tests.agent.probes.conftest import answering, page, probed
from tests.agent.probes.test_tcp import CONVERSATIONS, speaking


@pytest.fixture
def seen(serve, tls, authority):
    def see(leaf, **said):
        port = serve(answering(page()), tls(leaf)).port
        columns = {"host": "localhost", "port": port, "ip_version": "4", "ca_certificate": authority.root.pem()}
        return probed("ssl", **columns | said)

    return see


def test_a_good_chain_is_told_whole(seen):
    outcome = seen("good")
    assert outcome.error_message is None
    told = outcome.certificate_info
    assert (told["subject"], told["issuer"]) == ("good", "Test Intermediate")
    assert (told["host_matches"], told["valid"]) == (True, True)
    assert told["names"] == ["localhost", "*.wedding.example", "127.0.0.1"]
    assert [one["subject"] for one in told["chain"]] == ["good", "Test Intermediate"]
    assert (told["protocol"], told["ocsp"]) == ("TLSv1.3", {"stapled": False})
    assert told["cipher"].startswith("TLS_")
    assert outcome.timing.tls_handshake_ms > 0


@pytest.mark.parametrize(
    ("leaf", "told"),
    [
        ("expired", "expired: it has expired"),
        ("wrong", "not for localhost, but for elsewhere.example"),
        ("self-signed", "self-signed: it is self-signed"),
        ("incomplete", "incomplete: its issuer is not known"),
        ("gone intermediate", "Gone Intermediate: it has expired"),
    ],
)
def test_a_chain_that_is_not_valid_is_shown_with_the_reason(seen, leaf, told):
    outcome = seen(leaf)
    assert (outcome.status, outcome.problem) == ("failure", "tls")
    assert told in outcome.error_message
    assert outcome.certificate_info["chain"]
    assert outcome.certificate_info["earliest_verified_expiry"] is None or leaf == "wrong"
    lenient = seen(leaf, verify_tls=False)
    assert (lenient.status, lenient.certificate_info["valid"]) == ("success", False)


def test_the_expiry_that_comes_first_is_warned_of(seen):
    outcome = seen("old intermediate", certificate_days_warning=14)
    told = outcome.certificate_info
    assert (outcome.status, outcome.problem) == ("failure", "expiring")
    assert told["earliest_served_expiry"] == told["earliest_verified_expiry"] < told["not_after"]
    assert seen("good", certificate_days_warning=30).status == "success"


def test_what_speaks_no_tls_is_told_so(serve):
    outcome = probed("ssl", host="127.0.0.1", port=serve(speaking(b"220 hello\r\n")).port)
    assert (outcome.status, outcome.problem) == ("failure", "tls")


def test_mail_servers_are_looked_at_behind_starttls(serve, tls, authority):
    port = serve(speaking(*CONVERSATIONS["smtp"], tls=tls("good"))).port
    outcome = probed("ssl", host="127.0.0.1", port=port, starttls="smtp", ca_certificate=authority.root.pem())
    assert outcome.error_message is None


@pytest.fixture
def stapling(authority):
    """A server that staples: `stapling(bytes)` answers its port."""
    started = []

    def start(staple):
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        chain, key = authority.files["good"]
        context.use_certificate_chain_file(chain)
        context.use_privatekey_file(key)
        context.set_ocsp_server_callback(lambda *_: staple)
        listening = socket.create_server(("127.0.0.1", 0))
        thread = threading.Thread(target=handshake, args=(context, listening))
        thread.start()
        started.append((thread, listening))
        return listening.getsockname()[1]

    def handshake(context, listening):
        accepted, _ = listening.accept()
        connection = SSL.Connection(context, accepted)
        connection.set_accept_state()
        try:
            connection.do_handshake()
            connection.recv(1)
        except SSL.Error:
            pass
        finally:
            accepted.close()

    yield start
    for thread, listening in started:
        thread.join(5)
        listening.close()


def staples(authority):
    leaf, middle, root = authority.leaves["good"], authority.middle, authority.root
    delegate = certificates.issued("Responder", middle, ocsp_signing=True)
    nobody = certificates.issued("Nobody", root)
    return {
        "good": certificates.staple(leaf, middle, middle),
        "delegated": certificates.staple(leaf, middle, delegate),
        "revoked": certificates.staple(leaf, middle, middle, revoked=True),
        "old": certificates.staple(leaf, middle, middle, age_days=5),
        "forged": certificates.staple(leaf, middle, nobody),
        "of another": certificates.staple(authority.leaves["wrong"], middle, middle),
        "rubbish": b"rubbish",
    }


@pytest.mark.parametrize(
    ("which", "status", "told"),
    [
        ("good", "good", None),
        ("revoked", "revoked", "the OCSP staple says revoked"),
        ("old", "invalid", "the OCSP staple says invalid: it is out of date"),
    ],
)
def test_a_staple_is_looked_at(stapling, authority, which, status, told):
    port = stapling(staples(authority)[which])
    outcome = probed("ssl", host="127.0.0.1", port=port, ca_certificate=authority.root.pem())
    assert outcome.certificate_info["ocsp"]["status"] == status
    assert outcome.error_message == told


@pytest.mark.parametrize(
    ("which", "status", "told"),
    [
        ("delegated", "good", None),
        ("forged", "invalid", ""),
        ("of another", "invalid", "it is for another certificate"),
        ("rubbish", "invalid", ""),
    ],
)
def test_a_staple_is_believed_where_the_issuer_or_its_responder_signed_it(authority, which, status, told):
    leaf, middle = authority.leaves["good"].certificate, authority.middle.certificate
    said = ocsp.told(staples(authority)[which], leaf, middle, datetime.now(UTC))
    assert said["status"] == status
    assert ("problem" in said) == (told is not None)
    assert (told or "") in said.get("problem", "")


@pytest.mark.parametrize(
    ("name", "names", "fitting"),
    [
        ("a.example", ["A.example"], True),
        ("a.example", ["*.example"], True),
        ("a.b.example", ["*.example"], False),
        ("example", ["*.example"], False),
        ("127.0.0.1", ["*.0.0.1"], False),
        ("::1", ["::1"], True),
        ("bücher.example", ["xn--bcher-kva.example"], True),
        ("a.example", [], False),
    ],
)
def test_which_names_a_certificate_is_for(name, names, fitting):
    assert fits(name, names) == fitting
