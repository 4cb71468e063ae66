"""Other tools, run from an environment of their own that ``make bench`` fills from requirements-bench.txt."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench import CHECKOUT
from bench.processes import peak_of

ENVIRONMENT = CHECKOUT / ".venv-bench"
_SCRIPTS = CHECKOUT / "bench" / "peers"
_MEASURED = ("splink", "duckdb", "recordlinkage")
MISSING = "The peers are not installed: `make bench` does that, or name their Python with --peers."


class Peer:
    """A peer's script, which answers one JSON line to each line that it is sent."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    @property
    def peak(self) -> int:
        """The most memory that it has held until now, in bytes."""
        return peak_of(self._process.pid)

    def ask(self, question: object) -> dict[str, Any]:
        """Send one line, wait for the answer.

        Raises:
            RuntimeError: the script ended instead of answering.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("a peer ended without an answer")
        found: dict[str, Any] = json.loads(line)
        return found


def python(named: str | None) -> Path | None:
    """The Python that has the peers, as named or as ``make bench`` made it; None when there is none."""
    path = Path(named) if named else ENVIRONMENT / "bin" / "python"
    return path if path.exists() else None


def versions(interpreter: Path | None) -> dict[str, str]:
    """Which versions of the peers run beside us; empty without them."""
    if interpreter is None:
        return {}
    ask = f"from importlib.metadata import version; print(*map(version, {_MEASURED}))"
    told = subprocess.run([interpreter, "-c", ask], capture_output=True, text=True, check=False)
    return dict(zip(_MEASURED, told.stdout.split(), strict=False))


@contextmanager
def peer(interpreter: Path, script: str, arguments: Sequence[str] = ()) -> Iterator[Peer]:
    """Run a script of ``bench/peers`` until the block ends."""
    process = subprocess.Popen(
        [str(interpreter), str(_SCRIPTS / script), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        try:
            yield Peer(process)
        finally:
            # The script ends when its input does.
            assert process.stdin is not None
            process.stdin.close()
