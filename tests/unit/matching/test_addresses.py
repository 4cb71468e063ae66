from __future__ import annotations

import pytest

from mpi.domain.record import Address, Demographics
from mpi.matching.addresses import (
    read_city,
    read_region,
    read_state,
    read_street,
    read_zip,
    restore_zip,
)
from mpi.matching.standardize import standardize


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
        (("12 Main Blv", ""), ("12 Main Boulevard", "")),
        (("12 US Hwy 61", ""), ("12 State Route 61", "")),
        (("12 ST HWY 61", ""), ("12 Highway 61", "")),
        (("12 SR-61", ""), ("12 Route 61", "")),
        (("12 CR 61", ""), ("12 County Road 61", "")),
        (("12 Oak Cr", ""), ("12 Oak Circle", "")),
        (("12 I-10", ""), ("12 Interstate 10", "")),
        (("12 FM 1960", ""), ("12 Farm to Market Rd 1960", "")),
        (("PO BX 77", ""), ("P O Box #77", "")),
        (("PO 77", ""), ("PO BOX 77", "")),
        (("RT 2 BOX 31", ""), ("R R 2 BOX 31", "")),
        (("Route 2 Box 31", ""), ("RR 2 BX 31", "")),
        (("12 MLK Blvd", ""), ("12 Dr. Martin Luther King, Jr. Blvd", "")),
        (("12 M.L. King Dr", ""), ("12 Martin L King Dr", "")),
        (("C/O Mary Smith", "12 Main St"), ("12 Main St C/O Mary", "")),
        (("C/O John 12 Main St", ""), ("12 Main St", "% Mary")),
        (("ATTN: Billing PO Box 5", ""), ("PO BOX 5", "")),
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
        ("123 N BROADWAY APT#10", "", "123", "N BROADWAY", "BROADWAY", "10"),
        ("123 N Broadway Apt228", "", "123", "N BROADWAY", "BROADWAY", "228"),
        ("123 Main St", "STE200", "123", "MAIN ST", "MAIN", "200"),
        ("123 Main St 2nd Floor", "", "123", "MAIN ST", "MAIN", "2"),
        ("123 Main St", "Second Fl", "123", "MAIN ST", "MAIN", "2"),
        ("123 Oak Ct A", "", "123", "OAK CT", "OAK", "A"),
        ("12 W Avenue D", "", "12", "W AVE D", "AVE D", ""),
        ("12 Main St E", "", "12", "MAIN ST E", "MAIN", ""),
        ("12 US Highway 61 N Apt 4", "", "12", "HWY 61 N", "HWY 61", "4"),
        ("12 Old State Rd 5", "", "12", "OLD HWY 5", "OLD HWY 5", ""),
        ("12 State St", "", "12", "STATE ST", "STATE", ""),
        ("12 Main St C/O Mary Apt 4", "", "12", "MAIN ST", "MAIN", "4"),
        ("C/O Mary Smith", "", "", "", "", ""),
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
        ("63104.0", "63104"),
        ("71021234.0", "7102"),
        ("7102-1234", "7102"),
        ("k1a 0b1", "K1A0B1"),
    ],
)
def test_a_postcode_loses_its_spaces_and_a_zip_its_last_four(text: str, expected: str) -> None:
    assert read_zip(text) == expected


@pytest.mark.parametrize(
    ("code", "state", "country", "expected"),
    [
        ("7102", "NJ", "", "07102"),
        ("7102", "", "USA", "07102"),
        ("2000", "NSW", "", "2000"),
        ("2000", "", "Australia", "2000"),
        ("7520", "TX", "", "7520"),
        ("SW1A", "", "", "SW1A"),
        ("63104", "", "", "63104"),
    ],
)
def test_a_zip_gets_back_the_zero_that_a_spreadsheet_dropped(
    code: str, state: str, country: str, expected: str
) -> None:
    assert restore_zip(code, state, country) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("PORT ST LUCIE", "Port Saint Lucie"),
        ("Coeur d'Alene", "COEUR D ALENE"),
        ("O'Fallon", "O FALLON"),
        ("Baltimore, MD", "BALTIMORE"),
        ("Valley Hi", "VALLEY HI"),
        ("Baltimore MD 21201", "Baltimore, Maryland"),
        ("New York, New York", "NEW YORK"),
        ("E ST LOUIS", "East Saint Louis"),
        ("LA", "L.A."),
    ],
)
def test_a_city_has_one_spelling_and_no_state(one: str, other: str) -> None:
    assert read_city(one) == read_city(other) == read_city(read_city(one))


@pytest.mark.parametrize(
    ("text", "region"),
    [("Canada", "CA"), ("United Kingdom", "GB"), ("gb", "GB"), ("Nowhere", "US"), ("USA", "US")],
)
def test_a_country_tells_how_to_dial(text: str, region: str) -> None:
    assert read_region(text) == region


@pytest.mark.parametrize(
    ("line", "street"),
    [
        ("123 Street Rd", "STREET RD"),
        ("5 Address St", "ADDRESS ST"),
        ("12 US 5th St", "US 5TH ST"),
        ("12 CR 12th St", "CR 12TH ST"),
        ("12 Attn St", "ATTN ST"),
        ("31 Highway 9W", "HWY 9W"),
    ],
)
def test_a_street_is_not_taken_for_a_note_or_a_number(line: str, street: str) -> None:
    record, warnings = standardize(Demographics(addresses=(Address(line1=line),)))
    assert [address.street for address in record.addresses] == [street]
    assert warnings == ()
