"""What several worker processes count, added up in a folder that belongs to one service.

Each process counts in files of its own there, which the library maps into memory. It would make them with holes, and
to write into a hole of a mapped file kills the process (SIGBUS) when the disk is full: so their room is taken before it
opens them, and it never has to let them grow. The folder lives as long as one of its processes: all of them hold a
lock on it, so that the next service on this machine knows which folders were left by one that was killed.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import struct
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry, generate_latest, values
from prometheus_client.mmap_dict import mmap_key
from prometheus_client.multiprocess import MultiProcessCollector

from mpi.errors import ConfigurationError

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""Where the library looks for the folder."""
_PREFIX = "mpi-metrics-"
_LIFE, _FOLD = "life.lock", "fold.lock"
_GAUGES = 1 << 14
_ROOM = {
    "counter": 1 << 18,
    "histogram": 1 << 20,
    "gauge_livemax": _GAUGES,
    "gauge_livesum": _GAUGES,
    "gauge_livemin": _GAUGES,
    "gauge_livemostrecent": _GAUGES,
}
"""The bytes of each file of a process: more than all labels take together that our metrics can have."""

log = structlog.get_logger(__name__)


@contextmanager
def shared() -> Iterator[Path]:
    """A new folder, for this process and those that it starts; removed at the end.

    Raises:
        ConfigurationError: there is no place for it.
    """
    try:
        _sweep()
        folder, life = _made()
    except OSError:
        raise ConfigurationError(
            "several workers need a folder for temporary files; name a writable one in TMPDIR, or "
            "set MPI_WORKERS=1"
        ) from None
    os.environ[VARIABLE] = str(folder)
    try:
        yield folder
    finally:
        del os.environ[VARIABLE]
        shutil.rmtree(folder, ignore_errors=True)
        os.close(life)


@contextmanager
def joined() -> Iterator[None]:
    """Keep the folder of the parent in life for as long as this process needs it, and have room in it.

    Where there is none, what this process counts is told by itself alone. Metrics are to be made inside the block.
    """
    with ExitStack() as stack:
        try:
            folder = _kept(Path(os.environ[VARIABLE]))
            stack.enter_context(_locked(folder / _LIFE, fcntl.LOCK_SH))
            _reserve(folder)
        except OSError:
            log.exception("metrics_not_shared", pid=os.getpid())
            del os.environ[VARIABLE]
            values.ValueClass = values.MutexValue
        yield


def rendered(folder: Path) -> bytes:
    """The text format of Prometheus, over all processes. Waits while an ended one is added up."""
    with _locked(folder / _FOLD, fcntl.LOCK_SH):
        registry = CollectorRegistry()
        MultiProcessCollector(registry, str(folder))  # type: ignore[no-untyped-call]
        return generate_latest(registry)


def fold(folder: Path, pid: int) -> None:
    """Add what an ended process counted to that of all ended ones, and drop what it was doing.

    Raises ``OSError`` when there is no room for it; what it counted then stays where it is, and is in the sums.
    """
    with _locked(_kept(folder) / _FOLD, fcntl.LOCK_EX):
        for left in (*folder.glob(f"gauge_*_{pid}.db"), *folder.glob(f"*_{pid}.fresh")):
            left.unlink()
        for kind in ("counter", "histogram"):
            own = folder / f"{kind}_{pid}.db"
            if own.exists():
                _add(own, folder / f"{kind}_ended.db")
                own.unlink()


def _kept(folder: Path) -> Path:
    """The folder, made again when it was cleared away, as some systems do with temporary files after days."""
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.lstat().st_uid != os.geteuid():
        raise PermissionError(
            errno.EPERM, "somebody else has made the folder for metrics meanwhile"
        )
    return folder


def _reserve(folder: Path) -> None:
    """Take the room for what this process counts."""
    for kind, size in _ROOM.items():
        own = folder / f"{kind}_{os.getpid()}.db"
        if own.exists():  # of a process that had our number and could not be added up
            continue
        with _fresh(own) as fresh, fresh.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, size)


def _add(own: Path, ended: Path) -> None:
    entries = b"".join(
        _entry(
            mmap_key(metric.name, name, list(labels), list(labels.values()), metric.documentation),
            value,
        )
        for metric in MultiProcessCollector.merge(  # type: ignore[no-untyped-call]
            [str(file) for file in (own, ended) if file.exists()], accumulate=False
        )
        for name, labels, value, *_ in metric.samples
    )
    with _fresh(ended) as fresh:
        fresh.write_bytes(_HEAD.pack(_HEAD.size + len(entries)) + entries)


_HEAD = struct.Struct("i4x")
"""How the files of the library begin: the number of bytes that are used."""


def _entry(key: str, value: float) -> bytes:
    """One value as the library writes it; its own way to write maps the file."""
    name = key.encode()
    padded = name + b" " * (8 - (len(name) + 4) % 8)
    return struct.pack(f"i{len(padded)}sdd", len(name), padded, value, 0.0)


@contextmanager
def _fresh(file: Path) -> Iterator[Path]:
    """Where to make a file that takes its name when it is whole, for others read the folder meanwhile."""
    fresh = file.with_suffix(".fresh")
    try:
        yield fresh
        fresh.replace(file)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise


def _made() -> tuple[Path, int]:
    """A folder and the lock on its life, held by this process."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        life = os.open(folder / _LIFE, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(life, fcntl.LOCK_SH)
        if os.fstat(life).st_nlink:
            return folder, life
        os.close(life)  # another start has swept the folder before it was locked


def _sweep() -> None:
    """Remove the folders in which nobody lives any more."""
    for life in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*/{_LIFE}"):
        try:
            with _locked(life, fcntl.LOCK_EX | fcntl.LOCK_NB):
                shutil.rmtree(life.parent, ignore_errors=True)
        except OSError:  # somebody lives there, it is another user's, or it is gone by now
            continue


@contextmanager
def _locked(path: Path, how: int) -> Iterator[None]:
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, how)
        yield
    finally:
        os.close(lock)
