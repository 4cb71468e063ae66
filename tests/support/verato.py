"""A simulated Verato for tests: real HTTPS with client certificates, in a thread of its own."""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from mpi.demo.population import Population
from mpi.demo.registrations import Row, Truth
from mpi.demo.verato.certificates import Certificates, certificates
from mpi.demo.verato.notifications import Key
from mpi.demo.verato.server import PREFIX, SimulatorServer
from mpi.demo.verato.service import Options, Simulated
from mpi.demo.verato.truth import People

SOURCE = "HOSP-A"
OTHERS = ("CLINIC-D", "ED-E", "LAB-C", "PAYER-F", "URGENT-G")
"""The other sources of the demo population."""
OPTIONS = Options(
    username="ada", password="a-made-up-secret", sources=(SOURCE, "HOSP-B", "LAB", *OTHERS), tps=0
)


class Verato:
    """A running simulator, and its control port as the tests use it."""

    def __init__(self, server: SimulatorServer, simulated: Simulated, files: Certificates) -> None:
        self.server = server
        self.simulated = simulated
        self.files = files
        self.endpoint = server.endpoint
        self.control = httpx2.Client(base_url=server.control, trust_env=False)

    def plan(self, kind: str, operation: str = "*", times: int | None = 1) -> None:
        """Let something go wrong."""
        fault = {"op": operation, "kind": kind, "times": times}
        assert self.control.post("/__sim/faults", json=fault).status_code == 204

    def clear(self) -> None:
        """Nothing goes wrong any more."""
        assert self.control.delete("/__sim/faults").status_code == 204

    # What stewards, and later evidence, do at Verato itself. Nobody calls it meanwhile.

    def rename(self, link_id: str) -> str:
        """Give a link another id."""
        return self.simulated.tenant.registry.rename(link_id)

    def link(self, to: Key, key: Key) -> None:
        """Put two registrations together."""
        self.simulated.tenant.registry.link(to, key)

    def unlink(self, origin: Key, key: Key) -> None:
        """Take a registration out of the link that it shares with another."""
        self.simulated.tenant.registry.unlink(origin, key)

    def link_of(self, key: Key) -> str:
        found = self.simulated.tenant.registry.find(key)
        assert found is not None
        return found.link_id

    def pace(self, **pace: float) -> None:
        assert self.control.post("/__sim/pace", json=pace).status_code == 204

    def reset(self) -> None:
        self.control.post("/__sim/reset").raise_for_status()

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = self.control.get("/__sim/state").json()
        return found

    def calls(self, operation: str) -> int:
        """How often the operation was asked for."""
        return int(self.state()["calls"].get(operation, 0))

    def applied(self, operation: str) -> int:
        """How often the operation took effect."""
        return int(self.state()["applied"].get(operation, 0))


def client_context(
    files: Certificates, cert: Path | None = None, key: Path | None = None
) -> ssl.SSLContext:
    """What a client of the simulator needs to know of TLS."""
    context = ssl.create_default_context(cafile=str(files.ca))
    context.load_cert_chain(cert or files.client_cert, key or files.client_key)
    return context


@contextmanager
def running(
    folder: Path, options: Options = OPTIONS, people: People | None = None
) -> Iterator[Verato]:
    """A simulator on free ports; stopped at the end."""
    files = certificates(folder)
    simulated = Simulated(options, people or People())
    server = SimulatorServer(simulated, files)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()), daemon=True)
    thread.start()
    deadline = time.monotonic() + 90
    while not server.started:
        assert time.monotonic() < deadline, "the simulator does not start"
        time.sleep(0.01)
    verato = Verato(server, simulated, files)
    try:
        yield verato
    finally:
        verato.control.close()
        server.stop()
        thread.join(20)


def envelope(content: dict[str, Any], tracking_id: str = "t-1") -> dict[str, Any]:
    return {"trackingId": tracking_id, "content": content}


def identity(row: dict[str, str]) -> dict[str, Any]:
    """A row of the population as the first version of the payload, dates and numbers as they are written there."""
    name = {"first": row["first_name"], "middle": row["middle_name"], "last": row["last_name"]}
    return {
        "names": [name | {"suffix": row["suffix"]}]
        + ([{"last": row["maiden_name"]}] if row["maiden_name"] else []),
        "datesOfBirth": [row["dob"]] if row["dob"] else [],
        "ssns": [row["ssn"]] if row["ssn"] else [],
        "genders": [row["sex"]] if row["sex"] else [],
        "emails": [row["email"]] if row["email"] else [],
        "addresses": [
            {
                "line1": row["address"],
                "line2": row["address2"],
                "city": row["city"],
                "state": row["state"],
                "postalCode": row["zip"],
            }
        ],
        "phoneNumbers": [{"number": row[n]} for n in ("phone", "phone2") if row[n]],
    }


def operation(name: str, version: str = "v1") -> str:
    return f"{PREFIX}/{'v2/' if version == 'v2' else ''}{name}"


def registrations(rows: int, seed: int = 1) -> list[tuple[Row, Truth]]:
    """A small population with its truth."""
    return list(Population(rows, seed).rows())
