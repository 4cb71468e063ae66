"""``mpi verato-simulator`` prints the settings that a client needs, and nothing else stands in the way."""

from __future__ import annotations

import re
import signal
import ssl
import subprocess
import sys
import time
from pathlib import Path

import httpx2

from bench.daemons import free_port
from tests.support.verato import envelope, operation


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
