"""What a run ran on: figures mean nothing without it."""

from __future__ import annotations

import os
import platform
import sqlite3
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

_LIBRARIES = ("fastapi", "uvicorn", "pydantic", "orjson", "numpy", "rapidfuzz")


def describe() -> dict[str, str]:
    """Processor, cores, memory, system, Python and the libraries that carry the load."""
    return {
        "processor": _processor(),
        "cores": str(
            len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        ),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "load_at_start": f"{os.getloadavg()[0]:.1f}",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        **{name: version(name) for name in _LIBRARIES},
    }


BUSY = "The machine was busy with other work when the run began: trust ratios only."


def is_busy(described: Mapping[str, str]) -> bool:
    """Whether other work took half of the machine or more when the run began."""
    return float(described["load_at_start"]) > float(described["cores"]) / 2


def wording(described: Mapping[str, str]) -> str:
    """The machine in one line, without its load, which changes from run to run."""
    fixed = ((name, value) for name, value in described.items() if name != "load_at_start")
    return ", ".join(f"{name} {value}" for name, value in fixed)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()
