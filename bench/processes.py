"""The real processes under measurement: ``mpi`` commands and servers, with their memory."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from bench import CHECKOUT

_MPI = "from mpi.cli import main; raise SystemExit(main())"
_FOREIGN = (
    "MPI_",
    "VERATO_",
    "REDIS_",
    "MONGODB_",
    "MONGO_",
    "LOG_LEVEL",
    "CACHE_TTL",
    "BATCH_SIZE",
)
_START = 120.0
_MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024


@dataclass(frozen=True, slots=True)
class Finished:
    """What a command printed, and the most memory it held (bytes)."""

    output: str
    peak: int

    @property
    def document(self) -> dict[str, Any]:
        """The output of a command with ``--json``."""
        found: dict[str, Any] = json.loads(self.output)
        return found


def environment(database: Path, settings: Mapping[str, str] | None = None) -> dict[str, str]:
    """The surroundings of a measured process: no setting of whoever runs the bench reaches it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    own = {"MPI_SQLITE_PATH": str(database), "XDG_DATA_HOME": str(database.parent)}
    return kept | own | dict(settings or {})


def mpi(
    arguments: Sequence[str],
    database: Path,
    *,
    shown: bool = False,
    settings: Mapping[str, str] | None = None,
) -> Finished:
    """Run an ``mpi`` command on an index to its end. ``shown``: its progress is seen.

    Raises:
        RuntimeError: the command failed; its last words are repeated.
    """
    command = [sys.executable, "-c", _MPI, *arguments]
    with tempfile.TemporaryFile() as words:
        process = subprocess.Popen(
            command,
            env=environment(database, settings),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=None if shown else words,
            text=True,
        )
        with process:
            assert process.stdout is not None
            output = process.stdout.read()
            peak = _reap(process)
        if process.returncode:
            words.seek(0)
            said = words.read().decode(errors="replace").strip()[-400:]
            raise RuntimeError(f"`mpi {arguments[0]}` failed ({process.returncode}): {said}")
    return Finished(output, peak)


def asked(module: str, question: object, what: str) -> dict[str, Any]:
    """What ``python -m module`` answers to a question: both are one JSON document, and the process is its own.

    Raises:
        RuntimeError: ``what`` it does failed; its last words are repeated.
    """
    done = subprocess.run(
        [sys.executable, "-m", module],
        input=json.dumps(question),
        capture_output=True,
        text=True,
        check=False,
        cwd=CHECKOUT,
    )
    if done.returncode:
        raise RuntimeError(f"{what} failed: {done.stderr.strip()[-400:]}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def peak_of(pid: int) -> int:
    """The most memory that a running process has held, in bytes. What is told at its end may be its parent's."""
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    return int(re.findall(r"VmHWM:\s*(\d+) kB", status)[0]) * 1024


def _reap(process: subprocess.Popen[str]) -> int:
    """Wait for a child in the one way that also tells its own peak memory."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_maxrss * _MAXRSS_UNIT


@dataclass(slots=True)
class Server:
    """A running server. ``peak`` (bytes) is known once it has stopped."""

    port: int
    pid: int = 0
    peak: int = 0

    def resident(self) -> int:
        """The memory that it and its workers hold now, in bytes."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text("ascii").split()
        return sum(_resident(pid) for pid in (str(self.pid), *children))

    def metrics(self) -> str:
        """What ``/metrics`` answers."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        return text

    def threads(self) -> int:
        """The threads of its own process, without those of workers."""
        return len(list(Path(f"/proc/{self.pid}/task").iterdir()))

    def sockets(self) -> int:
        """The sockets that its own process holds, those of clients included."""
        held = 0
        for handle in Path(f"/proc/{self.pid}/fd").iterdir():
            with suppress(OSError):  # it may be closed by now
                held += str(handle.readlink()).startswith("socket:")
        return held


def _resident(pid: str) -> int:
    _, pages, *_ = Path(f"/proc/{pid}/statm").read_text("ascii").split()
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def serving(command: Sequence[str], env: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Run a server (``PORT`` in the command stands for a free port) until the block ends.

    Raises:
        RuntimeError: it does not answer.
    """
    server = Server(_free_port())
    filled = [part.replace("PORT", str(server.port)) for part in command]
    process = subprocess.Popen(
        [sys.executable, *filled], cwd=CHECKOUT, env=env, stderr=subprocess.DEVNULL, text=True
    )
    server.pid = process.pid
    with process:
        try:
            _await(server.port, process)
            yield server
        finally:
            if process.returncode is None:
                process.terminate()
                server.peak = _reap(process)


def mpi_server(workers: int = 1, store: str = "sqlite") -> list[str]:
    """The command that serves an index: an embedded one, or as its environment says."""
    embedded = ["--embedded"] if store == "sqlite" else []
    return ["-c", _MPI, "serve", *embedded, "--workers", str(workers), "--port", "PORT"]


def configured_server() -> list[str]:
    """The command that serves whatever the environment describes, with one worker."""
    return ["-c", _MPI, "serve", "--workers", "1", "--port", "PORT"]


def beside(kind: str) -> list[str]:
    """The command of an application of :mod:`bench.servers`."""
    return ["-m", "bench.servers", kind, "PORT"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _await(port: int, process: subprocess.Popen[str]) -> None:
    deadline = monotonic() + _START
    while monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError("a server stopped before it answered")
        connection = HTTPConnection("127.0.0.1", port, timeout=5)
        with suppress(OSError, HTTPException):
            connection.request("GET", "/health/live")
            connection.getresponse().read()
            return
        connection.close()
        sleep(0.05)
    raise RuntimeError("a server did not answer in time")
