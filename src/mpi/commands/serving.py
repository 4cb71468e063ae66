"""``mpi serve``: everything that can be wrong is found before the first request."""

from __future__ import annotations

import errno
import os
import signal
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Annotated

import typer

from mpi import shared_metrics
from mpi.api.server import BACKLOG, Server
from mpi.bootstrap.container import Container
from mpi.commands import limits
from mpi.commands.beside import simulated_verato
from mpi.commands.demo import fill_demo
from mpi.commands.session import AsJson, Demo, Embedded, opened, overrides, run
from mpi.commands.terminal import note, show_json
from mpi.commands.workers import Workers
from mpi.errors import ConfigurationError
from mpi.settings import Settings, check_verato_address, read_settings
from mpi.telemetry import configure_logging

_SIMULATOR = (
    "Provider hybrid over a simulated Verato that is started beside the service, on this machine."
)
_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_WORKERS = "Processes (MPI_WORKERS); by default one per core, and one on a SQLite file."


def serve(
    *,
    embedded: Embedded = False,
    demo: Demo = False,
    workers: Annotated[int | None, typer.Option(help=_WORKERS)] = None,
    host: Annotated[str | None, typer.Option(help="Address (MPI_HOST).")] = None,
    port: Annotated[int | None, typer.Option(help="Port (MPI_PORT).")] = None,
    verato_simulator: Annotated[bool, typer.Option(help=_SIMULATOR)] = False,
    as_json: AsJson = False,
) -> None:
    """Serve the API. With --demo, an index of 10,000 made-up registrations is made first."""
    if verato_simulator and not read_settings(overrides(embedded=embedded, demo=demo)).demo:
        raise ConfigurationError(
            "--verato-simulator is for the demo: what it says of real patients is made up and would stay in the index; "
            "add --demo"
        )
    with simulated_verato(wanted=verato_simulator) as verato:
        given = {"MPI_WORKERS": workers, "MPI_HOST": host, "MPI_PORT": port}
        _serve(verato, given, embedded=embedded, demo=demo, as_json=as_json)


def _serve(
    verato: Mapping[str, str],
    given: Mapping[str, int | str | None],
    *,
    embedded: bool,
    demo: bool,
    as_json: bool,
) -> None:
    chosen = overrides(embedded=embedded, demo=demo)
    if embedded:
        # The embedded profile stays on this machine, whatever MPI_HOST says; --host is explicit.
        chosen["MPI_HOST"] = "127.0.0.1"
    chosen |= verato
    chosen |= {name: str(value) for name, value in given.items() if value is not None}
    settings = read_settings(chosen)
    configure_logging(settings.log_level)
    check_verato_address(settings)
    # Workers read the same environment, so they come to the same settings.
    os.environ.update(chosen)
    for sentence in limits.raised():
        note(sentence)
    with _ending_when_told(), _bound(settings) as listener:
        run(_prepare(settings))
        # Whoever is told where it serves may connect, and waits for the first worker.
        listener.listen(BACKLOG)
        where = f"http://{_in_url(settings.host)}:{listener.getsockname()[1]}"
        _say_where(where, as_json=as_json)
        _run(settings, listener)


def _say_where(url: str, *, as_json: bool) -> None:
    if as_json:
        show_json({"url": url, "documentation": f"{url}/docs", "pid": os.getpid()})
        sys.stdout.flush()  # whoever waits for it reads a pipe
    else:
        note(f"Serving on {url} – documentation at {url}/docs, stop with Ctrl-C")


@contextmanager
def _ending_when_told() -> Iterator[None]:
    """Stop in order also while starting, and once the server has: it raises again what it was told to stop with.

    For process 1 of a container a signal counts only when it is handled. One that is ignored stays so.
    """
    before = {name: signal.getsignal(name) for name in _ENDING}
    heard = {name: was for name, was in before.items() if was is not signal.SIG_IGN}
    for name in heard:
        signal.signal(name, lambda *_: sys.exit(0))
    try:
        yield
    finally:
        for name, handler in heard.items():
            signal.signal(name, handler)


async def _prepare(settings: Settings) -> None:
    """Open the index once, so that what is wrong with it is said before serving."""
    async with opened(settings, create=True) as container:
        if not settings.is_loopback:
            await _require_key(container)
        if container.tiers is not None:
            for problem in await container.tiers.start():
                note(f"Serving more slowly for now: {problem}")
        if settings.demo:
            await fill_demo(container)


async def _require_key(container: Container) -> None:
    if await container.access.is_keyless():
        raise ConfigurationError(
            "MPI_HOST is reachable from other machines but there is no API key; issue one with "
            "`mpi key add NAME --scope read --scope submit`, or set MPI_HOST=127.0.0.1"
        )


@contextmanager
def _bound(settings: Settings) -> Iterator[socket.socket]:
    """A socket on the chosen address; nobody can connect before it listens."""
    try:
        family, _, _, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
    except (OSError, UnicodeError):  # the latter for a name with an empty or too long part
        raise ConfigurationError("MPI_HOST is no address of this machine; correct it") from None
    with listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
        except OSError as error:
            raise ConfigurationError(_bind_problem(error)) from None
        listener.set_inheritable(True)
        yield listener


def _bind_problem(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "MPI_PORT is taken by another program; stop it, or choose another with --port"
    if error.errno == errno.EACCES:
        return "MPI_PORT needs more rights than this user has; choose one from 1024 with --port"
    return "MPI_HOST is no address of this machine; correct it, or unset it to use 127.0.0.1"


def _run(settings: Settings, listener: socket.socket) -> None:
    if settings.worker_count == 1:
        Server(settings).run([listener])
        return
    with shared_metrics.shared() as folder:
        Workers(settings, listener, partial(shared_metrics.fold, folder)).run()


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
