"""How a customer gets in at Verato: address, client certificate, name and password. Wrong ones stop the start."""

from __future__ import annotations

import base64
import re
import secrets
import ssl
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    pkcs12,
)

from mpi.errors import ConfigurationError

_LONGEST_SOURCE = 255
_UNWANTED = frozenset("\"|:'")
_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"({_LABEL}\.)*{_LABEL}\.?|[0-9a-f:.]*:[0-9a-f:.]*")
"""A name, or an address of IPv4 or IPv6."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What Verato has issued. Files are read once, when the access is made; secrets never leave this module."""

    username: str | None = None
    password_file: Path | None = None
    api_key: str | None = None
    auth_mode: str | None = None  # basic, bearer or header; None: as the key looks
    client_cert: Path | None = None
    client_key: Path | None = None
    client_pfx: Path | None = None
    pfx_password_file: Path | None = None
    ca: Path | None = None

    def __repr__(self) -> str:
        return "<Credentials>"


@dataclass(frozen=True, slots=True)
class Access:
    """A way in. ``certificate_ends`` is when the client certificate expires, None without one."""

    endpoint: str
    context: ssl.SSLContext
    headers: dict[str, str]
    certificate_ends: datetime | None

    def __repr__(self) -> str:
        return f"<Access {self.endpoint}>"


def open_access(endpoint: str | None, prefix: str, credentials: Credentials) -> Access:
    """Read and check everything that can be checked without asking Verato.

    Raises:
        ConfigurationError: names the setting and the remedy; repeats no value.
    """
    address = _address(endpoint, prefix)
    headers = {"Authorization": _authorization(credentials)}
    if headers["Authorization"] == "":
        headers = {"X-API-Key": credentials.api_key or ""}
    context, ends = _context(credentials, needed="X-API-Key" not in headers)
    return Access(address, context, headers, ends)


def check_sources(sources: dict[str, str]) -> None:
    """Refuse names that no Verato source can have, or that are given to two of ours: number 1 of both would be one.

    Raises:
        ConfigurationError: one of them is too long, has a character that is not allowed or stands twice.
    """
    for name in sources.values():
        if not 0 < len(name) <= _LONGEST_SOURCE or _UNWANTED & set(name) or " " in name:
            raise ConfigurationError(
                "VERATO_SOURCE_MAP holds a name that Verato does not allow: at most 255 characters, "
                "without spaces and without \" | : '; correct it"
            )
    if len(set(sources.values())) < len(sources):
        raise ConfigurationError(
            "VERATO_SOURCE_MAP gives two sources one name, as if the same number were one patient in both; give each "
            "a source of its own at Verato"
        )


def _address(endpoint: str | None, prefix: str) -> str:
    """Scheme, host and prefix, from an address that may end in the prefix or in an operation."""
    if not endpoint:
        raise ConfigurationError(
            "VERATO_ENDPOINT is missing; set it to the address that Verato gave you, such as "
            "https://custNNNN.verato-connect.com"
        )
    unusable = ConfigurationError(
        "VERATO_ENDPOINT must be an https:// address with a host name and nothing secret; correct it"
    )
    try:
        parts = urlsplit(endpoint)
        has_place = parts.scheme == "https" and parts.port != 0
    except ValueError:  # brackets, or a port that is none
        raise unusable from None
    is_host = _HOST.fullmatch(parts.hostname or "")
    if not has_place or not is_host or "@" in parts.netloc or parts.query:
        raise unusable
    return f"https://{parts.netloc}/{prefix.strip('/')}"


def _authorization(given: Credentials) -> str:
    """The header that comes with every request, unasked; empty for a key in a header of its own."""
    if given.username is not None and given.auth_mode in (None, "basic"):
        if given.password_file is None:
            raise ConfigurationError(
                "VERATO_PASSWORD_FILE is missing; name the file that holds the password of VERATO_USERNAME"
            )
        if ":" in given.username or not given.username.strip():
            raise ConfigurationError(
                "VERATO_USERNAME must be a user's name without a colon; correct it"
            )
        return _basic(f"{given.username}:{_password(given.password_file)}")
    if given.api_key is None and given.auth_mode in ("bearer", "header"):
        raise ConfigurationError(
            f"VERATO_API_KEY is missing, which VERATO_AUTH_MODE={given.auth_mode} sends; set it, or remove "
            "VERATO_AUTH_MODE to send VERATO_USERNAME and its password"
        )
    if given.api_key is None:
        raise ConfigurationError(
            "VERATO_USERNAME and VERATO_PASSWORD_FILE are missing; set them to what Verato issued "
            "(or VERATO_API_KEY to user:password)"
        )
    if given.auth_mode == "basic" or (given.auth_mode is None and ":" in given.api_key):
        if ":" not in given.api_key:
            raise ConfigurationError(
                "VERATO_API_KEY must be user:password for VERATO_AUTH_MODE=basic; correct it"
            )
        return _basic(given.api_key)
    if not (given.api_key.isascii() and given.api_key.isprintable() and given.api_key.strip()):
        raise ConfigurationError("VERATO_API_KEY must be one line of plain characters; correct it")
    return f"Bearer {given.api_key}" if given.auth_mode == "bearer" else ""


