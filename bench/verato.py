"""A simulated Verato that knows the truth of the measured population, in a thread of the bench."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from mpi.demo.registrations import Row, Truth
from mpi.demo.verato.certificates import certificates
from mpi.demo.verato.server import SimulatorServer
from mpi.demo.verato.service import Options, Simulated
from mpi.demo.verato.truth import People

_START = 60.0


@dataclass(frozen=True, slots=True)
class Verato:
    """A running simulator, and the settings of a service that uses it."""

    simulated: Simulated
    settings: dict[str, str]

    @property
    def calls(self) -> int:
        """Requests that it has received."""
        return sum(self.simulated.calls.values())

    @property
    def refused(self) -> int:
        """Requests beyond its limit."""
        return int(self.simulated.answers.get("429", 0))


@contextmanager
def simulated(
    folder: Path,
    population: Iterable[tuple[Row, Truth]],
    sources: tuple[str, ...],
    **options: Any,
) -> Iterator[Verato]:
    """Serve until the block ends. It makes the errors that Verato states; ``options`` are its pace.

    Raises:
        RuntimeError: it does not start.
    """
    folder.mkdir(mode=0o700)
    people = People()
    people.learn(population)
    # What it knows, it keeps: no collection of garbage shall walk through it while somebody waits for an answer.
    gc.collect()
    gc.freeze()
    chosen = Options(sources=sources, **options)
    files = certificates(folder)
    (folder / "password").write_text(chosen.password, "utf-8")
    server = SimulatorServer(Simulated(chosen, people), files)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()), daemon=True)
    thread.start()
    deadline = monotonic() + _START
    while not server.started:
        if monotonic() > deadline:
            raise RuntimeError("the simulated Verato does not start")
        sleep(0.01)
    settings = {
        "MPI_PROVIDER": "hybrid",
        "VERATO_ENDPOINT": server.endpoint,
        "VERATO_USERNAME": chosen.username,
        "VERATO_PASSWORD_FILE": str(folder / "password"),
        "VERATO_CLIENT_CERT_FILE": str(files.client_cert),
        "VERATO_CLIENT_KEY_FILE": str(files.client_key),
        "VERATO_CA_FILE": str(files.ca),
    }
    try:
        yield Verato(server.simulated, settings)
    finally:
        server.stop()
        thread.join(_START)
        gc.unfreeze()
