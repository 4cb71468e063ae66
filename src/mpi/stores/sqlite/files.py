"""What becomes a database under its name: whose its draft is, what lies beside it, what a power cut leaves of it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


def hold(handle: int) -> bool:
    """Whether the file is this process's now, until it is closed or the process ends, in whatever way."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # somebody else does, or the file system knows no locks
        return False
    return True


def is_held_elsewhere(handle: int) -> bool:
    """As :func:`hold`, but whether another process was faster: where there are no locks, nobody is."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


def sync_directory(directory: Path) -> None:
    """Keep the names in the directory over a power cut."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def drop_log(path: Path) -> None:
    """A log left over by another database would be applied to the one that comes in its place."""
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
