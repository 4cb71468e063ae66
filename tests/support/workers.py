"""The worker processes behind a service, as the operating system knows them."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import httpx2

from tests.support.service import Service


def workers(service: Service) -> set[int]:
    """The pids of its worker processes, those included that are still starting."""
    pid = service.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return {int(child) for child in children if _is_worker(child)}


def _is_worker(pid: str) -> bool:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return b"resource_tracker" not in command and command != b""


def handles(pid: int, number: signal.Signals) -> bool:
    """Whether a process has said what it does on a signal."""
    status = Path(f"/proc/{pid}/status").read_text()
    caught = re.search(r"^SigCgt:\s+(\w+)$", status, re.MULTILINE)
    return caught is not None and bool(int(caught[1], 16) >> (number - 1) & 1)


def metric(service: Service, name: str) -> float:
    """What it exports under that name, labels included."""
    text = httpx2.get(f"{service.url}/metrics", headers={"Connection": "close"}, timeout=30).text
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    assert found, f"{name} is not among the metrics"
    return float(found[1])


def logged(service: Service) -> list[dict[str, object]]:
    """What it has logged so far."""
    lines = service.output.read_text().splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


def started(service: Service) -> int:
    """How many workers have begun to serve so far."""
    return sum(line["event"] == "started" for line in logged(service))


def settle(service: Service, count: int = 2) -> None:
    """Wait until so many workers have begun, and long enough that their end is no failed start."""
    until(lambda: started(service) == count, f"the start of {count} workers")
    time.sleep(1.5)


def failures(service: Service) -> list[dict[str, object]]:
    """What it has logged of workers that failed."""
    return [line for line in logged(service) if line["event"] == "worker_failed"]


def until(condition: Callable[[], bool], what: str, seconds: float = 180) -> float:
    """Wait for it; returns the seconds it took."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < seconds, f"{what} never happened"
        time.sleep(0.02)
    return time.monotonic() - start
