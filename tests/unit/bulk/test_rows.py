"""Reading files of rows: forms, encodings, damage."""

import gzip
import os
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from mpi.bulk.files import private_file
from mpi.bulk.rejects import RejectFile
from mpi.bulk.rows import MAX_ROW, open_rows
from mpi.errors import ConfigurationError, MalformedBody
from tests.support.full_disk import files_of_at_most
from tests.support.service import environment

ROOM = 4_000_000


def contents(path: Path, raw: bytes, rename: dict[str, str] | None = None) -> list[Any]:
    path.write_bytes(raw)
    with open_rows(path, rename) as file:
        return [row.content for row in file.rows()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rows"


def test_csv_drops_empty_cells_and_surrounding_spaces(path: Path) -> None:
    found = contents(path, b"source_id,first_name,zip\nA, Ann ,\n\nB,,98101\n")
    assert found == [{"source_id": "A", "first_name": "Ann"}, {"source_id": "B", "zip": "98101"}]


def test_csv_headings_are_read_without_case_and_byte_order_mark(path: Path) -> None:
    assert contents(path, b"\xef\xbb\xbfSource_ID, First_Name\nA,Ann\n") == [
        {"source_id": "A", "first_name": "Ann"}
    ]


def test_csv_quotes_and_line_breaks_in_cells(path: Path) -> None:
    raw = b'source_id,address\r\nA,"12 ""Old"" Road\r\nRear"\r\nB,x\r\n'
    assert contents(path, raw) == [
        {"source_id": "A", "address": '12 "Old" Road\r\nRear'},
        {"source_id": "B", "address": "x"},
    ]


@pytest.mark.parametrize(
    "broken",
    [
        b'B,"never closed\n',
        b'B,"closed in another row\nC,"Bob" Jones\n',
        b'B,"closed at the end of a cell\nC,x",1,2,3\n',
    ],
)
def test_a_quote_that_is_left_open_takes_no_other_row_with_it(path: Path, broken: bytes) -> None:
    path.write_bytes(b"source_id,zip\nA,1\n" + broken + b"D,4\nE,5\n")
    with open_rows(path) as file:
        rows = list(file.rows())
    good = [row.content for row in rows if not isinstance(row.content, MalformedBody)]
    assert good == [
        {"source_id": "A", "zip": "1"},
        {"source_id": "D", "zip": "4"},
        {"source_id": "E", "zip": "5"},
    ]
    assert [row.line for row in rows] == list(range(2, 2 + len(rows)))


@pytest.mark.parametrize(
    "raw",
    [
        b"A,1,Ann\nB,2,Bob\n",
        b"source;source_id;zip\nA;1;2\n",
        "source,source_id\nA,1\n".encode("utf-16"),
        b'[{"source": "A", "source_id": "1"}]',
    ],
    ids=["no header", "semicolons", "UTF-16", "a JSON array"],
)
def test_a_table_without_source_ids_is_refused_not_taken_for_an_empty_one(
    path: Path, raw: bytes
) -> None:
    with pytest.raises(ConfigurationError, match="no column source_id"):
        contents(path, raw)


def test_two_columns_of_one_name_are_refused(path: Path) -> None:
    with pytest.raises(ConfigurationError, match="same name"):
        contents(path, b"source_id,zip,ZIP\n1,2,3\n")


def test_csv_rows_may_be_short_but_not_long(path: Path) -> None:
    found = contents(path, b"source_id,zip\nA\nB,1,2\nC,3\n")
    assert found[0] == {"source_id": "A"}
    assert isinstance(found[1], MalformedBody)
    assert found[2] == {"source_id": "C", "zip": "3"}


def test_csv_cells_of_plural_columns_may_hold_lists(path: Path) -> None:
    raw = b'phones,source_id\n"[""1"",""2""]",\n[broken,\nplain,\n'
    found = contents(path, raw)
    assert found[0] == {"phones": ["1", "2"]}
    assert isinstance(found[1], MalformedBody)
    assert found[2] == {"phones": "plain"}


def test_csv_cells_in_windows_1252_spoil_no_other_row(path: Path) -> None:
    raw = b"source_id\n" + "Muñoz\n".encode("cp1252") + "Muñoz\n".encode()
    assert contents(path, raw) == [{"source_id": "Muñoz"}, {"source_id": "Muñoz"}]


def test_an_oversized_cell_is_one_bad_row(path: Path) -> None:
    found = contents(path, b"source_id\n" + b"x" * 200_000 + b"\nAnn\n")
    assert isinstance(found[0], MalformedBody)
    assert found[-1] == {"source_id": "Ann"}


def test_ndjson(path: Path) -> None:
    found = contents(path, b'\xef\xbb\xbf{"a": 1}\n\n  {"b": null}  \n7\n{broken\n{"c": "d"}')
    assert [found[0], found[1], found[4]] == [{"a": 1}, {"b": None}, {"c": "d"}]
    assert all(isinstance(item, MalformedBody) for item in found[2:4])


def test_lines_are_numbered_as_an_editor_does(path: Path) -> None:
    path.write_bytes(b'{"a": 1}\n\n{"b": 2}\n')
    with open_rows(path) as file:
        assert [row.line for row in file.rows()] == [1, 3]
    path.write_bytes(b'source_id\n"1\n2"\n3\n')
    with open_rows(path) as file:
        assert [row.line for row in file.rows()] == [3, 4]


def test_gzip_is_told_by_content_not_by_name(path: Path) -> None:
    assert contents(path, gzip.compress(b"source_id\n1\n")) == [{"source_id": "1"}]


def test_a_damaged_gzip_file_hands_out_what_came_before(path: Path) -> None:
    raw = gzip.compress(b'{"a": 1}\n' * 100_000)
    path.write_bytes(raw[: len(raw) // 2])
    with open_rows(path) as file:
        rows = file.rows()
        assert next(rows).content == {"a": 1}
        with pytest.raises(ConfigurationError, match="damaged"):
            list(rows)


def test_columns_are_renamed_in_both_forms(path: Path) -> None:
    rename = {"rec_id": "source_id"}
    assert contents(path, b"rec_id\n7\n", rename) == [{"source_id": "7"}]
    assert contents(path, b'{"rec_id": 7}\n', rename) == [{"source_id": 7}]


@pytest.mark.parametrize("raw", [b"", b"\n", b"source,source_id\n"])
def test_nothing_in_it(path: Path, raw: bytes) -> None:
    assert contents(path, raw) == []


def test_progress_is_told_in_bytes_of_the_file(path: Path) -> None:
    path.write_bytes(gzip.compress(b'{"a": 1}\n' * 1000))
    with open_rows(path) as file:
        list(file.rows())
        assert file.size == path.stat().st_size


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"), open_rows(tmp_path / "none"):
        raise AssertionError("opened")


def test_rows_show_no_patient() -> None:
    from mpi.bulk.rows import Row

    assert "Ann" not in repr(Row(1, {"first_name": "Ann"}))


def test_private_files_appear_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "new" / "file.csv"

    def interrupted() -> None:
        with private_file(target) as file:
            file.write("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        interrupted()
    assert list(target.parent.iterdir()) == []
    with private_file(target) as file:
        file.write("whole")
        assert not target.exists()
    assert target.read_text() == "whole"
    assert target.stat().st_mode & 0o777 == 0o600


KILLED = """
import os, sys
from pathlib import Path
from mpi.bulk.files import private_file
with private_file(Path(sys.argv[1])) as file:
    file.write("half")
    os._exit(0)
"""


def test_drafts_of_a_process_that_was_killed_are_cleared_away(tmp_path: Path) -> None:
    """They hold patient data. One that is still being written stays."""
    target = tmp_path / "crosswalk.csv"
    with (tmp_path / ".crosswalk.csv.20261201").open("w"):
        pass  # somebody's own
    subprocess.run(
        [sys.executable, "-c", KILLED, str(target)], env=environment(tmp_path), check=True
    )
    assert len(list(tmp_path.iterdir())) == 2
    with private_file(target) as slow, private_file(target) as quick:
        assert len(list(tmp_path.iterdir())) == 3
        quick.write("quick")
        slow.write("slow")
    assert target.read_text() == "slow"
    assert {file.name for file in tmp_path.iterdir()} == {target.name, ".crosswalk.csv.20261201"}


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(ConfigurationError, match="cannot be written"),
        private_file(tmp_path / "file" / "x"),
    ):
        raise AssertionError("opened")


@pytest.mark.parametrize("taken", ["folder", "pipe"])
def test_only_a_file_is_ever_replaced(tmp_path: Path, taken: str) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with (
        pytest.raises(ConfigurationError, match="folder or a device"),
        private_file(tmp_path / taken),
    ):
        raise AssertionError("opened")
    with pytest.raises(ConfigurationError, match="folder or a device"):
        RejectFile(tmp_path / taken).write("{}")
    assert (tmp_path / "pipe").is_fifo()


def test_a_full_disk_is_told_with_the_file_that_has_no_room(tmp_path: Path) -> None:
    piece, named = "x" * (2 * ROOM), re.escape(f"{tmp_path / 'file'} cannot be written: ")
    with files_of_at_most(ROOM):
        with pytest.raises(ConfigurationError, match=named), private_file(tmp_path / "file") as new:
            new.write(piece)
        with pytest.raises(ConfigurationError, match=named), private_file(tmp_path / "file") as new:
            new.write("x" * (ROOM - 1) + "xx")  # kept in memory until the end
        for last in (RejectFile.noted, RejectFile.finish, RejectFile.close):
            rejects = RejectFile(tmp_path / "file")
            rejects.write("x" * ROOM)
            rejects.write("x")
            with pytest.raises(ConfigurationError, match=named):
                last(rejects)
            with suppress(ConfigurationError):
                rejects.close()
        rejects = RejectFile(tmp_path / "file")
        with pytest.raises(ConfigurationError, match=named):
            rejects.write(piece)
        with suppress(ConfigurationError):
            rejects.close()
    assert [path.name for path in tmp_path.iterdir()] == [".file.draft"]


@pytest.mark.parametrize(
    ("head", "good", "endless"),
    [
        (b"", b'{"source_id": "1"}', b'{"source_id": "' + b"9" * MAX_ROW + b'"}'),
        (b"source_id\n", b"1", b"9," * MAX_ROW),
    ],
)
def test_an_endless_row_is_one_bad_row_and_lines_are_counted_on(
    path: Path, head: bytes, good: bytes, endless: bytes
) -> None:
    path.write_bytes(head + good + b"\n" + endless + b"\n" + good + b"\n")
    with open_rows(path) as file:
        rows = list(file.rows())
    assert rows[0].content == rows[-1].content == {"source_id": "1"}
    assert any(isinstance(row.content, MalformedBody) for row in rows[1:-1])
    assert rows[-1].line == path.read_bytes().count(b"\n")


def test_a_row_of_endless_lines_is_bounded_too(path: Path) -> None:
    found = contents(path, b"source_id\n1\n" + b'"9\n",' * (MAX_ROW // 4))
    assert found[0] == {"source_id": "1"}
    assert isinstance(found[1], MalformedBody)
    assert "longer" in found[1].detail


def test_a_file_that_does_not_begin_with_columns_is_refused(path: Path) -> None:
    with pytest.raises(ConfigurationError, match="names of columns"):
        contents(path, b'"' + b"x" * 200_000)
