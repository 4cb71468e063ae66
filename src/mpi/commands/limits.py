"""What the system lets a process have, where a service with many connections needs more than is usual."""

from __future__ import annotations

import resource
from pathlib import Path

from mpi.api.server import BACKLOG

FILES = 65_536
"""Open files to ask for; every connection is one."""
FEW_FILES = 2_048
"""Fewer than this are worth a word: a thousand clients, and as much again for files and for those who come and go."""
_QUEUE = Path("/proc/sys/net/core/somaxconn")


def raised() -> list[str]:
    """Raise what this process may raise by itself; returns a sentence about everything that stays too low."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    found = []
    if allowed < FEW_FILES:
        found.append(
            f"Only {allowed} files may be open, so fewer than {allowed} clients can be connected to a "
            f"process; raise the hard limit (`ulimit -Hn`) to {FEW_FILES} or more"
        )
    if (queue := _queue()) < BACKLOG:
        found.append(
            f"Only {queue} clients may wait to be accepted; raise net.core.somaxconn to {BACKLOG} or more"
        )
    return found


def _queue() -> int:
    try:
        return int(_QUEUE.read_text())
    except (OSError, ValueError):  # a system that does not tell
        return BACKLOG
