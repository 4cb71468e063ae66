"""The service and its commands as processes of their own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

START_SECONDS = 60


def environment(folder: Path, settings: Mapping[str, str] | None = None) -> dict[str, str]:
    """An environment in which data lies below ``folder`` and nothing else is set."""
    kept = ("PATH", "LANG", "LC_ALL", "VIRTUAL_ENV", "COVERAGE_PROCESS_START")
    own = {name: os.environ[name] for name in kept if name in os.environ}
    source = Path(__file__).resolve().parents[2] / "src"
    return own | {
        "HOME": str(folder),
        "XDG_DATA_HOME": str(folder / "data"),
        "PYTHONPATH": str(source),
        "COLUMNS": "200",
        **(settings or {}),
    }


def command(*arguments: str) -> list[str]:
    """``mpi`` with arguments, run by this Python."""
    return [
        sys.executable,
        "-c",
        "import sys; from mpi.cli import main; sys.exit(main())",
        *arguments,
    ]


def run_mpi(
    folder: Path, *arguments: str, stdin: str = "", settings: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run one command to its end, in a working directory that must stay empty."""
    work = folder / "work"
    work.mkdir(exist_ok=True)
    done = subprocess.run(
        command(*arguments),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        env=environment(folder, settings),
        cwd=work,
        check=False,
    )
    assert not list(work.iterdir()), "a command left something in the working directory"
    return done


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

    def client(self, **headers: str) -> httpx2.Client:
        """A client of it."""
        return httpx2.Client(base_url=self.url, headers=headers, timeout=30)

    def stop(self) -> int:
        """Ask it to finish; returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


@contextmanager
def running(
    folder: Path, *arguments: str, settings: Mapping[str, str] | None = None
) -> Iterator[Service]:
    """``mpi serve --embedded`` on a free port; all it prints goes to ``output``."""
    port, output = free_port(), folder / "service.log"
    with output.open("ab") as log:
        process = subprocess.Popen(
            command("serve", "--embedded", "--port", str(port), *arguments),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment(folder, settings),
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
