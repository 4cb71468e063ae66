"""Certificates for the simulator and its client: made once per folder, readable by their owner only."""

from __future__ import annotations

import ipaddress
import os
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_DAYS = 365
_BACKDATED = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Certificates:
    """Where the files lie. ``client_*`` are what a client is given, ``password`` is that of the PFX file."""

    folder: Path

    @property
    def ca(self) -> Path:
        return self.folder / "ca.pem"

    @property
    def server(self) -> Path:
        """Certificate and key of the server, in one file."""
        return self.folder / "server.pem"

    @property
    def client_cert(self) -> Path:
        return self.folder / "client.crt.pem"

    @property
    def client_key(self) -> Path:
        return self.folder / "client.key.pem"

    @property
    def client_pfx(self) -> Path:
        return self.folder / "client.pfx"

    @property
    def pfx_password(self) -> Path:
        return self.folder / "client.pfx.password"


class Authority:
    """A certificate authority that lives as long as this object: its key is never written down."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._sign(
            self._key, "Simulator authority", now + timedelta(days=_DAYS), (_can_sign(),)
        )

    def server(self) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
        """For this machine under its loopback names."""
        names = x509.SubjectAlternativeName(
            [
                x509.DNSName("localhost"),
                x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
                x509.IPAddress(ipaddress.ip_address("::1")),
            ]
        )
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        return self._issue("localhost", self._now + timedelta(days=_DAYS), (names, usage))

    def client(
        self, until: datetime | None = None
    ) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
        """For a client, a year long unless ``until`` says otherwise: it may lie in the past."""
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
        return self._issue("client", until or self._now + timedelta(days=_DAYS), (usage,))

    def _issue(
        self, name: str, until: datetime, extensions: tuple[x509.ExtensionType, ...]
    ) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
        key = ec.generate_private_key(ec.SECP256R1())
        return key, self._sign(key, name, until, extensions)

    def _sign(
        self,
        key: ec.EllipticCurvePrivateKey,
        name: str,
        until: datetime,
        extensions: tuple[x509.ExtensionType, ...],
    ) -> x509.Certificate:
        issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Simulator authority")])
        since = min(self._now, until - timedelta(days=1)) - _BACKDATED
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(since)
            .not_valid_after(until)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
        )
        for extension in extensions:
            critical = isinstance(extension, x509.BasicConstraints)
            builder = builder.add_extension(extension, critical)
        return builder.sign(self._key, hashes.SHA256())


def certificates(folder: Path) -> Certificates:
    """Those of the folder; made when they are not there, or nearly at their end.

    A simulator that is started again keeps the files, so that its clients need not be started again.
    Raises ``OSError`` when the folder cannot be written.
    """
    found = Certificates(folder)
    now = datetime.now(UTC)
    if _usable(found, now):
        return found
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    authority = Authority(now)
    _write(found.ca, authority.certificate.public_bytes(Encoding.PEM))
    key, certificate = authority.server()
    _write(found.server, certificate.public_bytes(Encoding.PEM) + _pem(key))
    key, certificate = authority.client()
    _write(found.client_cert, certificate.public_bytes(Encoding.PEM))
    _write(found.client_key, _pem(key))
    password = secrets.token_urlsafe(18).encode()
    _write(found.pfx_password, password)
    _write(found.client_pfx, as_pfx(key, certificate, password))
    return found


def as_pfx(
    key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate, password: bytes
) -> bytes:
    """Key and certificate the way Verato hands them out."""
    return pkcs12.serialize_key_and_certificates(
        b"client", key, certificate, None, BestAvailableEncryption(password)
    )


def _can_sign() -> x509.ExtensionType:
    return x509.BasicConstraints(ca=True, path_length=0)


def _usable(found: Certificates, now: datetime) -> bool:
    files = (found.ca, found.server, found.client_cert, found.client_key, found.client_pfx)
    if not all(file.is_file() for file in (*files, found.pfx_password)):
        return False
    until = x509.load_pem_x509_certificate(found.ca.read_bytes()).not_valid_after_utc
    return until - now > timedelta(days=1)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
