"""What several worker processes count, added up in a folder that belongs to one service.

Each process counts in files of its own there. The folder lives as long as one of its processes: all of them hold a
lock on it, so that the next service on this machine knows which folders were left by one that was killed.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.mmap_dict import MmapedDict, mmap_key
from prometheus_client.multiprocess import MultiProcessCollector

from mpi.errors import ConfigurationError

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""Where the library looks for the folder."""
_PREFIX = "mpi-metrics-"
_LIFE, _FOLD = "life.lock", "fold.lock"


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
    """Keep the folder of the parent in life for as long as this process needs it."""
    with _locked(_kept(Path(os.environ[VARIABLE])) / _LIFE, fcntl.LOCK_SH):
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
        for gauge in folder.glob(f"gauge_*_{pid}.db"):
            gauge.unlink()
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


def _add(own: Path, ended: Path) -> None:
    # A process that was killed while it made its file leaves it empty.
    files = [str(file) for file in (own, ended) if file.exists() and file.stat().st_size]
    fresh = ended.with_suffix(".fresh")
    sums = MmapedDict(str(fresh))  # type: ignore[no-untyped-call]
    for metric in MultiProcessCollector.merge(files, accumulate=False):  # type: ignore[no-untyped-call]
        for name, labels, value, *_ in metric.samples:
            key = mmap_key(
                metric.name, name, list(labels), list(labels.values()), metric.documentation
            )
            sums.write_value(key, value, 0.0)  # type: ignore[no-untyped-call]
    sums.close()  # type: ignore[no-untyped-call]
    fresh.replace(ended)


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
