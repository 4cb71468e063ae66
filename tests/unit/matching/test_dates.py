from __future__ import annotations

import pytest

from mpi.matching.dates import read_date


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("1980-12-25", "1980-12-25"),
        ("19801225", "1980-12-25"),
        ("12/25/1980", "1980-12-25"),
        ("25/12/1980", "1980-12-25"),
        ("03/04/1980", "1980-03-04"),
        ("12251980", "1980-12-25"),
        ("15031980", "1980-03-15"),
        ("20101985", "1985-10-20"),
        ("1587-02-08", "1587-02-08"),
        ("25 Dec 1980", "1980-12-25"),
        ("December 25, 1980", "1980-12-25"),
        ("25DEC1980", "1980-12-25"),
        ("25th Dec 1980", "1980-12-25"),
        ("Dec 25th, 1980", "1980-12-25"),
        ("31.12.1980", "1980-12-31"),
        ("2/3/1980", "1980-02-03"),
        ("1980-12-25T10:00:00Z", "1980-12-25"),
        ("19801225103000.123-0500", "1980-12-25"),
        ("2000-02-29", "2000-02-29"),
        ("1980-12", "1980-12"),
        ("1980", "1980"),
    ],
)
def test_a_date_is_read_in_the_forms_that_registrations_use(text: str, iso: str) -> None:
    assert read_date(text).iso == iso


@pytest.mark.parametrize("text", ["13/45/2020", "1999-02-29", "1955-O6-07", "25 Foo 1980", "x"])
def test_a_date_that_does_not_exist_is_kept_as_damaged(text: str) -> None:
    read = read_date(text)
    assert (read.iso, bool(read.warning)) == ("", True)


@pytest.mark.parametrize(
    ("text", "damaged", "warning"),
    [
        ("1980-13-01", "19801301", "impossible"),
        ("2/30/1980", "19800230", "impossible"),
        ("1900-02-29", "19000229", "impossible"),
        ("1499-01-01", "14990101", "impossible"),
        ("2101-01-01", "21010101", "impossible"),
        ("29-02-1900", "19002902", "impossible"),
        ("13451980", "19801345", "impossible"),
        ("151203", "151203", "impossible"),
        ("15120301", "03011512", "impossible"),
        ("19801345", "19801345", "impossible"),
        ("80-12-25", "801225", "unreadable"),
        ("25 Foo 1980", "198025", "unreadable"),
        ("ten", "", "unreadable"),
    ],
)
def test_the_digits_of_a_damaged_date_are_kept_year_first_where_it_is_known(
    text: str, damaged: str, warning: str
) -> None:
    read = read_date(text)
    assert (read.iso, read.damaged, read.warning) == ("", damaged, warning)


def test_a_date_without_its_day_says_so() -> None:
    assert read_date("1980-12").warning == read_date("1980").warning == "partial"
    assert read_date("1980-12-01").warning == ""
