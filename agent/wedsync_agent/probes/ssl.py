"""ssl: the chain as it is served, and what is wrong with it, seen also where the handshake of others would end.

pyOpenSSL hands over what Python's own module does not: chains that do not verify, and OCSP staples. Where no staple is
served nobody is asked whether a certificate is revoked: neither OCSP responders nor revocation lists.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL, crypto

from wedsync_agent.checks import CheckConfig
from wedsync_agent.probes import connecting, ocsp, starttls, tls
from wedsync_agent.probes.base import Check, Surroundings, Trace, Trouble
from wedsync_agent.probes.connecting import Stream

USUAL_PORT = 443
_LEAST = {"1.2": SSL.TLS1_2_VERSION, "1.3": SSL.TLS1_3_VERSION}
# OpenSSL's codes of verification (x509_vfy.h).
_REASONS = {
    2: "its issuer is not known",
    9: "it is not valid yet",
    10: "it has expired",
    18: "it is self-signed",
    19: "the chain ends in a root that is not trusted",
    20: "its issuer is not known: a certificate between it and the root is missing, or the root is not trusted",
    21: "it cannot be verified: the chain is incomplete",
    23: "it is revoked",
    24: "its issuer may not issue certificates",
    26: "it is not for servers",
    66: "its key is too weak",
    68: "its signature is too weak",
}


@dataclass
class _Seen:
    """What the callbacks of one handshake were told: code and depth of each problem, and the staple."""

    problems: list[tuple[int, int]] = field(default_factory=list)
    staple: bytes = b""


async def probe(check: Check, trace: Trace, around: Surroundings) -> None:
    config, port = check.config, check.port or USUAL_PORT
    name = config.server_name or check.host
    stream = await connecting.connect(check.host, port, config, trace, around)
    try:
        if config.starttls:
            await starttls.upgrade(stream, config.starttls, trace)
        trace.watch.enter("tls_handshake_ms")
        seen = _Seen()
        connection = _connection(config, name, seen)
        await _shake_hands(stream, connection, name)
        trace.watch.pause()
    finally:
        stream.close()
    problems = _told(connection, seen, name, trace)
    if problems and config.verify_tls:
        raise Trouble("tls", "; ".join(problems))


@lru_cache(maxsize=64)
def _context(ca_certificate: str, least: str) -> SSL.Context:
    made = SSL.Context(SSL.TLS_CLIENT_METHOD)
    made.set_min_proto_version(_LEAST[least])
    if ca_certificate:
        store = made.get_cert_store()
        assert store is not None
        for certificate in x509.load_pem_x509_certificates(ca_certificate.encode()):
            store.add_cert(crypto.X509.from_cryptography(certificate))
    else:
        made.set_default_verify_paths()
    made.set_verify(SSL.VERIFY_PEER, _note_problem)
    made.set_ocsp_client_callback(_note_staple)
    return made


def _note_problem(connection: SSL.Connection, _: crypto.X509, code: int, depth: int, fine: int) -> bool:
    if not fine:
        connection.get_app_data().problems.append((code, depth))
    return True  # The handshake goes on, so that the whole chain is seen.


def _note_staple(connection: SSL.Connection, staple: bytes, _: object) -> bool:
    connection.get_app_data().staple = staple
    return True


def _connection(config: CheckConfig, name: str, seen: _Seen) -> SSL.Connection:
    try:
        context = _context(config.ca_certificate, config.min_tls_version)
    except ValueError as error:
        raise Trouble("configuration", f"ca_certificate cannot be read: send PEM; {error}") from error
    connection = SSL.Connection(context, None)
    connection.set_app_data(seen)
    if not _is_address(name):
        connection.set_tlsext_host_name(_ascii(name))
    connection.request_ocsp()
    connection.set_connect_state()
    return connection


def _ascii(name: str) -> bytes:
    try:
        return name.encode("idna")
    except UnicodeError as error:
        raise Trouble("configuration", f"{name[:100]!r} is no host name: {error}") from error


async def _shake_hands(stream: Stream, connection: SSL.Connection, name: str) -> None:
    try:
        while True:
            try:
                connection.do_handshake()
                break
            except SSL.WantReadError:
                await _flush(stream, connection)
                if not (data := await stream.receive()):
                    raise Trouble("tls", f"{name} ended the connection within the handshake") from None
                connection.bio_write(data)
        await _flush(stream, connection)
    except SSL.Error as error:
        reasons = [part[-1] for part in error.args[0]] if error.args and error.args[0] else [type(error).__name__]
        raise Trouble("tls", f"no TLS with {name}: {'; '.join(map(str, reasons))}") from error


async def _flush(stream: Stream, connection: SSL.Connection) -> None:
    try:
        while data := connection.bio_read(65536):
            await stream.send(data)
    except SSL.WantReadError:
        return


def _told(connection: SSL.Connection, seen: _Seen, name: str, trace: Trace) -> list[str]:
    """Fill the trace; a sentence for each thing that is wrong."""
    try:
        served = list(connection.get_peer_cert_chain(as_cryptography=True) or [])
    except ValueError as error:
        raise Trouble("tls", f"a certificate that {name} serves cannot be read: {error}") from error
    if not served:
        raise Trouble("tls", f"{name} serves no certificate")
    verified = [] if seen.problems else list(connection.get_verified_chain(as_cryptography=True) or [])
    chains = [[one.public_bytes(Encoding.DER) for one in chain] for chain in (served, verified)]
    told = tls.chain_info(chains[0], chains[1], trace.at)
    problems = [_problem(code, depth, served) for code, depth in dict.fromkeys(seen.problems)]
    matches = fits(name, tls.names_of(served[0]))
    if not matches:
        problems.append(f"the certificate is not for {name}, but for {', '.join(told['names'][:10]) or 'no name'}")
    issuer = next((one for one in (verified or served)[1:2]), None)
    staple = ocsp.told(seen.staple, served[0], issuer, trace.at) if seen.staple else {"stapled": False}
    if staple.get("status") in ("revoked", "invalid"):
        reason = f": {staple['problem']}" if "problem" in staple else ""
        problems.append(f"the OCSP staple says {staple['status']}{reason}")
    trace.certificate = {
        "protocol": connection.get_protocol_version_name(),
        "cipher": connection.get_cipher_name(),
        **told,
        "host_matches": matches,
        "valid": not problems,
        "problems": problems,
        "ocsp": staple,
    }
    return problems


def _problem(code: int, depth: int, served: Sequence[x509.Certificate]) -> str:
    which = tls.name_of(served[depth]) if depth < len(served) else "the chain's root"
    return f"{which}: {_REASONS.get(code, f'it is not valid (OpenSSL code {code})')}"


def fits(name: str, names: Sequence[str]) -> bool:
    """RFC 9525, section 6.3: `*` stands for the whole first label alone."""
    if _is_address(name):
        return str(ipaddress.ip_address(name)) in names
    wanted = _ascii(name.rstrip(".")).decode().lower()
    rest = wanted.partition(".")[2]
    return any(one.lower() == wanted or (one.startswith("*.") and rest and one[2:].lower() == rest) for one in names)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
