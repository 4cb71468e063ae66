"""``mpi verato-simulator``: a Verato to try things with, on this machine only."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Annotated

import typer

from mpi.commands.streams import print_no_more
from mpi.commands.terminal import note, progress_bar
from mpi.demo.facilities import FACILITIES
from mpi.demo.population import ROWS, SEED, Population
from mpi.demo.verato.certificates import Certificates, certificates
from mpi.demo.verato.server import SimulatorServer
from mpi.demo.verato.service import Options, Simulated
from mpi.demo.verato.truth import PPV, SENSITIVITY, People
from mpi.errors import ConfigurationError
from mpi.settings import data_directory

_PORTS = 65_535
_BAR_EVERY = 250
_PASSWORD = "verato.password"  # noqa: S105 - the name of a file


def _number(value: float) -> float:
    """No range keeps out what is no number."""
    if math.isnan(value):
        raise typer.BadParameter("")
    return value


def verato_simulator(
    *,
    port: Annotated[
        int, typer.Option(min=0, max=_PORTS, help="HTTPS port, with client certificates; 0: any.")
    ] = 8443,
    control_port: Annotated[
        int, typer.Option(min=0, max=_PORTS, help="Port of the fault plan; 0: any.")
    ] = 8444,
    folder: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            file_okay=False,
            help="Certificates and password go here; default: the data directory.",
        ),
    ] = None,
    rows: Annotated[int, typer.Option(help="Registrations whose truth it knows.")] = ROWS,
    seed: Annotated[int, typer.Option(help="The population's, and that of errors.")] = SEED,
    tps: Annotated[
        float,
        typer.Option(
            min=0, max=1_000_000, callback=_number, help="Requests per second; 0: no limit."
        ),
    ] = 10,
    latency_ms: Annotated[
        float,
        typer.Option(min=0, max=600_000, callback=_number, help="Time that every answer takes."),
    ] = 120,
    sensitivity: Annotated[
        float, typer.Option(min=0, max=1, callback=_number, help="Share of true pairs found.")
    ] = SENSITIVITY,
    ppv: Annotated[
        float,
        typer.Option(min=0, max=1, callback=_number, help="Share of links that are right."),
    ] = PPV,
    beside: Annotated[bool, typer.Option(hidden=True)] = False,
) -> None:
    """Serve a simulated Verato that knows who is who in the demo population."""
    if beside:
        threading.Thread(target=_end_with_input, daemon=True).start()
    if port == control_port != 0:
        raise ConfigurationError("--port and --control-port are one port; choose another for one")
    files, password = _papers(folder or data_directory() / "verato-simulator")
    options = Options(
        password=password,
        sources=tuple(facility.name for facility in FACILITIES.items),
        seed=seed,
        tps=tps,
        latency_ms=latency_ms,
    )
    people = People(seed=seed, sensitivity=sensitivity, ppv=ppv)
    _learn(people, Population(rows, seed))
    server = _listening(Simulated(options, people), files, port, control_port)
    _introduce(server, files, options)
    if beside:
        print_no_more()
    try:
        asyncio.run(server.serve())
    except KeyboardInterrupt:
        note("The simulator has stopped; what it knew is gone.")


def _end_with_input() -> None:
    """Who started it holds the other end of the pipe, and lets go of it by ending, in whatever way."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _learn(people: People, population: Population) -> None:
    with progress_bar("Learning who is who", counts_rows=True) as bar:
        task = bar.add_task("", total=len(population), rows=0)
        for number, registration in enumerate(population.rows(), 1):
            people.learn([registration])
            if number % _BAR_EVERY == 0 or number == len(population):
                bar.update(task, completed=number, rows=number)


def _papers(folder: Path) -> tuple[Certificates, str]:
    """The certificates and the password of the folder, made the first time."""
    try:
        return certificates(folder), _password(folder / _PASSWORD)
    except OSError as error:
        raise ConfigurationError(
            f"the folder cannot be written ({error.strerror}); name another with --folder"
        ) from None


def _password(path: Path) -> str:
    if not path.exists():
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(Options().password)
    return path.read_text(encoding="utf-8").strip()


def _listening(
    simulated: Simulated, files: Certificates, port: int, control_port: int
) -> SimulatorServer:
    try:
        return SimulatorServer(simulated, files, port=port, control_port=control_port)
    except OSError as error:
        raise ConfigurationError(
            f"the ports cannot be opened ({error.strerror}); choose others with --port and --control-port"
        ) from None


def _introduce(server: SimulatorServer, files: Certificates, options: Options) -> None:
    """The settings that a service needs to use it, as lines for a shell, and where faults are planned."""
    for name, value in {
        "MPI_PROVIDER": "verato",
        "VERATO_ENDPOINT": server.endpoint,
        "VERATO_USERNAME": options.username,
        "VERATO_PASSWORD_FILE": files.folder / _PASSWORD,
        "VERATO_CLIENT_CERT_FILE": files.client_cert,
        "VERATO_CLIENT_KEY_FILE": files.client_key,
        "VERATO_CA_FILE": files.ca,
    }.items():
        typer.echo(f"export {name}={value}")
    note(f"Serving Verato's interface on {server.endpoint}, stop with Ctrl-C.")
    note(f"Faults are planned on {server.control}/__sim/faults, counts stand in /__sim/state.")
