"""Certificates made for a test: a root, an intermediate, and leaves that are good or bad in one way each."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PEM = serialization.Encoding.PEM


@dataclass
class Identity:
    """A certificate with its key and the certificates that are served after it."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    chain: list[x509.Certificate]

    def pem(self) -> str:
        return self.certificate.public_bytes(PEM).decode()

    def written(self, folder: Path, name: str) -> tuple[str, str]:
        """Files with the chain and the key."""
        chain, key = folder / f"{name}.pem", folder / f"{name}.key"
        chain.write_bytes(b"".join(one.public_bytes(PEM) for one in [self.certificate, *self.chain]))
        plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        key.write_bytes(self.key.private_bytes(PEM, *plain))
        return str(chain), str(key)


def issued(
    name: str, issuer: Identity | None = None, *, days: float = 365, ca: bool = False, names: tuple[str, ...] = (),
    ocsp_signing: bool = False,
) -> Identity:  # fmt: skip
    """A certificate that ends in `days`; it began a year before that."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signer = issuer or Identity(None, key, [])
    ends = datetime.now(UTC) + timedelta(days=days)
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(ends - timedelta(days=730))
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key()), critical=False)
    )
    if names:
        built = built.add_extension(x509.SubjectAlternativeName([_general(one) for one in names]), critical=False)
    if ocsp_signing:
        built = built.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), critical=False)
    chain = [issuer.certificate, *issuer.chain] if issuer and issuer.chain is not None and not _is_root(issuer) else []
    return Identity(built.sign(signer.key, hashes.SHA256()), key, chain)


def _is_root(one: Identity) -> bool:
    return one.certificate.subject == one.certificate.issuer


def _general(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def staple(leaf: Identity, issuer: Identity, signer: Identity, *, revoked: bool = False, age_days: float = 0) -> bytes:
    """An OCSP response about the leaf, of `age_days` ago and good for a day."""
    began = datetime.now(UTC) - timedelta(days=age_days, minutes=1)
    built = ocsp.OCSPResponseBuilder().add_response(
        cert=leaf.certificate,
        issuer=issuer.certificate,
        algorithm=hashes.SHA1(),
        cert_status=ocsp.OCSPCertStatus.REVOKED if revoked else ocsp.OCSPCertStatus.GOOD,
        this_update=began,
        next_update=began + timedelta(days=1),
        revocation_time=began if revoked else None,
        revocation_reason=x509.ReasonFlags.key_compromise if revoked else None,
    )
    built = built.responder_id(ocsp.OCSPResponderEncoding.HASH, signer.certificate)
    if signer is not issuer:
        built = built.certificates([signer.certificate])
    return built.sign(signer.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


class Authority:
    """A root and an intermediate, and what they issued."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.root = issued("Test Root", ca=True)
        self.middle = issued("Test Intermediate", self.root, ca=True, days=200)
        self.leaves = {
            "good": issued("good", self.middle, days=90, names=("localhost", "*.wedding.example", "127.0.0.1")),
            "expired": issued("expired", self.middle, days=-3, names=("localhost",)),
            "wrong": issued("wrong", self.middle, names=("elsewhere.example",)),
            "self-signed": issued("self-signed", names=("localhost",)),
        }
        incomplete = issued("incomplete", self.middle, names=("localhost",))
        self.leaves["incomplete"] = Identity(incomplete.certificate, incomplete.key, [])
        short = issued("Old Intermediate", self.root, ca=True, days=5)
        self.leaves["old intermediate"] = issued("under old", short, days=90, names=("localhost",))
        gone = issued("Gone Intermediate", self.root, ca=True, days=-1)
        self.leaves["gone intermediate"] = issued("under gone", gone, days=90, names=("localhost",))
        self.files = {name: leaf.written(folder, name.replace(" ", "-")) for name, leaf in self.leaves.items()}
