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
        ("25 Dec 1980", "1980-12-25"),
        ("December 25, 1980", "1980-12-25"),
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
