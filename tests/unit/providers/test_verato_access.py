"""What gets a customer in is checked before Verato is asked; a refusal names the setting, the remedy and no secret."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mpi.demo.verato.certificates import Authority, Certificates, as_pfx, certificates
from mpi.errors import ConfigurationError
from mpi.providers.verato.access import Credentials, check_sources, open_access

HOST = "https://cust1234-dev.example"
PREFIX = "/link-ws/svc"
SECRET = "sekret-0123456789"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def given(files: Certificates, tmp_path: Path) -> dict[str, Any]:
    password = tmp_path / "password"
    password.write_text(f"{SECRET}\n")
    return {
        "username": "ada",
        "password_file": password,
        "client_cert": files.client_cert,
        "client_key": files.client_key,
        "ca": files.ca,
    }


def header(**given: Any) -> dict[str, str]:
    return open_access(HOST, PREFIX, Credentials(**given)).headers


def test_name_and_password_come_with_every_request(given: dict[str, Any]) -> None:
    pair = base64.b64encode(f"ada:{SECRET}".encode()).decode()
    assert header(**given) == {"Authorization": f"Basic {pair}"}


@pytest.mark.parametrize(
    ("key", "mode", "expected"),
    [
        ("ada:pw", None, {"Authorization": "Basic YWRhOnB3"}),
        ("ada:pw", "basic", {"Authorization": "Basic YWRhOnB3"}),
        ("abc", "bearer", {"Authorization": "Bearer abc"}),
        ("abc", None, {"X-API-Key": "abc"}),
        ("a:b", "header", {"X-API-Key": "a:b"}),
    ],
)
def test_the_api_key_is_used_as_it_looks_or_as_told(
    given: dict[str, Any], key: str, mode: str | None, expected: dict[str, str]
) -> None:
    given = {name: value for name, value in given.items() if name.startswith(("client", "ca"))}
    assert header(**given, api_key=key, auth_mode=mode) == expected


@pytest.mark.parametrize(
    "endpoint",
    [HOST, f"{HOST}/", f"{HOST}/link-ws/svc", f"{HOST}/link-ws/svc/v2/postIdentity"],
)
def test_the_address_may_end_anywhere(given: dict[str, Any], endpoint: str) -> None:
    assert open_access(endpoint, PREFIX, Credentials(**given)).endpoint == f"{HOST}/link-ws/svc"


@pytest.mark.parametrize(
    "place", ["127.0.0.1:8443", "[::1]:8443", "localhost", "Verato_1.a-b.Example."]
)
def test_a_host_may_be_a_name_or_a_number(given: dict[str, Any], place: str) -> None:
    found = open_access(f"https://{place}", PREFIX, Credentials(**given)).endpoint
    assert found == f"https://{place}{PREFIX}"


def test_a_pfx_file_serves_as_well_as_pem(given: dict[str, Any], files: Certificates) -> None:
    pem = open_access(HOST, PREFIX, Credentials(**given))
    del given["client_cert"], given["client_key"]
    given |= {"client_pfx": files.client_pfx, "pfx_password_file": files.pfx_password}
    assert open_access(HOST, PREFIX, Credentials(**given)).certificate_ends == pem.certificate_ends


def expired(folder: Path) -> dict[str, Any]:
    """A certificate that ended yesterday, as both kinds of file."""
    key, certificate = Authority(datetime.now(UTC)).client(datetime.now(UTC) - timedelta(days=1))
    pem = folder / "expired.pem"
    raw = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    pem.write_bytes(certificate.public_bytes(Encoding.PEM) + raw)
    pfx = folder / "expired.pfx"
    pfx.write_bytes(as_pfx(key, certificate, SECRET.encode()))
    return {"pem": pem, "pfx": pfx}


def broken(folder: Path, files: Certificates) -> dict[str, tuple[dict[str, Any], str, str]]:
    """What is wrong → the changed settings, what the refusal begins with, and its remedy."""
    junk = folder / "junk"
    junk.write_text(SECRET)
    old = expired(folder)
    missing = folder / SECRET
    blank, binary = folder / "blank", folder / "binary"
    blank.write_text("\n")
    binary.write_bytes(b"\xff")
    by_key = {"username": None, "api_key": "abc"}
    pfx = {"client_cert": None, "client_pfx": files.client_pfx}
    return {
        "no user": ({"username": None}, "VERATO_USERNAME", "set them"),
        "no password": ({"password_file": None}, "VERATO_PASSWORD_FILE", "name the file"),
        "no such file": ({"password_file": missing}, "VERATO_PASSWORD_FILE", "correct the path"),
        "no certificate": ({"client_cert": None}, "VERATO_CLIENT_CERT_FILE", "name the client"),
        "bad certificate": ({"client_cert": junk}, "VERATO_CLIENT_CERT_FILE", "correct it"),
        "bad key": ({"client_key": junk}, "VERATO_CLIENT_KEY_FILE", "correct it"),
        "expired": ({"client_cert": old["pem"]}, "VERATO_CLIENT_CERT_FILE", "ask Verato"),
        "bad authority": ({"ca": junk}, "VERATO_CA_FILE", "correct it"),
        "pfx password": (pfx | {"pfx_password_file": junk}, "VERATO_CLIENT_PFX_FILE", "correct"),
        "expired pfx": (
            {"client_pfx": old["pfx"], "pfx_password_file": junk},
            "VERATO_CLIENT_PFX_FILE",
            "ask Verato",
        ),
        "half a key": (
            {"username": None, "api_key": SECRET, "auth_mode": "basic"},
            "VERATO_API_KEY",
            "correct it",
        ),
        "blank user": ({"username": " "}, "VERATO_USERNAME", "correct it"),
        "two users": ({"username": f"ada:{SECRET}"}, "VERATO_USERNAME", "correct it"),
        "blank password": ({"password_file": blank}, "VERATO_PASSWORD_FILE is empty", "write"),
        "no text": ({"password_file": binary}, "VERATO_PASSWORD_FILE", "correct it"),
        "two lines": (by_key | {"api_key": f"{SECRET}\nx"}, "VERATO_API_KEY", "correct it"),
        "blank key": (by_key | {"api_key": " "}, "VERATO_API_KEY", "correct it"),
        "no token": ({"auth_mode": "bearer"}, "VERATO_API_KEY is missing", "VERATO_AUTH_MODE"),
        "no header": ({"auth_mode": "header"}, "VERATO_API_KEY is missing", "VERATO_AUTH_MODE"),
        "key alone": (by_key | {"client_cert": None}, "VERATO_CLIENT_CERT_FILE", "name the client"),
    }


CASES = (
    "no user,no password,no such file,no certificate,bad certificate,bad key,expired,bad authority,"
    "pfx password,expired pfx,half a key,blank user,two users,blank password,no text,two lines,blank key,"
    "no token,no header,key alone"
).split(",")


@pytest.mark.parametrize("case", CASES)
def test_what_is_wrong_is_named_with_its_remedy(
    given: dict[str, Any], files: Certificates, tmp_path: Path, case: str
) -> None:
    cases = broken(tmp_path, files)
    assert list(cases) == CASES
    changes, setting, remedy = cases[case]
    with pytest.raises(ConfigurationError) as caught:
        open_access(HOST, PREFIX, Credentials(**given | changes))
    assert caught.value.detail.startswith(setting)
    assert remedy in caught.value.detail
    assert SECRET not in caught.value.detail


@pytest.mark.parametrize(
    "endpoint",
    [
        None,
        "",
        "cust1234.example",
        "http://cust1234.example",
        f"https://a:{SECRET}@b",
        "https://[::1",
        "https://cust1234.example:99999",
        f"https://:{SECRET}@cust1234.example",
        "https://cust 1234.example",
        "https://cust1234..example",
        "https://.",
        "https://" + "a" * 64 + ".example",
    ],
)
def test_an_address_that_is_none_is_refused(given: dict[str, Any], endpoint: str | None) -> None:
    with pytest.raises(ConfigurationError, match=r"^VERATO_ENDPOINT") as caught:
        open_access(endpoint, PREFIX, Credentials(**given))
    assert SECRET not in caught.value.detail


@pytest.mark.parametrize("name", ["", "A B", "A|B", 'A"B', "A:B", "A'B", "x" * 256])
def test_a_source_name_that_verato_does_not_allow_is_refused(name: str) -> None:
    check_sources({"HOSP-A": "ACME.ELIG"})
    with pytest.raises(ConfigurationError, match=r"^VERATO_SOURCE_MAP"):
        check_sources({"HOSP-A": name})


def test_two_sources_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"^VERATO_SOURCE_MAP"):
        check_sources({"HOSP-A": "ACME.ELIG", "CLINIC": "ACME.ELIG"})


def test_nothing_secret_is_in_a_repr(given: dict[str, Any]) -> None:
    credentials = Credentials(**given, api_key=SECRET)
    assert SECRET not in repr(credentials)
    assert "Basic" not in repr(open_access(HOST, PREFIX, credentials))
