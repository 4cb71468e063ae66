"""Reading ahead: a process of its own reads, standardises and keys the rows while this one decides.

Deciding needs one process, because every row is compared with all before it; reading does not. The reader is never more
than two pieces ahead: it waits until the pipe is emptied. A few rows are read here before another process has started.
"""

from __future__ import annotations

import multiprocessing
import signal
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Self

from mpi.bootstrap.preparation import preparation
from mpi.bulk.load import ReadRow, read_rows
from mpi.bulk.rows import open_rows
from mpi.domain.record import RecordStatus, Submission
from mpi.errors import MpiError
from mpi.service.preparation import Preparation, Prepared
from mpi.settings import Settings
from mpi.stores.codec import (
    EPOCH,
    decode_demographics,
    decode_keys,
    decode_standard,
    decode_time,
    encode_demographics,
    encode_keys,
    encode_standard,
    encode_time,
    record_key,
    stored_record,
)
from mpi.telemetry import place_of

_STOP_SECONDS = 5
_SMALL = 100_000
"""Bytes of a file, as packed, that are read here."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What is to be read: the rows of a file after the first ``skip``, in pieces of ``piece`` rows."""

    path: Path
    rename: Mapping[str, str]
    source: str | None
    skip: int
    piece: int


Piece = tuple[int, list[Any], MpiError | None]
"""How much of the file was read by then (bytes, as packed), packed rows, and what ended the reading early."""


def reader(settings: Settings, reading: Reading, size: int) -> Reader:
    """Whoever reads a file of ``size`` bytes (as packed) soonest."""
    return ReadHere(settings, reading) if size <= _SMALL else ReadAhead(settings, reading)


class Reader(ABC):
    """The prepared rows of a file, read as long as the block lasts. ``position`` of its bytes are read, as packed."""

    position = 0

    def __enter__(self) -> Self:
        return self

    @abstractmethod
    def __exit__(self, *failure: object) -> None: ...

    @abstractmethod
    def _next(self) -> Piece:
        """The next piece; the last one has no rows or a failure."""

    def rows(self) -> Iterator[ReadRow]:
        """Every row, in order.

        Raises:
            ConfigurationError: the file cannot be read or is damaged; the rows before were handed out.
            MpiError: reading failed otherwise.
        """
        while True:
            self.position, rows, failure = self._next()
            for row in rows:
                yield _unpacked(row)
            if failure is not None:
                raise failure
            if not rows:
                return


class ReadHere(Reader):
    """Reads in this process: for a few rows another one takes longer to start."""

    def __init__(self, settings: Settings, reading: Reading) -> None:
        self._pieces = _pieces(settings, reading)

    def __exit__(self, *failure: object) -> None:
        self._pieces.close()

    def _next(self) -> Piece:
        return next(self._pieces)


class ReadAhead(Reader):
    """Lets another process read."""

    def __init__(self, settings: Settings, reading: Reading) -> None:
        # Not a fork: this process has threads and an open database.
        context = multiprocessing.get_context("spawn")
        self._receiver, sender = context.Pipe(duplex=False)
        self._process = context.Process(
            target=_read, args=(sender, settings, reading), daemon=True, name="mpi-reader"
        )
        self._process.start()
        # The reader's end is open in the reader only, so that its death ends the rows.
        sender.close()

    def __exit__(self, *failure: object) -> None:
        self._receiver.close()
        self._process.join(_STOP_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._process.close()

    def _next(self) -> Piece:
        try:
            piece: Piece = self._receiver.recv()
        except EOFError:
            raise MpiError(
                "the process that reads the file was stopped; load again to go on"
            ) from None
        return piece


def _read(sender: Connection, settings: Settings, reading: Reading) -> None:
    """The other process. It ends with the file, or when nobody listens any more."""
    # Ctrl-C reaches both processes: the loading one decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        for message in _pieces(settings, reading):
            sender.send(message)
    except BrokenPipeError:
        return


def _pieces(settings: Settings, reading: Reading) -> Generator[Piece]:
    """The pieces of the file, one without rows at the end."""
    rows: list[Any] = []
    position, failure = 0, None
    try:
        prepare = preparation(settings)
        with open_rows(reading.path, reading.rename) as file:
            wanted = islice(file.rows(), reading.skip, None)
            for row in read_rows(wanted, reading.source):
                rows.append(_packed(row, prepare))
                if len(rows) == reading.piece:
                    position = file.position
                    yield position, rows, None
                    rows = []
            position = file.size
    except MpiError as error:
        failure = error
    # The edge of a process; its traceback, which Python would print, may quote a patient.
    except Exception as error:  # noqa: BLE001
        kind, place = type(error).__name__, place_of(error.__traceback__)
        failure = MpiError(f"unexpected {kind} at {place} while reading; please report it")
    yield position, rows, failure
    if rows and failure is None:
        yield position, [], None


def _packed(row: ReadRow, prepare: Preparation) -> tuple[Any, ...]:
    """A row as plain values: bytes cross a pipe many times faster than objects do."""
    content: Any = row.content
    if isinstance(content, Submission):
        record, keys = prepare.record(content)
        content = (
            record.key.source,
            record.key.source_id,
            encode_demographics(record.demographics),
            encode_standard(record.standard),
            encode_keys(record.blocking_keys),
            record.digest,
            None if record.recorded_at is None else encode_time(record.recorded_at),
            record.warnings,
            keys,
        )
    return row.line, row.raw, content, row.unknown


def _unpacked(packed: tuple[Any, ...]) -> ReadRow:
    line, raw, content, unknown = packed
    if isinstance(content, tuple):
        source, source_id, demographics, standard, stored_keys, digest, moment, warnings, keys = (
            content
        )
        record = stored_record(
            record_key(source, source_id),
            0,
            RecordStatus.ACTIVE,
            decode_demographics(demographics),
            decode_standard(standard),
            decode_keys(stored_keys),
            digest,
            EPOCH,
            None if moment is None else decode_time(moment),
            None,
            warnings,
        )
        content = Prepared(record, keys)
    return ReadRow(line, raw, content, unknown)
