"""``mpi serve --verato-simulator``: a simulated Verato beside the service, so that hybrid can be tried at once."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from mpi.errors import ConfigurationError

_LINE = re.compile(r"^export (\w+)=(.+)$", re.MULTILINE)
_GRACE_S = 10
_LIMIT = "100"
_LATENCY_MS = "20"
"""Both better than Verato's, so that nobody waits long for the demo's registrations."""


@contextmanager
def simulated_verato(*, wanted: bool) -> Iterator[dict[str, str]]:
    """The settings of a hybrid service that uses a simulator, which runs until the block ends; none if not wanted.

    Raises:
        ConfigurationError: it does not start; it has said why by itself.
    """
    if not wanted:
        yield {}
        return
    run = "import sys; from mpi.cli import main; sys.exit(main())"
    pace = ("--tps", _LIMIT, "--latency-ms", _LATENCY_MS, "--port", "0", "--control-port", "0")
    process = subprocess.Popen(  # noqa: S603 - this program
        [sys.executable, "-c", run, "verato-simulator", "--beside", *pace],
        stdin=subprocess.PIPE,  # never written to: it ends with this process, even if that is killed
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        pace_here = {"VERATO_MAX_TPS": _LIMIT, "VERATO_RAMP_PER_MIN": "100000"}
        yield _told(process) | pace_here | {"MPI_PROVIDER": "hybrid"}
    finally:
        process.terminate()
        try:
            process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def _told(process: subprocess.Popen[str]) -> dict[str, str]:
    """What it prints once it is ready. It lets go of the pipe then."""
    found = dict(_LINE.findall("".join(process.stdout or ())))
    if not found:
        raise ConfigurationError("the simulated Verato does not start; see what it says above")
    return found
