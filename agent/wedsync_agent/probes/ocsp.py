"""OCSP staples (RFC 6960): what one says of a certificate, and whether it may be believed. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID


class Unbelievable(Exception):
    """The staple is not for this certificate, not from its issuer, or not of now."""


def told(staple: bytes, leaf: x509.Certificate, issuer: x509.Certificate | None, now: datetime) -> dict[str, Any]:
    """`status` is good, revoked or unknown, or invalid with a `problem`; moments are ISO 8601 in UTC."""
    try:
        response = ocsp.load_der_ocsp_response(staple)
        _believe(response, leaf, issuer, now)
    except (Unbelievable, ValueError, InvalidSignature, TypeError, x509.ExtensionNotFound) as error:
        return {"stapled": True, "status": "invalid", "problem": str(error) or "its signature is wrong"}
    ends = response.next_update_utc
    said: dict[str, Any] = {
        "stapled": True,
        "status": response.certificate_status.name.lower(),
        "this_update": response.this_update_utc.isoformat(),
        "next_update": ends.isoformat() if ends else None,
    }
    if response.revocation_time_utc is not None:
        said["revoked_at"] = response.revocation_time_utc.isoformat()
    return said


def _believe(
    response: ocsp.OCSPResponse, leaf: x509.Certificate, issuer: x509.Certificate | None, now: datetime
) -> None:
    """RFC 6960, section 3.2. Raises Unbelievable, InvalidSignature."""
    if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        raise Unbelievable(f"the responder answered {response.response_status.name.lower()}")
    if response.serial_number != leaf.serial_number:
        raise Unbelievable("it is for another certificate")
    if issuer is None:
        raise Unbelievable("the issuer that should have signed it is not in the chain")
    ends = response.next_update_utc
    if response.this_update_utc > now or (ends is not None and ends < now):
        raise Unbelievable("it is out of date")
    signer = _signer(response, issuer)
    if signer is None:
        raise Unbelievable("neither the issuer nor a responder of its own signed it")
    _verify(signer.public_key(), response)


def _signer(response: ocsp.OCSPResponse, issuer: x509.Certificate) -> x509.Certificate | None:
    """The issuer, or the responder to whom it gave its word (section 4.2.2.2)."""
    for one in response.certificates:
        if one == issuer:
            continue
        one.verify_directly_issued_by(issuer)
        usage = one.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        return one if ExtendedKeyUsageOID.OCSP_SIGNING in usage else None
    return issuer


def _verify(key: Any, response: ocsp.OCSPResponse) -> None:
    signature, signed, digest = response.signature, response.tbs_response_bytes, response.signature_hash_algorithm
    if isinstance(key, (ed25519.Ed25519PublicKey, ed448.Ed448PublicKey)):
        key.verify(signature, signed)
    elif digest is None:
        raise Unbelievable("how it is signed is not known here")
    elif isinstance(key, rsa.RSAPublicKey):
        key.verify(signature, signed, padding.PKCS1v15(), digest)
    elif isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(signature, signed, ec.ECDSA(digest))
    else:
        raise Unbelievable("how it is signed is not known here")
