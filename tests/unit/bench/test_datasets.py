import gzip
from pathlib import Path

from bench.datasets import Dataset, by_record, find, sample, shuffled, truth_of

ROWS = [{"rec_id": f"r{n}", "entity_id": f"e{n % 7}", "given": "ANN"} for n in range(30)]


def test_a_set_that_is_not_there_is_none(tmp_path: Path) -> None:
    assert find(None, "febrl1") is None
    assert find(tmp_path, "febrl1") is None


def test_a_set_is_read_in_its_order(tmp_path: Path) -> None:
    file = tmp_path / "made.csv.gz"
    file.write_bytes(gzip.compress(b"rec_id,entity_id,given\nr2,e1,BEA\nr1,e1,\n"))
    found = find(tmp_path, "made")
    assert found == Dataset("made", file)
    assert truth_of(found.rows()) == {"r2": "e1", "r1": "e1"}


def test_a_sample_holds_whole_people_and_is_the_same_every_time() -> None:
    chosen = sample(ROWS, 12)
    assert 0 < len(chosen) <= 12
    people = {row["entity_id"] for row in chosen}
    assert [row for row in ROWS if row["entity_id"] in people] == sorted(chosen, key=ROWS.index)
    assert sample(ROWS, 12) == chosen


def test_orders_differ_and_hold_the_same_rows() -> None:
    first, second = shuffled(ROWS, 1), shuffled(ROWS, 2)
    assert first != second
    assert sorted(first, key=ROWS.index) == sorted(second, key=ROWS.index) == ROWS
    assert shuffled(ROWS, 1) == first


def test_a_crosswalk_is_read_by_record_alone() -> None:
    assert by_record({"A|r1": "MPI-1", "B|r2": "MPI-2"}) == {"r1": "MPI-1", "r2": "MPI-2"}
