"""A thousand clients stay connected, whatever the shell allowed at first."""

from __future__ import annotations

import asyncio
import resource
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.service import Service, environment, running

CONNECTIONS = 1_000
BODY = b'{"patient_data":{"last_name":"Byron","dob":"1915-12-10"}}'
ASK = (
    b"POST /mpi/match HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
)
MEASURE = b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@contextmanager
def open_files(number: int) -> Iterator[None]:
    """Let this process, and those that it starts, open so many files at first."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


class Client:
    """One connection that stays open."""

    async def connect(self, port: int) -> None:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", port)

    async def ask(self, request: bytes = ASK) -> tuple[int, bytes]:
        self.writer.write(request)
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split()[0])
        return int(head.split()[1]), await self.reader.readexactly(length)


async def crowd(service: Service) -> None:
    clients = [Client() for _ in range(CONNECTIONS)]
    await asyncio.gather(*(client.connect(service.port) for client in clients))
    for _ in range(3):
        answers = await asyncio.gather(*(client.ask() for client in clients))
        assert {status for status, _ in answers} == {200}
    _, text = await clients[0].ask(MEASURE)
    assert f"mpi_active_connections {CONNECTIONS}.0\n".encode() in text
    for client in clients:
        client.writer.close()
    await asyncio.gather(*(client.writer.wait_closed() for client in clients))


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_thousand_clients_stay_connected(tmp_path: Path, workers: str) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < CONNECTIONS + 200:
        pytest.fail("this test opens 1,200 files; raise the hard limit (`ulimit -Hn`)")
    with (
        open_files(200),
        running(tmp_path, "--workers", workers) as service,
        open_files(CONNECTIONS + 200),
    ):
        asyncio.run(crowd(service))


def test_a_limit_that_stays_too_low_is_named(tmp_path: Path) -> None:
    asked = "from mpi.commands import limits; print(*limits.raised(), sep='\\n')"
    command = f"ulimit -Sn 100 && ulimit -Hn 512 && exec {sys.executable} -c {shlex.quote(asked)}"
    done = subprocess.run(
        ["/bin/sh", "-c", command], env=environment(tmp_path), capture_output=True, check=True
    )
    assert b"Only 512 files may be open" in done.stdout
