"""TLS as probes need it: contexts, the handshake, and a chain of certificates told as JSON."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from cryptography import x509
from cryptography.x509.oid import NameOID

from wedsync_agent.checks import CheckConfig
from wedsync_agent.probes.base import Trace, Trouble
from wedsync_agent.probes.connecting import Stream

MAX_NAMES = 100
_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


@lru_cache(maxsize=256)
def context(verify: bool, ca_certificate: str, least: str, protocols: tuple[str, ...]) -> ssl.SSLContext:
    """A client's context. Raises ssl.SSLError or ValueError for a CA certificate that cannot be read."""
    made = ssl.create_default_context(cadata=ca_certificate or None)
    if not verify:
        made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    made.minimum_version = _VERSIONS[least]
    if protocols:
        made.set_alpn_protocols(list(protocols))
    return made


async def secure(
    stream: Stream, host: str, config: CheckConfig, trace: Trace, protocols: tuple[str, ...] = ()
) -> ssl.SSLObject:
    """The handshake, in its phase, with what was seen of certificates. Raises Trouble."""
    trace.watch.enter("tls_handshake_ms")
    try:
        made = context(config.verify_tls, config.ca_certificate, config.min_tls_version, protocols)
    except (ssl.SSLError, ValueError) as error:
        raise Trouble("configuration", f"ca_certificate cannot be read: send PEM; {error}") from error
    name = config.server_name or host
    try:
        await stream.secure(made, name)
    except ssl.SSLCertVerificationError as error:
        raise Trouble("tls", f"the certificate of {name} is not valid: {error.verify_message}") from error
    except ssl.SSLError as error:
        raise Trouble("tls", f"no TLS with {name}: {error.reason or error}") from error
    except ValueError as error:
        raise Trouble("configuration", f"{name[:100]!r} is no host name: {error}") from error
    trace.watch.pause()
    assert stream.tls is not None
    trace.certificate = seen(stream.tls, config.verify_tls, trace.at)
    return stream.tls


def seen(tls: ssl.SSLObject, verified: bool, now: datetime) -> dict[str, Any]:
    """The connection's protocol and cipher, and the chains as they were served and verified."""
    served, valid = _chain(tls, "get_unverified_chain"), _chain(tls, "get_verified_chain") if verified else ()
    cipher = tls.cipher()
    return {"protocol": tls.version(), "cipher": cipher[0] if cipher else None, **chain_info(served, valid, now)}


def _chain(tls: ssl.SSLObject, method: str) -> tuple[bytes, ...]:
    """A chain as DER. Python has the methods in public since 3.13."""
    if ask := getattr(tls, method, None):
        return tuple(ask() or ())
    found = getattr(tls._sslobj, method)() or ()  # type: ignore[attr-defined]
    return tuple(certificate.public_bytes(2) for certificate in found)  # 2: _ssl.ENCODING_DER


def chain_info(served: Sequence[bytes], verified: Sequence[bytes], now: datetime) -> dict[str, Any]:
    """The leaf, the chain, and how many days are left of the leaf, of all that was served, and of what was verified."""
    chain = [_told(der) for der in served]
    trusted = [_told(der) for der in verified]
    if not chain:
        return {"chain": []}
    leaf = chain[0]
    return {
        **leaf,
        "days_left": days_left(leaf["not_after"], now),
        "earliest_served_expiry": min(one["not_after"] for one in chain),
        "earliest_verified_expiry": min((one["not_after"] for one in trusted), default=None),
        "earliest_days_left": days_left(min(one["not_after"] for one in trusted or chain), now),
        "chain": [{name: one[name] for name in ("subject", "issuer", "not_before", "not_after")} for one in chain],
    }


def days_left(not_after: str, now: datetime) -> float:
    return round((datetime.fromisoformat(not_after) - now).total_seconds() / 86400, 2)


@lru_cache(maxsize=4096)
def _told(der: bytes) -> dict[str, Any]:
    """One certificate. The same ones are seen again and again."""
    try:
        one = x509.load_der_x509_certificate(der)
        return {
            "subject": name_of(one),
            "issuer": _name(one.issuer),
            "not_before": _moment(one.not_valid_before_utc),
            "not_after": _moment(one.not_valid_after_utc),
            "serial_number": f"{one.serial_number:x}",
            "sha256": hashlib.sha256(der).hexdigest(),
            "names": names_of(one)[:MAX_NAMES],
        }
    except ValueError as error:
        raise Trouble("tls", f"a certificate that was served cannot be read: {error}") from error


def names_of(certificate: x509.Certificate) -> list[str]:
    """The DNS names and addresses that it is for."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return []
    return [*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))]


def name_of(certificate: x509.Certificate) -> str:
    return _name(certificate.subject)


def _name(name: x509.Name) -> str:
    """The common name, or all of the name where it has none."""
    found = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if found else name.rfc4514_string()


def _moment(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