def _password(path: Path) -> str:
    name = "VERATO_PASSWORD_FILE"
    try:
        password = _read(path, name).decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise ConfigurationError(f"{name} must hold text in UTF-8; correct it") from None
    if not password:
        raise ConfigurationError(f"{name} is empty; write the password of VERATO_USERNAME into it")
    return password


def _basic(pair: str) -> str:
    return "Basic " + base64.b64encode(pair.encode()).decode()


def _context(given: Credentials, *, needed: bool) -> tuple[ssl.SSLContext, datetime | None]:
    try:
        context = ssl.create_default_context(cafile=given.ca)
    except (OSError, ssl.SSLError):
        raise ConfigurationError(
            "VERATO_CA_FILE cannot be read as PEM certificates; correct it, or unset it to trust the system's"
        ) from None
    if given.client_pfx is not None:
        return context, _load_pfx(context, given)
    if given.client_cert is not None:
        return context, _load_pem(context, given.client_cert, given.client_key)
    if needed or given.client_key is not None or given.pfx_password_file is not None:
        raise ConfigurationError(
            "VERATO_CLIENT_CERT_FILE and VERATO_CLIENT_PFX_FILE are missing; name the client certificate "
            "that Verato issued"
        )
    return context, None


def _load_pem(context: ssl.SSLContext, cert: Path, key: Path | None) -> datetime:
    name = "VERATO_CLIENT_CERT_FILE"
    try:
        certificate = x509.load_pem_x509_certificate(_read(cert, name))
    except ValueError:
        raise ConfigurationError(f"{name} holds no PEM certificate; correct it") from None
    ends = _unexpired(certificate, name)
    try:
        context.load_cert_chain(cert, key, password=lambda: b"")
    except (OSError, ssl.SSLError):
        raise ConfigurationError(
            "VERATO_CLIENT_KEY_FILE holds no unencrypted PEM key of VERATO_CLIENT_CERT_FILE; correct it, or use "
            "VERATO_CLIENT_PFX_FILE with VERATO_CLIENT_PFX_PASSWORD_FILE"
        ) from None
    return ends


def _load_pfx(context: ssl.SSLContext, given: Credentials) -> datetime:
    """OpenSSL takes files only: the key lies on disk for a moment, under a password that nobody knows."""
    name = "VERATO_CLIENT_PFX_FILE"
    password = None
    if given.pfx_password_file is not None:
        password = _read(given.pfx_password_file, "VERATO_CLIENT_PFX_PASSWORD_FILE").rstrip(b"\r\n")
    try:
        key, certificate, more = pkcs12.load_key_and_certificates(
            _read(given.client_pfx or Path(), name), password
        )
    except ValueError:
        raise ConfigurationError(
            f"{name} cannot be opened with VERATO_CLIENT_PFX_PASSWORD_FILE; correct one of them"
        ) from None
    if key is None or certificate is None:
        raise ConfigurationError(f"{name} holds no key with its certificate; correct it")
    ends = _unexpired(certificate, name)
    once = secrets.token_bytes(32).hex().encode()
    pem = b"".join(each.public_bytes(Encoding.PEM) for each in (certificate, *more))
    pem += key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(once))
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        file.write(pem)
        file.flush()
        context.load_cert_chain(file.name, password=once)
    return ends


def _unexpired(certificate: x509.Certificate, name: str) -> datetime:
    ends = certificate.not_valid_after_utc
    if ends <= datetime.now(UTC):
        raise ConfigurationError(
            f"{name} holds a certificate that has expired on {ends.date()}; ask Verato for a new one"
        )
    return ends


def _read(path: Path, name: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"{name} cannot be read ({error.strerror}); correct the path or the file's permissions"
        ) from None
