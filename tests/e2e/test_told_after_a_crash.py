"""The service is killed while Verato carries out a decision: it takes effect there once, and nothing waits for ever."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import httpx2

from mpi.demo.verato.truth import People
from tests.support.sentinels import MARK, assert_clean
from tests.support.service import Profile, Service
from tests.support.verato import SOURCE, registrations
from tests.support.verato import running as simulator
from tests.support.verato_service import body, settings

ROWS = [row for row, _ in registrations(300)[1:3]]
NUMBERS = [f"{MARK}-1", f"{MARK}-2"]
PATIENCE_S = 60


def until(done: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def kill(service: Service) -> None:
    """All its processes, at once."""
    pid = service.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for victim in (pid, *map(int, children)):
        os.kill(victim, signal.SIGKILL)
    service.process.wait(30)


def merged(http: httpx2.Client) -> None:
    """Two strangers are one person."""
    one, other = [
        http.post("/mpi/match", json=body(row, number)).json()["mpi_id"]
        for row, number in zip(ROWS, NUMBERS, strict=True)
    ]
    reason = {"retire": other, "reason": "seen together"}
    assert http.post(f"/mpi/persons/{one}/merge", json=reason).status_code == 200


def test_a_decision_that_verato_was_carrying_out_is_told_once(tmp_path: Path) -> None:
    people = People(sensitivity=1, ppv=1)
    with simulator(tmp_path / "verato", people=people) as verato:
        place = {"MPI_STORE": "sqlite", "MPI_CACHE": "memory"}
        given = settings(verato, MPI_OUTBOX_LEASE="1", VERATO_TIMEOUT_READ="30")
        profile = Profile((), place | given | {"MPI_SQLITE_PATH": str(tmp_path / "i.sqlite3")})
        with profile.running(tmp_path, "--workers", "1") as service:
            verato.plan("applied_then_timeout", "linkIdentities")
            with service.client() as http:
                merged(http)
            until(lambda: verato.applied("linkIdentities") == 1, "nobody told Verato")
            kill(service)
        with profile.running(tmp_path, "--workers", "1") as again:
            with again.client() as http:
                until(
                    lambda: 'mpi_outbox_errands_total{kind="follow",outcome="done"}'
                    in http.get("/metrics").text,
                    "nobody looked after it",
                )
                shown = http.get("/metrics").text
            output = again.output.read_text() + service.output.read_text()
        assert verato.calls("linkIdentities") == verato.applied("linkIdentities") == 1
        assert verato.link_of((SOURCE, NUMBERS[0])) == verato.link_of((SOURCE, NUMBERS[1]))
    assert profile.violations(tmp_path) == []
    assert_clean(shown, "metrics")
    assert_clean(output, "the log")
