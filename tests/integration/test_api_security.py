"""API keys: who is let in, for what, and how quickly that changes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from httpx2 import ASGITransport, AsyncClient

from mpi.api.app import create_app
from mpi.errors import InvalidInput, NotFound, Unauthorized
from mpi.service.access import LOCAL, Access
from mpi.stores.sqlite.store import open_store
from tests.support.api import Api, serving

PATIENT = {"patient_data": {"first_name": "John", "last_name": "Smith", "dob": "1980-01-01"}}
REGISTRATION = PATIENT | {"source": "HOSP-A", "source_id": "0042"}


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with serving(tmp_path) as found:
        yield found


async def test_without_keys_only_this_machine_is_served(api: Api) -> None:
    assert (await api.client.post("/mpi/match", json=PATIENT)).status_code == 200
    async with api.caller("10.1.2.3") as remote:
        response = await remote.post("/mpi/match", json=PATIENT)
    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    ("host", "headers", "served"),
    [
        ("127.0.0.1:8000", {}, True),
        ("localhost", {"origin": "http://localhost:8000"}, True),
        ("[::1]:8000", {}, True),
        ("mpi.attacker.example", {}, False),
        ("127.0.0.1", {"origin": "https://attacker.example"}, False),
        ("127.0.0.1", {"origin": "null"}, False),
    ],
)
async def test_without_keys_pages_of_other_sites_are_refused(
    api: Api, host: str, headers: dict[str, str], served: bool
) -> None:
    async with api.caller(host=host, **headers) as page:
        response = await page.post("/mpi/match", json=PATIENT)
    assert response.status_code == (200 if served else 403)


async def test_the_first_key_ends_service_without_one(api: Api) -> None:
    _, secret = await api.parts.access.issue("tester", ["read"])
    assert (await api.client.post("/mpi/match", json=PATIENT)).status_code == 401
    for header in ({"authorization": f"Bearer {secret}"}, {"x-api-key": secret}):
        response = await api.client.post("/mpi/match", json=PATIENT, headers=header)
        assert response.status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        {"authorization": "Bearer wrong"},
        {"authorization": "Basic am9objpzbWl0aA=="},
        {"authorization": ""},
        {"x-api-key": ""},
        {"x-api-key": "mpi_"},
    ],
)
async def test_a_wrong_key_is_never_better_than_none(api: Api, header: dict[str, str]) -> None:
    response = await api.client.post("/mpi/match", json=PATIENT, headers=header)
    assert response.status_code == 401
    assert response.json()["code"] == "unauthorized"


async def test_a_key_works_from_anywhere(api: Api) -> None:
    _, secret = await api.parts.access.issue("tester", ["read"])
    async with api.caller(
        "10.1.2.3", "mpi.example.org", authorization=f"bearer {secret}"
    ) as remote:
        assert (await remote.post("/mpi/match", json=PATIENT)).status_code == 200


ROUTES: list[tuple[str, str, str, Any]] = [
    ("read", "POST", "/mpi/match", PATIENT),
    ("submit", "POST", "/mpi/match", REGISTRATION),
    ("submit", "POST", "/mpi/match", PATIENT | {"enroll": True}),
    ("read", "POST", "/mpi/match", REGISTRATION | {"enroll": False}),
    ("read", "POST", "/mpi/batch", {"patients": [PATIENT["patient_data"]]}),
    ("submit", "POST", "/mpi/batch", {"patients": [{"source": "A", "source_id": "1"}]}),
    ("read", "POST", "/mpi/search", PATIENT),
    ("read", "POST", "/mpi/explain", {"left": PATIENT, "right": PATIENT}),
    ("submit", "PUT", "/mpi/records/HOSP-A/1", PATIENT),
    ("read", "GET", "/mpi/records/HOSP-A/1", None),
    ("submit", "DELETE", "/mpi/records/HOSP-A/1", None),
    ("read", "POST", "/mpi/records/lookup", {"source": "HOSP-A", "source_id": "1"}),
    ("steward", "POST", "/mpi/records/HOSP-A/1/move", {"to": "new", "reason": "x"}),
    ("steward", "POST", "/mpi/records/HOSP-A/1/replace", {"by": "2", "reason": "x"}),
    (
        "steward",
        "POST",
        "/mpi/assertions",
        {"kind": "same", "records": [["A", "1"], ["A", "2"]], "reason": "x"},
    ),
    ("read", "GET", "/mpi/persons/MPI-000000000", None),
    ("read", "GET", "/mpi/persons/MPI-000000000/history", None),
    ("steward", "POST", "/mpi/persons/MPI-1/merge", {"retire": "MPI-2", "reason": "x"}),
    ("read", "GET", "/mpi/tasks", None),
    ("read", "GET", "/mpi/tasks/T-1", None),
    ("steward", "POST", "/mpi/tasks/T-1/claim", None),
    ("steward", "POST", "/mpi/tasks/T-1/decide", {"outcome": "new", "reason": "x"}),
    ("steward", "POST", "/mpi/tasks/T-1/defer", {"until": "2999-01-01T00:00:00Z", "reason": "x"}),
    ("steward", "POST", "/mpi/tasks/T-1/reassign", {"assignee": None, "reason": "x"}),
    (
        "steward",
        "POST",
        "/mpi/tasks/decide",
        {"decisions": [{"task_id": "T-1", "outcome": "new"}], "reason": "x"},
    ),
    ("read", "GET", "/mpi/events", None),
    ("steward", "POST", "/mpi/events/E-1/undo", {"reason": "x"}),
]


@pytest.mark.parametrize(("scope", "method", "path", "body"), ROUTES)
async def test_each_route_needs_its_scope(
    api: Api, scope: str, method: str, path: str, body: Any
) -> None:
    for held in ("read", "submit", "steward", "admin"):
        _, secret = await api.parts.access.issue(held, [held])
        response = await api.client.request(
            method, path, json=body, headers={"authorization": f"Bearer {secret}"}
        )
        allowed = held in {scope, "admin"}
        assert (response.status_code != 403) is allowed, (held, response.text)
        assert response.status_code != 401
        if not allowed:
            assert response.json()["scope"] == scope


def test_the_table_above_knows_every_route(api: Api) -> None:
    templates = {(method, path) for _, method, path, _ in ROUTES}
    for path, operations in api.app.openapi()["paths"].items():
        if not path.startswith("/mpi/"):
            continue
        for method in operations:
            assert any(
                m == method.upper() and _fits(p, path) for m, p in templates
            ), f"{method} {path}"


def _fits(path: str, template: str) -> bool:
    parts, pattern = path.split("/"), template.split("/")
    return len(parts) == len(pattern) and all(
        p.startswith("{") or p == own for own, p in zip(parts, pattern, strict=True)
    )


@pytest.mark.parametrize(
    "path", ["/health/live", "/health/ready", "/metrics", "/docs", "/openapi.json"]
)
async def test_probes_and_documentation_need_no_key(api: Api, path: str) -> None:
    await api.parts.access.issue("tester", ["read"])
    async with api.caller("10.1.2.3", "mpi.example.org") as remote:
        assert (await remote.get(path)).status_code == 200


async def test_nobody_unknown_gets_a_byte_of_the_body_read(api: Api) -> None:
    await api.parts.access.issue("tester", ["submit"])
    read = False

    async def body() -> AsyncIterator[bytes]:
        nonlocal read
        read = True
        yield b"{}"

    header = {"content-type": "application/json"}
    response = await api.client.post("/mpi/match", content=body(), headers=header)
    assert response.status_code == 401
    assert not read


class Ticks:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def open_access(tmp_path: Path) -> Iterator[Callable[[Ticks], Access]]:
    """Opens one index as often as asked, as several processes would."""
    with ExitStack() as opened:

        def access(ticks: Ticks) -> Access:
            store = open_store(tmp_path / "i.sqlite3", b"f" * 16)
            return Access(opened.enter_context(closing(store)), b"k" * 32, ticks)

        yield access


async def test_a_revoked_key_ends_within_a_second_in_every_process(
    open_access: Callable[[Ticks], Access],
) -> None:
    ticks = Ticks()
    here, there = open_access(ticks), open_access(ticks)
    key_id, secret = await here.issue("tester", ["read"])
    assert (await there.authenticate(secret, local=False)).name == "tester"
    await here.revoke(key_id)
    ticks.now = 1.0
    for access in (here, there):
        with pytest.raises(Unauthorized):
            await access.authenticate(secret, local=True)
    with pytest.raises(NotFound):
        await here.revoke(key_id)


async def test_revoking_the_last_key_opens_nothing(
    open_access: Callable[[Ticks], Access],
) -> None:
    access = open_access(Ticks())
    assert await access.is_keyless()
    key_id, _ = await access.issue("tester", ["read"])
    await access.revoke(key_id)
    assert await access.is_keyless()
    with pytest.raises(Unauthorized):
        await access.authenticate(None, local=True)


async def test_only_a_keyed_digest_of_a_secret_is_stored(tmp_path: Path) -> None:
    path = tmp_path / "i.sqlite3"
    store = open_store(path, b"f" * 16)
    _, secret = await Access(store, b"k" * 32, Ticks()).issue("tester", ["read"])
    other = Access(store, b"another key of this index", Ticks())
    with pytest.raises(Unauthorized):
        await other.authenticate(secret, local=True)
    store.close()
    assert secret.encode() not in path.read_bytes()


async def test_unknown_keys_do_not_fill_the_memory(
    open_access: Callable[[Ticks], Access],
) -> None:
    access = open_access(Ticks())
    for number in range(1100):
        with pytest.raises(Unauthorized):
            await access.authenticate(f"mpi_{number}", local=True)
    assert len(access._known) <= 1024
    assert await access.authenticate(None, local=True) == LOCAL


@pytest.mark.parametrize("scopes", [[], ["root"], ["read", "root"]])
async def test_scopes_are_known_words(
    open_access: Callable[[Ticks], Access], scopes: list[str]
) -> None:
    with pytest.raises(InvalidInput):
        await open_access(Ticks()).issue("tester", scopes)


@pytest.mark.parametrize("name", ["", "x" * 65, "two\nlines"])
async def test_names_of_keys_are_one_short_line(
    open_access: Callable[[Ticks], Access], name: str
) -> None:
    with pytest.raises(InvalidInput):
        await open_access(Ticks()).issue(name, ["read"])


async def test_a_transport_without_an_address_is_not_this_machine(api: Api) -> None:
    transport = ASGITransport(app=create_app(api.parts), client=("testclient", 1))
    async with AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        assert (await client.get("/mpi/events")).status_code == 401
