"""What another process reads and prepares is what this one would have."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from mpi.bootstrap.container import build
from mpi.bootstrap.preparation import preparation
from mpi.bulk.load import ReadRow, read_rows
from mpi.bulk.read_ahead import ReadAhead, ReadHere, Reading, reader
from mpi.bulk.rows import open_rows
from mpi.demo.population import Population
from mpi.domain.record import Submission
from mpi.errors import ConfigurationError, MpiError
from mpi.service.preparation import Preparation, Prepared
from mpi.settings import EMBEDDED, Settings, read_settings

ROWS = 130
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
READERS = pytest.mark.parametrize("read", [ReadHere, ReadAhead])


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("MPI_SQLITE_PATH", str(tmp_path / "index.sqlite3"))
    settings = read_settings(EMBEDDED)
    asyncio.run(build(settings, create=True).close())
    return settings


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "rows.ndjson"
    rows: list[bytes] = [orjson.dumps(row) for row, _ in Population(ROWS - 3, 9).rows()]
    rows[40:40] = [b"{broken", b'{"first_name": "Ada"}', b'{"source": 7, "source_id": [1]}']
    path.write_bytes(b"\n".join(rows))
    return path


def reading(path: Path, skip: int = 0) -> Reading:
    return Reading(path, {}, "LAB", skip, 25)


def comparable(row: ReadRow) -> tuple[object, ...]:
    """The row without the moment of its arrival, which is set later."""
    content: object = row.content
    if isinstance(row.content, Prepared):
        content = replace(row.content.record, received_at=MOMENT), row.content.keys
    elif isinstance(row.content, MpiError):
        content = type(row.content), row.content.detail, row.content.extra
    return row.line, row.raw, row.unknown, content


def prepared(row: ReadRow, prepare: Preparation) -> ReadRow:
    """As the service itself prepares what a row submits."""
    if not isinstance(row.content, Submission):
        return row
    return replace(row, content=Prepared(*prepare.record(row.content)))


@READERS
@pytest.mark.parametrize("skip", [0, 60, ROWS, ROWS + 5])
def test_rows_arrive_in_order_and_as_prepared_here(
    settings: Settings, path: Path, skip: int, read: type[ReadHere | ReadAhead]
) -> None:
    prepare = preparation(settings)
    with open_rows(path) as file:
        expected = [comparable(prepared(row, prepare)) for row in read_rows(file.rows(), "LAB")]
    with read(settings, reading(path, skip)) as ahead:
        found = [comparable(row) for row in ahead.rows()]
        assert ahead.position == path.stat().st_size
    assert len(expected) == ROWS
    assert found == expected[skip:]


def test_a_few_rows_are_read_here_and_many_by_another_process(
    settings: Settings, path: Path
) -> None:
    assert isinstance(reader(settings, reading(path), 100_000), ReadHere)
    with reader(settings, reading(path), 100_001) as ahead:
        assert isinstance(ahead, ReadAhead)


@READERS
def test_a_file_that_is_not_there_is_told_here(
    settings: Settings, tmp_path: Path, read: type[ReadHere | ReadAhead]
) -> None:
    with (
        read(settings, reading(tmp_path / "missing")) as ahead,
        pytest.raises(ConfigurationError, match="cannot be read"),
    ):
        list(ahead.rows())


def test_a_killed_reader_ends_the_rows_with_an_error(settings: Settings, path: Path) -> None:
    with ReadAhead(settings, reading(path)) as ahead:
        rows = ahead.rows()
        next(rows)
        ahead._process.kill()
        with pytest.raises(MpiError, match="load again"):
            list(rows)


def test_rows_that_nobody_wants_do_not_keep_the_reader(settings: Settings, path: Path) -> None:
    with ReadAhead(settings, reading(path)) as ahead:
        next(ahead.rows())
        pid = ahead._process.pid
    assert pid is not None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@READERS
def test_a_defect_while_reading_is_named_without_its_message(
    settings: Settings, path: Path, read: type[ReadHere | ReadAhead]
) -> None:
    wrong: Any = ["this would be quoted"]
    with (
        read(settings, replace(reading(path), rename=wrong)) as ahead,
        pytest.raises(MpiError, match="unexpected AttributeError") as raised,
    ):
        list(ahead.rows())
    assert "quoted" not in str(raised.value)
