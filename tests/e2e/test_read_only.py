"""An index that this user may only read: a snapshot, or a file system without the right to write."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from mpi.errors import ConfigurationError
from mpi.stores.sqlite.reading import reading
from tests.support.commands import ROWS, as_csv, mpi
from tests.support.service import command, environment


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """One that was closed."""
    mpi(tmp_path, "load", str(as_csv(tmp_path / "rows.csv", ROWS)))
    return tmp_path / "data" / "mpi" / "mpi.sqlite3"


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Inside the block nobody may write to it or its files, but for a user who may do everything."""
    folder.chmod(0o555)
    for file in folder.iterdir():
        file.chmod(0o444)
    try:
        yield
    finally:
        folder.chmod(0o700)


def as_usual_user(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a user whom permissions bind, which root is not."""
    binding = ["setpriv", "--bounding-set", "-dac_override"] if os.geteuid() == 0 else []
    assert not binding or shutil.which(
        "setpriv"
    ), "root may write everywhere; only setpriv takes that"
    return subprocess.run(
        [*binding, *command(*arguments, "--embedded", "--json")],
        env=environment(folder),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def test_it_can_be_verified_and_backed_up(tmp_path: Path, index: Path) -> None:
    with read_only(index.parent):
        verified = as_usual_user(tmp_path, "verify")
        backed_up = as_usual_user(tmp_path, "backup", str(tmp_path / "backup"))
    assert (verified.returncode, verified.stderr) == (0, "")
    assert json.loads(verified.stdout) == {"violations": []}
    assert (backed_up.returncode, backed_up.stderr) == (0, "")
    mpi(tmp_path, "restore", str(tmp_path / "backup"), "--force")
    mpi(tmp_path, "verify")


def test_it_can_be_verified_while_it_is_in_use(tmp_path: Path, index: Path) -> None:
    with closing(in_use(index)), read_only(index.parent):
        assert as_usual_user(tmp_path, "verify").returncode == 0


def test_a_log_that_was_left_is_told_with_the_remedy(tmp_path: Path, index: Path) -> None:
    log = index.with_name(index.name + "-wal")
    with closing(in_use(index)):
        left = log.read_bytes()
    log.write_bytes(left)  # as after a power cut
    with read_only(index.parent):
        for arguments in (("verify",), ("backup", str(tmp_path / "backup"))):
            refused = as_usual_user(tmp_path, *arguments)
            assert refused.returncode == 2
            assert "mpi.sqlite3-wal lies beside it" in refused.stderr
            assert refused.stderr.count("\n") == 1
    assert not (tmp_path / "backup").exists()


def test_a_change_meanwhile_is_told(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(ConfigurationError, match="was changed while"), reading(index):
        in_use(index).close()


def in_use(index: Path) -> sqlite3.Connection:
    """Somebody who has just written."""
    writer = sqlite3.connect(index)
    writer.execute("UPDATE tally SET minted = minted + 1")
    writer.commit()
    return writer
