"""A test that hangs fails the run, tells what it was doing and leaves no process behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

STUCK = """
import asyncio, pathlib, subprocess
import pytest

async def something_that_never_comes():
    await asyncio.Event().wait()

@pytest.fixture
def server():
    started = subprocess.Popen(["sleep", "600"])
    pathlib.Path("server").write_text(str(started.pid))
    yield
    if WHEN == "while tearing down":
        asyncio.run(something_that_never_comes())

def test_stuck(server):
    assert WHEN != "while tearing down"
    asyncio.run(something_that_never_comes())

def test_another():
    pass
"""


def runs(process: int) -> bool:
    """Whether it does more than wait for somebody to take note of its end."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("when", ["while it runs", "while tearing down"])
@pytest.mark.parametrize("processes", [(), ("-n", "1")], ids=["alone", "xdist"])
def test_what_hangs_is_ended(
    tmp_path: Path, checkout: Path, when: str, processes: tuple[str, ...]
) -> None:
    (tmp_path / "test_it.py").write_text(f"WHEN = {when!r}\n{STUCK}")
    (tmp_path / "pytest.ini").write_text("[pytest]\ntimeout = 3\ntimeout_method = thread\n")
    plugins = ("-p", "tests.support.hanging", "-p", "no:cacheprovider", "-p", "no:schemathesis")
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", *plugins, *processes],
        check=False,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(checkout)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    told = ended.stdout + ended.stderr
    assert ended.returncode == 1, told
    assert "test_it.py::test_stuck has taken longer than 3 s" in told
    assert "in something_that_never_comes" in told
    assert "in run_until_complete" in told
    assert not runs(int((tmp_path / "server").read_text()))
    if processes:
        assert "crashed while running 'test_it.py::test_stuck'" in told
        assert "1 passed" in told
