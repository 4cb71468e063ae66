"""Rows of CSV and NDJSON files, gzip-packed or not, one wrong row never spoiling the others."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import orjson

from mpi.domain.record import Guarded
from mpi.errors import ConfigurationError, MalformedBody

PLURAL = frozenset({"names", "addresses", "phones", "emails", "identifiers"})
"""Columns whose CSV cells may hold JSON lists."""

Rename = Mapping[str, str]
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True, repr=False)
class Row(Guarded):
    """One row: the line it ends on, and what it holds – or why it cannot be read."""

    line: int
    content: dict[str, Any] | MalformedBody


class RowFile:
    """A file of rows, open for reading; ``position`` of ``size`` bytes are read, as packed."""

    def __init__(self, raw: BinaryIO, size: int, rename: Rename) -> None:
        self._raw = raw
        self._rename = rename
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
                yield from (_ndjson if head.startswith(b"{") else _csv)(lines, self._rename)
        except (gzip.BadGzipFile, zlib.error, EOFError):
            raise ConfigurationError(
                "the gzip file is damaged; mend it and load again: rows already loaded stay as they are"
            ) from None


@contextmanager
def open_rows(path: Path, rename: Rename | None = None) -> Iterator[RowFile]:
    """Open a file of rows; ``rename`` maps its column names to ours.

    Raises:
        ConfigurationError: the file is not there or cannot be read.
    """
    try:
        raw = path.open("rb")
    except OSError as error:
        raise ConfigurationError(f"the file cannot be read: {error.strerror}") from None
    with raw:
        yield RowFile(raw, path.stat().st_size, rename or {})


def _ndjson(lines: io.BufferedReader[io.RawIOBase], rename: Rename) -> Iterator[Row]:
    for number, line in enumerate(lines, 1):
        text = line.removeprefix(b"\xef\xbb\xbf").strip()
        if text:
            yield Row(number, _object(text, rename))


def _object(text: bytes, rename: Rename) -> dict[str, Any] | MalformedBody:
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError:
        return MalformedBody("the line is not valid JSON")
    if not isinstance(document, dict):
        return MalformedBody("the line is not a JSON object")
    return {rename.get(name, name): value for name, value in document.items()}


def _csv(lines: io.BufferedReader[io.RawIOBase], rename: Rename) -> Iterator[Row]:
    # Bytes that are no UTF-8 survive as surrogates, so that their row alone is read as Windows-1252.
    with io.TextIOWrapper(lines, "utf-8-sig", errors="surrogateescape", newline="") as text:
        table = csv.reader(text)
        header = next(table, [])
        names = [_repaired(name).strip() for name in header]
        columns = [rename.get(name, name.lower()) for name in names]
        while True:
            try:
                cells = next(table)
            except StopIteration:
                return
            except csv.Error:
                yield Row(table.line_num, MalformedBody("the line is not valid CSV"))
                continue
            if cells:
                yield Row(table.line_num, _mapping(columns, cells))


def _mapping(columns: list[str], cells: list[str]) -> dict[str, Any] | MalformedBody:
    if len(cells) > len(columns):
        return MalformedBody("the row has more cells than the header")
    row: dict[str, Any] = {}
    for column, cell in zip(columns, cells, strict=False):
        if not (value := _repaired(cell).strip()):
            continue
        if column in PLURAL and value.startswith("["):
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
