"""Certificates of devices, made for a test."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


@dataclass(frozen=True)
class Issued:
    """A certificate with its key: the files, as the SDK wants them, and the objects."""

    certificate_file: Path
    key_file: Path
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def authority(directory: Path, name: str) -> Issued:
    """A certificate authority that signed itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(name)
    builder = _builder(subject, subject, key.public_key())
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    builder = builder.add_extension(usage, critical=True)
    return _write(directory, name, builder.sign(key, hashes.SHA256()), key, [])


def device(directory: Path, name: str, issuer: Issued | None = None, password: bytes | None = None) -> Issued:
    """A device's certificate with this common name, by `issuer` or signed by itself; its file holds the chain."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(name)
    builder = _builder(subject, issuer.certificate.subject if issuer else subject, key.public_key())
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
    certificate = builder.sign(issuer.key if issuer else key, hashes.SHA256())
    return _write(directory, name, certificate, key, [issuer.certificate] if issuer else [], password)


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.timezone.utc)
    day = datetime.timedelta(days=1)
    return x509.CertificateBuilder(issuer, subject, key, x509.random_serial_number(), now - day, now + 30 * day)


def _write(
    directory: Path,
    name: str,
    certificate: x509.Certificate,
    key: ec.EllipticCurvePrivateKey,
    chain: list[x509.Certificate],
    password: bytes | None = None,
) -> Issued:
    pem = serialization.Encoding.PEM
    certificate_file, key_file = directory / f"{name}.pem", directory / f"{name}.key"
    certificate_file.write_bytes(b"".join(c.public_bytes(pem) for c in [certificate, *chain]))
    protection: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password is not None:
        protection = serialization.BestAvailableEncryption(password)
    key_file.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, protection))
    return Issued(certificate_file, key_file, certificate, key)
