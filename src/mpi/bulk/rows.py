"""Rows of CSV and NDJSON files, gzip-packed or not, one wrong row never spoiling the others."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, AnyStr, BinaryIO, Generic, cast

import orjson

from mpi.bulk.files import check_whole
from mpi.domain.intake import PLURAL_FIELDS
from mpi.domain.record import Guarded
from mpi.errors import ConfigurationError, MalformedBody

MAX_ROW = 1024 * 1024
"""Bytes of NDJSON or characters of CSV that one row may have."""

Rename = Mapping[str, str]
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True, repr=False)
class Row(Guarded):
    """One row: the line it ends on, and what it holds – or why it cannot be read."""

    line: int
    content: dict[str, Any] | MalformedBody


class RowFile:
    """A file of rows, open for reading; ``position`` of ``size`` bytes are read, as packed."""

    def __init__(self, raw: BinaryIO, size: int, rename: Rename, needed: Sequence[str]) -> None:
        self._raw = raw
        self._rename = rename
        self._needed = needed
        self.size = size

    @property
    def position(self) -> int:
        """Bytes read so far."""
        return self.size if self._raw.closed else self._raw.tell()

    def rows(self) -> Iterator[Row]:
        """Every row in order. The first character tells NDJSON (``{``) from CSV.

        Raises:
            ConfigurationError: the file is damaged; the rows before were handed out.
        """
        packed = self._raw.read(2) == _GZIP
        self._raw.seek(0)
        plain = cast("BinaryIO", gzip.GzipFile(fileobj=self._raw)) if packed else self._raw
        try:
            with io.BufferedReader(cast("io.RawIOBase", plain)) as lines:
                head = lines.peek(64).removeprefix(b"\xef\xbb\xbf").lstrip()
                if head.startswith(b"{"):
                    yield from _ndjson(lines, self._rename)
                else:
                    yield from _csv(lines, self._rename, self._needed)
        except (gzip.BadGzipFile, zlib.error, EOFError):
            raise ConfigurationError(
                "the gzip file is damaged; mend it and load again: rows already loaded stay as they are"
            ) from None


@contextmanager
def open_rows(
    path: Path, rename: Rename | None = None, needed: Sequence[str] = ("source_id",)
) -> Iterator[RowFile]:
    """Open a file of rows; ``rename`` maps its column names to ours, ``needed`` are those a table must have.

    Raises:
        ConfigurationError: the file is not there or cannot be read.
    """
    try:
        check_whole(path)
        raw = path.open("rb")
    except OSError as error:
        raise ConfigurationError(f"the file cannot be read: {error.strerror}") from None
    with raw:
        yield RowFile(raw, path.stat().st_size, rename or {}, needed)


class _Lines(Generic[AnyStr]):
    """The lines of a file, never more of them in memory than :data:`MAX_ROW` for one row.

    Raises ``MalformedBody`` once that is exceeded, and goes on with the line after it.
    """

    def __init__(self, readline: Callable[[int], AnyStr], ends: tuple[AnyStr, ...]) -> None:
        self._readline: Callable[[int], AnyStr] = readline
        self._ends: tuple[AnyStr, ...] = ends
        self._left = MAX_ROW
        self._row: list[AnyStr] = []
        self._again: deque[AnyStr] = deque()
        self.number = 0

    def begin_row(self) -> None:
        """What is read from now on belongs to another row."""
        self._left = MAX_ROW
        self._row.clear()

    def keep_first_only(self) -> None:
        """The row ended with its first line after all: the lines after it are read anew, each for itself."""
        rest = self._row[1:]
        self._again.extendleft(reversed(rest))
        self.number -= len(rest)
        del self._row[1:]

    def __iter__(self) -> _Lines[AnyStr]:
        return self

    def __next__(self) -> AnyStr:
        line = self._again.popleft() if self._again else self._readline(self._left + 1)
        if not line:
            raise StopIteration
        self.number += 1
        self._left -= len(line)
        if self._left >= 0:
            self._row.append(line)
            return line
        while line and line[-1:] not in self._ends:
            line = self._readline(MAX_ROW)
        raise MalformedBody("the row is longer than any registration")


def _ndjson(file: io.BufferedReader[io.RawIOBase], rename: Rename) -> Iterator[Row]:
    lines = _Lines(file.readline, (b"\n",))
    while True:
        lines.begin_row()
        try:
            text = next(lines).removeprefix(b"\xef\xbb\xbf").strip()
        except StopIteration:
            return
        except MalformedBody as error:
            yield Row(lines.number, error)
            continue
        if text:
            yield Row(lines.number, _object(text, rename))


def _object(text: bytes, rename: Rename) -> dict[str, Any] | MalformedBody:
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError:
        return MalformedBody("the line is not valid JSON")
    if not isinstance(document, dict):
        return MalformedBody("the line is not a JSON object")
    return {rename.get(name, name): value for name, value in document.items()}


def _csv(
    file: io.BufferedReader[io.RawIOBase], rename: Rename, needed: Sequence[str]
) -> Iterator[Row]:
    # Bytes that are no UTF-8 survive as surrogates, so that their row alone is read as Windows-1252.
    with io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline="") as text:
        lines = _Lines(text.readline, ("\n", "\r"))
        # Strict, or a quote that is never closed swallows every registration after it without a word.
        table = csv.reader(lines, strict=True)
        if not (columns := _columns(table, rename, needed)):
            return
        while True:
            lines.begin_row()
            try:
                content = _next_row(table, columns)
            except StopIteration:
                return
            if isinstance(content, MalformedBody):
                lines.keep_first_only()
            if content is not None:
                yield Row(lines.number, content)


def _columns(table: Iterator[list[str]], rename: Rename, needed: Sequence[str]) -> list[str]:
    """The names of the columns, as ours; none if the file is empty."""
    try:
        names = [_repaired(name).strip() for name in next(table, [])]
    except (csv.Error, MalformedBody):
        raise ConfigurationError("the file does not begin with names of columns") from None
    columns = [rename.get(name, name.lower()) for name in names]
    missing = next((name for name in needed if name not in columns), None)
    if columns and missing:
        raise ConfigurationError(
            f"the file has no column {missing}: it must be CSV in UTF-8, with commas, and begin with the names "
            "of its columns (`--rename` gives them ours), or NDJSON"
        )
    if len(named := [column for column in columns if column]) > len(set(named)):
        raise ConfigurationError(
            "two columns of the file have the same name; remove one, or give it another name"
        )
    return columns


def _next_row(
    table: Iterator[list[str]], columns: list[str]
) -> dict[str, Any] | MalformedBody | None:
    """The content of the next row; None for an empty line. Raises ``StopIteration`` at the end."""
    try:
        cells = next(table)
    except MalformedBody as error:
        return error
    except csv.Error:
        return MalformedBody("the line is not valid CSV")
    return _mapping(columns, cells) if cells else None


def _mapping(columns: list[str], cells: list[str]) -> dict[str, Any] | MalformedBody:
    if len(cells) > len(columns):
        return MalformedBody("the row has more cells than the header")
    row: dict[str, Any] = {}
    for column, cell in zip(columns, cells, strict=False):
        if not (value := _repaired(cell).strip()):
            continue
        if column in PLURAL_FIELDS and value.startswith("["):
            try:
                row[column] = orjson.loads(value)
            except orjson.JSONDecodeError:
                return MalformedBody(f"the cell of {column} is not valid JSON")
        else:
            row[column] = value
    return row


def _repaired(cell: str) -> str:
    if cell.isascii():
        return cell
    try:
        cell.encode()
    except UnicodeEncodeError:
        return cell.encode("utf-8", "surrogateescape").decode("cp1252", "replace")
    return cell
