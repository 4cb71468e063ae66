"""How far a load came, noted beside the database, so that the same command goes on from there.

A checkpoint is written after the rows that it counts are durable. Rows committed after the last one are met again and
change nothing. It is void when the file or the options differ, or when the database is not the one that it was written
for: ``mark`` is the last event at that moment, which an older backup or a new database does not have.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

from mpi.bulk.files import check_whole, private_file
from mpi.bulk.load import Report
from mpi.bulk.rejects import Draft
from mpi.errors import ConfigurationError

Mark = tuple[int, str]
"""Number and time of an event; ``(0, "")`` while there is none."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What is loaded, and how: only a load of the same goes on."""

    size: int
    digest: str
    source: str | None
    rename: Mapping[str, str]
    rejects: str | None


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of a load after ``report.rows`` rows."""

    origin: Origin
    mark: Mark
    report: Report
    rejects: Path
    draft: Draft


def origin_of(
    path: Path, source: str | None, rename: Mapping[str, str], rejects: Path | None
) -> Origin:
    """Read the file once to know it again. Raises ``ConfigurationError`` when it cannot be read."""
    try:
        check_whole(path)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "blake2b").hexdigest()
            size = file.tell()
    except OSError as error:
        raise ConfigurationError(f"the file cannot be read: {error.strerror}") from None
    return Origin(size, digest, source, dict(rename), None if rejects is None else str(rejects))


class CheckpointFile:
    """The checkpoint of loads of ``loaded`` into the index whose files are named after ``index``."""

    def __init__(self, index: Path, loaded: Path) -> None:
        name = hashlib.sha256(os.fsencode(loaded.resolve())).hexdigest()[:16]
        self._path = index.with_name(f"{index.name}.load-{name}.json")
        self._lock = index.with_name(f".{index.name}.loading-{name}")

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep every other process from loading the same file into the same index.

        Raises ``ConfigurationError`` when one does already: both would write this checkpoint.
        """
        try:
            self._lock.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise ConfigurationError(
                f"{self._lock.parent} cannot be written ({error.strerror}), where a load notes how far it came; "
                "make it writable, or choose another folder in MPI_SQLITE_PATH or, with MongoDB, XDG_DATA_HOME"
            ) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
            self._lock.unlink(missing_ok=True)
        except BlockingIOError:
            raise ConfigurationError(
                "this file is being loaded by another `mpi load`; wait until that has ended"
            ) from None
        finally:
            os.close(lock)

    def read(self) -> Checkpoint | None:
        """The last state written; None without one, or when it cannot be used."""
        try:
            return _decoded(json.loads(self._path.read_bytes()))
        except (OSError, ValueError, TypeError, LookupError):
            return None

    def write(self, state: Checkpoint) -> None:
        """Put the state in the place of the one before, on disk when this returns."""
        with private_file(self._path) as file:
            # Names of files may be of any bytes, which only this form of JSON gives back.
            file.write(json.dumps(state, default=_encoded))

    def remove(self) -> None:
        """The load is done, or starts again. Drafts of a run that was killed while it wrote go too."""
        for path in (self._path, *self._path.parent.glob(f".{self._path.name}.*")):
            path.unlink(missing_ok=True)


def _encoded(value: object) -> object:
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    return str(value)


def _decoded(document: dict[str, Any]) -> Checkpoint:
    seq, at = document["mark"]
    report = Report(**document["report"])
    report.statuses = Counter(report.statuses)
    report.unknown_columns = Counter(report.unknown_columns)
    draft = document["draft"]
    return Checkpoint(
        origin=Origin(**document["origin"]),
        mark=(int(seq), str(at)),
        report=report,
        rejects=Path(document["rejects"]),
        draft=Draft(Path(draft["path"]), int(draft["size"])),
    )
