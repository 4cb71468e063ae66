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
        ("1980 12 25", "1980-12-25"),
        ("1952-JAN-05", "1952-01-05"),
        ("1952JAN05", "1952-01-05"),
        ("5 Jan 1952", "1952-01-05"),
        ("January 5, 1952", "1952-01-05"),
        ("05-JAN-1952 00:00:00", "1952-01-05"),
        ("05JAN1952:00:00:00", "1952-01-05"),
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


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("01/05/52", "1952-01-05"),
        ("1/5/52", "1952-01-05"),
        ("01-05-52", "1952-01-05"),
        ("25/12/80", "1980-12-25"),
        ("05-JAN-52", "1952-01-05"),
        ("05-JAN-26", "2026-01-05"),
        ("01/05/27", "1927-01-05"),
        ("Jan 5, 04", "2004-01-05"),
        ("01/05/52 00:00", "1952-01-05"),
    ],
)
def test_a_year_of_two_digits_lies_in_the_hundred_years_before_this_one(
    text: str, iso: str
) -> None:
    assert (read_date(text).iso, read_date(text).warning) == (iso, "century")


@pytest.mark.parametrize("text", ["10-12-25", "00/00/00", "99/99/99", "13/45/20", "52-JAN-05"])
def test_two_digits_that_may_be_something_else_are_no_year(text: str) -> None:
    assert (read_date(text).iso, read_date(text).warning) == ("", "unreadable")


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("1952-00-00", "1952"),
        ("19520000", "1952"),
        ("00/00/1952", "1952"),
        ("00001952", "1952"),
        ("XX/XX/1952", "1952"),
        ("99/99/1952", "1952"),
        ("19520100", "1952-01"),
        ("01/00/1952", "1952-01"),
        ("01/1952", "1952-01"),
        ("1952-01", "1952-01"),
        ("Jan 1952", "1952-01"),
    ],
)
def test_what_is_known_of_a_date_is_read(text: str, iso: str) -> None:
    assert (read_date(text).iso, read_date(text).warning) == (iso, "partial")


@pytest.mark.parametrize(
    ("text", "damaged"),
    [("99/99/9999", "99999999"), ("XX/05/9999", "999905"), ("00/00/0000", "00000000")],
)
def test_a_date_without_a_year_keeps_its_digits(text: str, damaged: str) -> None:
    assert (read_date(text).iso, read_date(text).damaged) == ("", damaged)


def test_a_date_without_its_day_says_so() -> None:
    assert read_date("1980-12").warning == read_date("1980").warning == "partial"
    assert read_date("1980-12-01").warning == ""
