"""Files that hold patient data: readable by their owner only, and there whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from mpi.errors import ConfigurationError


def check_replaceable(path: Path) -> None:
    """Raise ``ConfigurationError`` if ``path`` is a folder or a device: a file would take the device's place."""
    if path.exists() and not path.is_file():
        raise ConfigurationError(
            "the file cannot be written: its name is that of a folder or a device"
        )


def check_whole(path: Path) -> None:
    """Raise ``ConfigurationError`` if ``path`` is a pipe or a device, which may have no end and no beginning again."""
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise ConfigurationError("the file cannot be read: it is a pipe or a device")


@contextmanager
def private_file(path: Path) -> Iterator[TextIO]:
    """A text file that takes its place at ``path`` (mode 0600) when the block ends without error.

    Raises:
        ConfigurationError: the folder cannot be made or written to, or ``path`` is a folder or a device.
    """
    check_replaceable(path)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise ConfigurationError(f"the file cannot be written: {error.strerror}") from None
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
