"""How a command refuses: exit code 2 and one sentence, without anything secret."""

from __future__ import annotations

from typing import Protocol

SECRET = "a-secret-that-nobody-may-see-0123456789"


class Ended(Protocol):
    """A command or a process that ended."""

    @property
    def returncode(self) -> int: ...

    @property
    def stdout(self) -> str: ...

    @property
    def stderr(self) -> str: ...


def assert_refused(done: Ended, *words: str) -> None:
    """It said one sentence with these words, and not :data:`SECRET`."""
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("mpi: ")
    for word in words:
        assert word in lines[0]
    assert SECRET not in done.stderr
