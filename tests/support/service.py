"""The service as a process of its own, and its commands."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import (
    AbstractContextManager,
    chdir,
    contextmanager,
    redirect_stderr,
    redirect_stdout,
)
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx2

from mpi.cli import main

START_SECONDS = 170


def environment(folder: Path, settings: Mapping[str, str] | None = None) -> dict[str, str]:
    """An environment in which data lies below ``folder``; beside that only a free port is set."""
    kept = ("PATH", "LANG", "LC_ALL", "VIRTUAL_ENV", "COVERAGE_PROCESS_START")
    own = {name: os.environ[name] for name in kept if name in os.environ}
    source = Path(__file__).resolve().parents[2] / "src"
    return own | {
        "HOME": str(folder),
        "XDG_DATA_HOME": str(folder / "data"),
        "PYTHONPATH": str(source),
        "COLUMNS": "200",
        # A service that somebody runs on this machine must fail no test.
        "MPI_PORT": str(free_port()),
        **(settings or {}),
    }


def command(*arguments: str, prelude: str = "") -> list[str]:
    """``mpi`` with arguments, run by this Python, after the statements of ``prelude``."""
    return [
        sys.executable,
        "-c",
        f"{prelude}\nimport sys; from mpi.cli import main; sys.exit(main())",
        *arguments,
    ]


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended and what it printed."""

    returncode: int
    stdout: str
    stderr: str


def run_mpi(
    folder: Path,
    *arguments: str,
    stdin: str | bytes = "",
    settings: Mapping[str, str] | None = None,
) -> Done:
    """Run one command to its end, in a working directory that must stay empty.

    It runs in this process, because starting Python takes longer than most commands do; the
    environment, the standard streams and the working directory are its own.
    """
    work = folder / "work"
    work.mkdir(exist_ok=True)
    raw = stdin.encode() if isinstance(stdin, str) else stdin
    given = io.TextIOWrapper(io.BytesIO(raw), "utf-8")
    out, err = io.StringIO(), io.StringIO()
    with (
        patch.dict(os.environ, environment(folder, settings), clear=True),
        patch.object(sys, "stdin", given),
        patch.object(sys, "excepthook"),
        chdir(work),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        code = _main(arguments)
    assert not list(work.iterdir()), "a command left something in the working directory"
    return Done(code, out.getvalue(), err.getvalue())


def _main(arguments: Sequence[str]) -> int:
    try:
        return main(arguments)
    except Exception:  # noqa: BLE001 -- as Python does when a program dies of one
        sys.excepthook(*sys.exc_info())
        return 1


def free_port() -> int:
    """A port that nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True, slots=True)
class Service:
    """A running service."""

    process: subprocess.Popen[bytes]
    url: str
    output: Path

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.url.rpartition(":")[2])

    def client(self, **headers: str) -> httpx2.Client:
        """A client of it."""
        return httpx2.Client(base_url=self.url, headers=headers, timeout=30)

    def stop(self) -> int:
        """Ask it to finish; returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


@dataclass(frozen=True, slots=True)
class Profile:
    """How a service and its commands find their index."""

    options: tuple[str, ...] = ("--embedded",)
    settings: Mapping[str, str] = field(default_factory=dict)

    def run(self, folder: Path, *arguments: str) -> Done:
        """Run one command on the index."""
        return run_mpi(folder, *arguments, *self.options, settings=self.settings)

    def running(self, folder: Path, *arguments: str) -> AbstractContextManager[Service]:
        """Serve the index."""
        return running(folder, *arguments, profile=self)

    def violations(self, folder: Path) -> Any:
        """What ``mpi verify`` finds."""
        return json.loads(self.run(folder, "verify", "--json").stdout)["violations"]


EMBEDDED = Profile()


def on_mongodb(uri: str, database: str, **settings: str) -> Profile:
    """An index in a database of a server."""
    return Profile(
        (),
        {
            "MPI_PROVIDER": "internal",
            "MPI_STORE": "mongodb",
            "MPI_CACHE": "memory",
            "MPI_HMAC_KEY": "a-key-for-tests-of-at-least-32-characters",
            "MONGODB_URI": uri,
            "MPI_DB": database,
            "MPI_REQUEST_TIMEOUT": "120",  # a busy machine is no fault of the service
            **settings,
        },
    )


@contextmanager
def running(
    folder: Path,
    *arguments: str,
    settings: Mapping[str, str] | None = None,
    profile: Profile = EMBEDDED,
    prelude: str = "",
) -> Iterator[Service]:
    """``mpi serve`` on a free port, embedded unless the profile says otherwise; all it prints goes to ``output``."""
    port = free_port()
    output = folder / f"service-{port}.log"
    with output.open("ab") as log:
        process = subprocess.Popen(
            command("serve", *profile.options, "--port", str(port), *arguments, prelude=prelude),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment(folder, {**profile.settings, **(settings or {})}),
            cwd=folder,
        )
    service = Service(process, f"http://127.0.0.1:{port}", output)
    try:
        _await_ready(service)
        yield service
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _await_ready(service: Service) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if service.process.poll() is not None:
            break
        try:
            if httpx2.get(f"{service.url}/health/ready", timeout=5).status_code == 200:
                return
        except httpx2.TransportError:
            time.sleep(0.05)
    raise AssertionError(f"the service did not start: {service.output.read_text()[-2000:]}")
