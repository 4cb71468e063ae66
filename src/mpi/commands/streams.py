"""The standard streams: whoever starts a command may have closed them, or led them to where nothing can be written."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mpi.errors import ConfigurationError, MpiError

_STREAMS = (("stdin", "r", os.O_WRONLY), ("stdout", "w", os.O_RDONLY), ("stderr", "w", os.O_WRONLY))


def fill_gaps() -> None:
    """Put something in the place of every stream that is closed: reading and writing it fail, but for the last.

    A file that is opened later, the database for one, would else get the stream's number, and what is printed to it.
    """
    for name, mode, access in _STREAMS:
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, access)
            setattr(sys, name, os.fdopen(nowhere, mode, encoding="utf-8"))


def standard_input() -> bytes:
    """All that comes. Raises ``ConfigurationError`` when it cannot be read."""
    try:
        return sys.stdin.buffer.read()
    except OSError as error:
        raise ConfigurationError(
            f"standard input cannot be read: {error.strerror}; give the JSON document there"
        ) from None


@contextmanager
def printing() -> Iterator[None]:
    """Prints to standard output in this block. Raises ``MpiError`` when that takes nothing."""
    try:
        yield
    except BrokenPipeError:  # who reads it has seen enough
        raise
    except OSError as error:
        raise MpiError(_lost(error)) from None


def lost_output(more: str = "") -> str | None:
    """Print what still waits, and ``more``; returns one sentence when that fails, and lets nobody try it again."""
    try:
        sys.stdout.write(more)
        sys.stdout.flush()
    except BrokenPipeError:
        print_no_more()
        return ""
    except OSError as error:
        print_no_more()
        return _lost(error)
    return None


def print_no_more() -> None:
    """Nobody reads on: a pipe that is full, or closed, must stop nothing from now on."""
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def _lost(error: OSError) -> str:
    return f"standard output cannot be written: {error.strerror}; what the command did stays done"
