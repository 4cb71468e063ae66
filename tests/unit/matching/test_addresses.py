from __future__ import annotations

import pytest

from mpi.matching.addresses import read_city, read_region, read_state, read_street, read_zip


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("12 North Main Street", ""), ("12 N. Main St", "")),
        (("12 Main St Apt 4", ""), ("12 Main Street", "# 4")),
        (("12 Main St 4B", ""), ("12 Main St Unit 4B", "")),
        (("5/12 Smith St", ""), ("Unit 5 12 Smith St", "")),
        (("P.O. Box 77", ""), ("PO BOX 77", "")),
        (("Rural Route 2 Box 15", ""), ("RR 2 Box 15", "")),
        (("1st Ave", ""), ("First Avenue", "")),
        (("Rose Clinic", "12 Main St"), ("12 Main St", "Rose Clinic")),
        (("012 Main St", ""), ("12 Main St", "")),
    ],
)
def test_two_spellings_of_one_address_agree(one: tuple[str, str], other: tuple[str, str]) -> None:
    left, right = read_street(*one), read_street(*other)
    assert (left.house, left.core) == (right.house, right.core)
    assert left.core


def test_cities_states_and_postcodes_have_one_spelling() -> None:
    assert read_city("St. Louis") == read_city("SAINT LOUIS")
    assert read_state("Delaware") == read_state("de") == "DE"
    assert read_zip("19901-1234") == read_zip("19901") == "19901"
    assert read_zip("sw1a 1aa") == "SW1A1AA"
    assert read_region("") == "US"
