from __future__ import annotations

import pytest

from mpi.domain.record import Demographics
from mpi.domain.registration import read_flat
from mpi.matching.placeholders import DEFAULT
from mpi.matching.record import StandardRecord
from mpi.matching.standardize import standardize


def _read(**fields: object) -> tuple[StandardRecord, set[tuple[str, str]]]:
    submission, _ = read_flat(fields)
    standard, warnings = standardize(submission.demographics)
    return standard, {(warning.field, warning.code) for warning in warnings}


def test_a_name_loses_case_accents_and_titles_and_keeps_its_parts() -> None:
    read, _ = _read(first_name="Dr. José", last_name="García-López Jr.", maiden_name="Ruiz")
    assert read.given == ("JOSE",)
    assert read.suffix == "JR"
    assert {"GARCIA", "LOPEZ", "RUIZ"} <= set(read.family)


def test_other_names_count_beside_the_official_one() -> None:
    read, warnings = _read(
        first_name="Robert", last_name="Smith", alias="Jones^Bob~Miller, Rob~n/a"
    )
    assert read.given == ("ROBERT", "BOB", "ROB")
    assert read.family == ("SMITH", "JONES", "MILLER")
    assert warnings == {("names[3].family", "placeholder")}


def test_a_whole_name_in_one_field_is_split() -> None:
    read, _ = _read(last_name="Vandersloot, Marguerite")
    assert (read.given, read.family) == (("MARGUERITE",), ("VANDERSLOOT",))


@pytest.mark.parametrize(
    ("field", "value", "trait"),
    [
        ("ssn", "999-99-9999", "ssn"),
        ("first_name", "Baby Boy", "given"),
        ("last_name", "Unknown", "family"),
        ("dob", "1900-01-01", "dob"),
        ("first_name", "x" * 1001, "given"),
        ("last_name", "???", "family"),
        ("sex", "perhaps", "sex"),
        ("phone", "12", "phones"),
        ("email", "nobody", "emails"),
        ("birth_order", "many", "birth_order"),
        ("multiple_birth", "perhaps", "multiple_birth"),
        ("dob", "9/9/9999", "dob"),
        ("dob", "99/99/99", "dob_damaged"),
        ("address", "Homeless Shelter", "addresses"),
        ("address", "HOMELESS/UNKNOWN", "addresses"),
        ("address", "No Address Given", "addresses"),
        ("address", "Unable to obtain", "addresses"),
        ("address", "INCARCERATED", "addresses"),
        ("address", "Mail returned", "addresses"),
        ("address", "XXXXX", "addresses"),
        ("address", "Gen Delivery", "addresses"),
        ("address", "0000 UNKNOWN ST", "addresses"),
        ("address", "1 Homeless St", "addresses"),
        ("city", "Not Available", "addresses"),
        ("zip", "XXXXX", "addresses"),
        ("zip", "0", "addresses"),
        ("zip", "0000", "addresses"),
        ("zip", "99999", "addresses"),
    ],
)
def test_what_says_nothing_is_left_out_and_reported(field: str, value: str, trait: str) -> None:
    read, warnings = _read(**{field: value})
    assert not getattr(read, trait)
    assert field in {name for name, _ in warnings}


def test_a_middle_name_in_the_place_of_the_given_one_changes_places_with_it() -> None:
    read = _read(first_name="Thi", middle_name="Lan", last_name="Phan")[0]
    assert (read.given, read.middle) == (("LAN",), ("THI",))
    read = _read(first_name="Thi", middle_name="L", last_name="Phan")[0]
    assert (read.given, read.middle) == (("THI",), ("L",))


@pytest.mark.parametrize("field", ["first_name", "middle_name", "last_name"])
@pytest.mark.parametrize(
    "value",
    "DO NOT USE|DO-NOT-USE|DONOTUSE|DNU|DUPLICATE|*DUP*|DECEASED|MERGED|USE OTHER MRN|ZZ DO NOT USE|"
    "DUPLICATE DO NOT USE|NO FIRST NAME|NO LAST NAME|UNAVAILABLE|FIRST NAME|LAST NAME|ZZTEST|ZZZTEST|ZZ TEST|"
    "TEST PATIENT|ZZ|XX|XXXX|UNKNOWN DUPLICATE".split("|"),
)
def test_a_note_in_place_of_a_name_is_a_placeholder(field: str, value: str) -> None:
    read, warnings = _read(**{field: value})
    assert (read.given, read.middle, read.family) == ((), (), ())
    assert warnings == {(field, "placeholder")}


