"""``mpi verato-simulator`` prints the settings that a client needs, and nothing else stands in the way."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import ssl
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import httpx2
import pytest

from bench.daemons import free_port
from tests.support.refusals import assert_refused
from tests.support.service import environment, run_mpi
from tests.support.verato import envelope, operation

STARTER = """
from mpi.commands.beside import simulated_verato
with simulated_verato(wanted=True) as settings:
    print(settings["VERATO_ENDPOINT"], flush=True)
    input()
"""


def told(process: subprocess.Popen[str]) -> dict[str, str]:
    """The settings it prints before it serves."""
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(7)]
    found = [re.fullmatch(r"export (\w+)=(.+)\n", line) for line in lines]
    return {match[1]: match[2] for match in found if match}


def first_answer(client: httpx2.Client) -> httpx2.Response:
    """The first answer of a server that may still be starting."""
    asked = envelope({"source": {"name": "HOSP-A", "id": "nobody"}})
    deadline = time.monotonic() + 90
    while True:
        try:
            return client.post(operation("nativeIdQuery"), json=asked)
        except httpx2.ConnectError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_a_client_gets_in_with_what_is_printed(tmp_path: Path) -> None:
    (tmp_path / "verato").mkdir()
    run = "import sys; from mpi.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", run, "verato-simulator", "--rows", "50"]
    command += ["--folder", str(tmp_path / "verato"), "--tps", "0", "--latency-ms", "0"]
    command += ["--port", str(free_port()), "--control-port", str(free_port())]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        given = told(process)
        assert given["MPI_PROVIDER"] == "verato"
        context = ssl.create_default_context(cafile=given["VERATO_CA_FILE"])
        context.load_cert_chain(given["VERATO_CLIENT_CERT_FILE"], given["VERATO_CLIENT_KEY_FILE"])
        password = Path(given["VERATO_PASSWORD_FILE"]).read_text("utf-8")
        assert Path(given["VERATO_PASSWORD_FILE"]).stat().st_mode & 0o777 == 0o600
        auth = (given["VERATO_USERNAME"], password)
        with httpx2.Client(base_url=given["VERATO_ENDPOINT"], verify=context, auth=auth) as client:
            answer = first_answer(client)
        assert (answer.status_code, answer.json()["content"]) == (200, {})
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)
        assert process.stdout is not None
        process.stdout.close()
    assert process.returncode == 0


def wait_until(port: int, *, answers: bool) -> None:
    deadline = time.monotonic() + 20
    while True:
        with socket.socket() as client:
            if (client.connect_ex(("127.0.0.1", port)) == 0) is answers:
                return
        assert time.monotonic() < deadline, "nobody starts" if answers else "it goes on"
        time.sleep(0.05)


def test_one_beside_a_service_ends_with_it_even_if_that_is_killed(tmp_path: Path) -> None:
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(tmp_path),
        start_new_session=True,
    )
    with starter:
        try:
            assert starter.stdout is not None
            port = int(starter.stdout.readline().rpartition(":")[2])
            wait_until(port, answers=True)
            starter.kill()
            starter.wait(20)
            wait_until(port, answers=False)
        finally:
            with suppress(ProcessLookupError):  # whoever is left of the two
                os.killpg(starter.pid, signal.SIGKILL)


def test_one_beside_a_service_writes_into_no_pipe_that_nobody_reads(tmp_path: Path) -> None:
    run = "import sys; from mpi.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", run, "verato-simulator", "--rows", "50", "--beside"]
    command += ["--port", "0", "--control-port", "0"]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(tmp_path),
    ) as process:
        try:
            assert told(process)["MPI_PROVIDER"] == "verato"
            assert process.stdout is not None
            assert select.select([process.stdout], [], [], 10)[0], "it holds the pipe still"
            assert process.stdout.read() == ""
            assert process.poll() is None
        finally:
            process.kill()


@pytest.mark.parametrize(
    "option",
    [
        "--port 99999",
        "--control-port -1",
        "--tps -1",
        "--tps nan",
        "--tps inf",
        "--latency-ms nan",
        "--latency-ms -1",
        "--sensitivity 7",
        "--sensitivity nan",
        "--ppv -0.1",
        "--ppv nan",
    ],
)
def test_numbers_out_of_range_are_refused_before_anything_is_made(
    tmp_path: Path, option: str
) -> None:
    done = run_mpi(tmp_path, "verato-simulator", *option.split())
    assert_refused(done, f"{option.split(maxsplit=1)[0]} is missing or not usable")
    assert not (tmp_path / "data").exists()


def test_one_port_for_both_is_refused(tmp_path: Path) -> None:
    port = str(free_port())
    done = run_mpi(tmp_path, "verato-simulator", "--port", port, "--control-port", port)
    assert_refused(done, "are one port")
    assert not (tmp_path / "data").exists()
