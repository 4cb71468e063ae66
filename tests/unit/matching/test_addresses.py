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


@pytest.mark.parametrize(
    ("line1", "line2", "house", "street", "core", "unit"),
    [
        ("12 1/2 Main St", "", "12 1/2", "MAIN ST", "MAIN", ""),
        ("123 W 42nd Street", "", "123", "W 42ND ST", "42ND", ""),
        ("W180N8085 Town Hall Rd", "", "W180N8085", "TOWN HALL RD", "TOWN HALL", ""),
        ("112-10 Queens Blvd", "", "112-10", "QUEENS BLVD", "QUEENS", ""),
        ("221B Baker Street", "", "221B", "BAKER ST", "BAKER", ""),
        ("1200 Highway 12", "", "1200", "HWY 12", "HWY 12", ""),
        ("100 St Charles Ave", "", "100", "SAINT CHARLES AVE", "SAINT CHARLES", ""),
        ("12 N E 5th Ave", "", "12", "NE 5TH AVE", "5TH", ""),
        ("12 E St", "", "12", "E ST", "E", ""),
        ("12 111 St", "", "12", "111TH ST", "111TH", ""),
        ("12 Main St Penthouse", "", "12", "MAIN ST", "MAIN", "PH"),
        ("12 Main St Fl 3", "Suite 300", "12", "MAIN ST", "MAIN", "3 300"),
        ("Apt 4", "12 Main St", "12", "MAIN ST", "MAIN", "4"),
        ("PO Box 12", "Apt 3", "", "PO BOX 12", "PO BOX 12", "3"),
        ("PSC 12 Box 1234", "", "", "PSC 12 BOX 1234", "PSC 12 BOX 1234", ""),
        ("Highway Contract 2 Box 7", "", "", "HC 2 BOX 7", "HC 2 BOX 7", ""),
        ("", "P.O. Box 9", "", "PO BOX 9", "PO BOX 9", ""),
        ("Rua Augusta 1500", "", "", "RUA AUGUSTA 1500", "RUA AUGUSTA 1500", ""),
        ("", "", "", "", "", ""),
    ],
)
def test_an_address_is_taken_apart(
    line1: str, line2: str, house: str, street: str, core: str, unit: str
) -> None:
    read = read_street(line1, line2)
    assert (read.house, read.street, read.core, read.unit) == (house, street, core, unit)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("60601-1234", "60601"),
        ("60601 - 1234", "60601"),
        ("٦٠٦٠١", "60601"),
        ("606011234", "60601"),
        (" 02139 ", "02139"),
        ("k1a 0b1", "K1A0B1"),
    ],
)
def test_a_postcode_loses_its_spaces_and_a_zip_its_last_four(text: str, expected: str) -> None:
    assert read_zip(text) == expected


@pytest.mark.parametrize(
    ("text", "region"),
    [("Canada", "CA"), ("United Kingdom", "GB"), ("gb", "GB"), ("Nowhere", "US"), ("USA", "US")],
)
def test_a_country_tells_how_to_dial(text: str, region: str) -> None:
    assert read_region(text) == region