def test_a_label_of_a_field_may_be_a_surname() -> None:
    assert _read(first_name="FIRST", last_name="FIRST")[0].given == ()
    assert _read(first_name="Ruth", last_name="FIRST")[0].family == ("FIRST",)


def test_a_noted_record_is_read_as_the_one_without_the_note() -> None:
    plain, _ = _read(first_name="Anthony", last_name="Smith")
    noted, warnings = _read(first_name="ANTHONY DO NOT USE", last_name="ZZSMITH-DUPLICATE")
    assert (noted, warnings) == (plain, set())
    assert _read(last_name="ZZSMITH, ANTHONY (DUP)")[0] == plain


@pytest.mark.parametrize(
    "value", "DECEASED|ADOPTED|Same|DK|Don't know|DOES NOT KNOW|REFUSED|NOT AVAILABLE".split("|")
)
def test_a_mother_nobody_can_name_has_no_maiden_name(value: str) -> None:
    read, warnings = _read(mothers_maiden_name=value)
    assert read.mothers_maiden == ""
    assert warnings == {("mothers_maiden_name", "placeholder")}


@pytest.mark.parametrize(
    ("field", "value", "trait", "expected"),
    [
        ("ssn", "412-55-7813", "ssn", "412557813"),
        ("ssn", "7813", "ssn_last4", "7813"),
        ("ssn", "AB 123456 C", "national_id", "AB123456C"),
        ("sex", "female", "sex", "F"),
        ("phone", "(302) 555-0147", "phones", ("+13025550147",)),
        ("phone", "+44 20 7946 0958", "phones", ("+442079460958",)),
        ("email", " Anna@X.org ", "emails", ("anna@x.org",)),
        ("birth_order", "2", "birth_order", "2"),
        ("multiple_birth", "yes", "multiple_birth", "Y"),
        ("multiple_birth", "no", "multiple_birth", "N"),
        ("mothers_maiden_name", "Ruiz", "mothers_maiden", "RUIZ"),
    ],
)
def test_a_trait_is_read_into_one_form(
    field: str, value: str, trait: str, expected: object
) -> None:
    assert getattr(_read(**{field: value})[0], trait) == expected


def test_placeholders_may_be_added_to_a_trait_that_exists() -> None:
    more = DEFAULT.extended({"ssn": ["412-55-7813"]})
    assert more.has("ssn", "412557813")
    assert not DEFAULT.has("ssn", "412557813")
    with pytest.raises(ValueError, match="shoes"):
        DEFAULT.extended({"shoes": ["12"]})


@pytest.mark.parametrize(
    "more",
    [
        {"given_end": ["-"]},
        {"number": ["--- "]},
        {"phone": ["206-555-0100 x12"]},
        {"phone_line": ["206-555-0100"]},
    ],
)
def test_a_placeholder_that_would_be_found_everywhere_or_nowhere_is_refused(
    more: dict[str, list[str]],
) -> None:
    with pytest.raises(ValueError, match="empty or has another form"):
        DEFAULT.extended(more)


def test_values_of_ones_own_are_found_however_they_are_written() -> None:
    more = DEFAULT.extended(
        {"number": ["Not available 2"], "phone": ["+1 206-555-0100", "206 555 0101"]}
    )
    patient = Demographics(
        ssn="NOT-AVAILABLE-2", phones=("(206) 555-0100", "+1 206 555 0101", "206-555-0102")
    )
    record, warnings = standardize(patient, more)
    assert (record.ssn, record.national_id, record.phones) == ("", "", ("+12065550102",))
    assert [warning.field for warning in warnings] == ["ssn", "phone", "phone2"]
