from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mpi.domain.identity import StoredRecord
from mpi.domain.record import RecordKey, RecordStatus
from mpi.domain.registration import read_flat
from mpi.matching.blocking import blocking_keys, key_of, keys_beside, stored_keys
from mpi.matching.record import StandardRecord
from mpi.matching.standardize import standardize

ANNA = {
    "first_name": "Anna",
    "last_name": "Kowalski",
    "dob": "1961-03-17",
    "ssn": "412-55-7813",
    "address": "48 Quarry Lane Apt 3",
    "city": "Dover",
    "state": "DE",
    "zip": "19901",
    "phone": "302-555-0147",
    "email": "anna.k@x.org",
    "mrn": "77",
}
NAMES = ("first_name", "last_name")
# The same sounds in other letters; alike in the first half of the sounds only.
SOUNDING = {"first_name": "Ana", "last_name": "Kowalsky"}
COARSE = {"first_name": "Andy", "last_name": "Koller"}


def standard(**fields: str) -> StandardRecord:
    submission, _ = read_flat(fields)
    return standardize(submission.demographics)[0]


def only(*names: str, **changed: str) -> StandardRecord:
    """Anna with these fields, some of them changed."""
    return standard(**{name: ANNA[name] for name in names} | changed)


def meet(one: StandardRecord, other: StandardRecord) -> bool:
    asked = {key for key, _ in blocking_keys(one)}
    return not asked.isdisjoint(stored_keys(other))


@pytest.mark.parametrize(
    ("names", "changed"),
    [
        ((*NAMES, "dob"), {"last_name": "Miller"}),  # D
        ((*NAMES, "dob"), {"first_name": "Alfa", "last_name": "Kamaru"}),  # I
        ((*NAMES, "dob", "zip"), {"first_name": "Zoe", "last_name": "Wu"}),  # T
        ((*NAMES, "dob", "city"), {"first_name": "Zoe", "last_name": "Wu"}),  # T without ZIP
        (("dob", "address"), {"address": "84 Quarry Lane"}),  # R
        ((*NAMES, "dob"), COARSE | {"dob": "1961-03-27"}),  # YM
        ((*NAMES, "dob"), COARSE | {"dob": "1961-08-17"}),  # YD
        ((*NAMES, "dob"), COARSE | {"dob": "1916-03-17"}),  # MD
        ((*NAMES, "dob"), SOUNDING | {"dob": "1961-12-30"}),  # Y
        ((*NAMES, "dob"), SOUNDING | {"dob": "1961-O9-71"}),  # the year of a damaged date
        ((*NAMES, "zip"), SOUNDING),  # Z
        ((*NAMES, "city"), {"first_name": "Ana"}),  # C
        (NAMES, {}),  # N
        (("ssn",), {}),  # S
        ((*NAMES, "ssn"), {"ssn": "412-55-9999", "first_name": "Ada", "last_name": "Katz"}),  # F
        (("ssn", "dob"), {"ssn": "7813", "dob": "1961-01-02"}),  # L and the year
        ((*NAMES, "ssn"), {"ssn": "7813", "first_name": "Ana"}),  # L and the sounds
        (("mrn",), {}),  # X
        (("phone", "dob"), {"dob": "1961-01-01"}),  # P and the year
        (("phone", "first_name"), {"first_name": "Alba"}),  # P and a letter
        (("email",), {"email": "anna.k@other.net"}),  # M
        (("address", "first_name"), {"address": "48 Quarrie Ln", "first_name": "Ana"}),  # A, sound
        (("address", "dob"), {"address": "48 Quarry", "dob": "1961-12-12"}),  # A, year
        (("address", "zip"), {}),  # A, the door
    ],
)
def test_one_person_meets_itself_through(names: tuple[str, ...], changed: dict[str, str]) -> None:
    one, other = only(*names), only(*names, **changed)
    assert meet(one, other)
    assert meet(other, one)


@pytest.mark.parametrize(
    ("given", "family"),
    [("Kowalski", "Anna"), ("Anna", "Nowak-Kowalski"), ("Maria Anna", "Kowalski")],
)
def test_swapped_and_double_names_meet(given: str, family: str) -> None:
    assert meet(only(*NAMES), standard(first_name=given, last_name=family))


@pytest.mark.parametrize("name", ["Bob", "Robert", "Lisa", "Peter"])
def test_names_that_are_swapped_meet_whatever_they_are_short_for(name: str) -> None:
    swapped = standard(first_name="Kowalski", last_name=name)
    assert meet(standard(first_name=name, last_name="Kowalski"), swapped)


def test_a_nickname_meets_its_formal_name_without_anything_else() -> None:
    bob = standard(first_name="Bob", last_name="Kowalski")
    assert meet(bob, standard(first_name="Robert", last_name="Kowalski"))
    assert not meet(bob, standard(first_name="William", last_name="Kowalski"))


def test_a_mothers_maiden_name_and_a_middle_name_may_be_the_one_in_use() -> None:
    newborn = standard(first_name="Baby Girl", mothers_maiden_name="Kowalski", dob="1990-01-01")
    assert meet(newborn, standard(last_name="Kowalski", dob="1990-01-01"))
    assert meet(
        standard(first_name="Eve", middle_name="Anna", dob="1990-01-01"),
        standard(first_name="Anna", dob="1990-01-01"),
    )


def test_a_mistyped_national_id_meets_by_half() -> None:
    one = standard(ssn="AB 123456 C", dob="1961-03-17")
    assert meet(one, standard(ssn="AB 129999 D", dob="1961-01-01"))
    assert meet(
        standard(ssn="AB 123456 C", last_name="Katz"), standard(ssn="XX 993456 C", last_name="Katz")
    )


@pytest.mark.parametrize("fields", [("city",), ("zip",), ("state",), ("sex",), ("first_name",)])
def test_what_many_share_is_no_key_alone(fields: tuple[str, ...]) -> None:
    assert blocking_keys(only(*fields) if fields != ("sex",) else standard(sex="F")) == ()


def test_doors_of_an_apartment_house_are_not_one_home() -> None:
    one = standard(address="48 Quarry Lane Apt 3", zip="19901")
    assert not meet(one, standard(address="48 Quarry Lane Apt 4", zip="19901"))


@pytest.mark.parametrize("names", [tuple(ANNA), (*NAMES, "dob", "address", "zip")])
def test_a_record_is_found_by_a_copy_of_itself_under_every_key_that_leads_to_its_like(
    names: tuple[str, ...],
) -> None:
    record = only(*names)
    assert meet(record, record)
    asked = blocking_keys(record)
    named = {key for key, _ in asked} | {near for _, narrower in asked for near in narrower}
    stored = set(stored_keys(record))
    assert len(stored_keys(record)) == len(stored)
    assert all(0 <= key < 2**63 for key in named | stored)
    # What leads only to records of the other kind is one bit away from what leads to this one.
    assert {key ^ 1 for key in named - stored} <= stored
    assert {key ^ 1 for key in stored - named} <= named


def is_rich(record: StandardRecord) -> bool:
    """Whether it lies where only the poor look for it."""
    asked = {key for key, _ in blocking_keys(record)}
    return not asked.issuperset({key ^ 1 for key in asked.difference(stored_keys(record))})


# Everything but one coarse key tells these from Anna, and both have keys enough.
STRANGERS = {
    "N": {"dob": "1987-10-02", "mrn": "78"},
    "R": {"first_name": "Zoe", "last_name": "Wu", "address": "9 Quarry Road", "state": "OR"},
    "MD": COARSE | {"dob": "1916-03-17"},
    "L": {"first_name": "Zoe", "last_name": "Wu", "dob": "1961-11-28", "ssn": "523-66-7813"},
    "A": {"first_name": "Zoe", "last_name": "Wu", "dob": "1999-11-28", "address": ANNA["address"],
          "zip": ANNA["zip"]},
}  # fmt: skip
ELSEWHERE = {
    "ssn": "523-66-1204",
    "address": "7 Mill Road",
    "city": "Salem",
    "zip": "97301",
    "phone": "503-555-0188",
    "email": "z@y.org",
    "mrn": "78",
}


@pytest.mark.parametrize("key", STRANGERS)
def test_a_coarse_key_alone_leads_from_no_rich_record_to_another(key: str) -> None:
    anna, stranger = only(*ANNA), standard(**ANNA | ELSEWHERE | STRANGERS[key])
    assert is_rich(anna)
    assert is_rich(stranger)
    assert not meet(anna, stranger)
    assert not meet(stranger, anna)
    assert any(wanted ^ 1 in stored_keys(stranger) for wanted, _ in blocking_keys(anna))


@pytest.mark.parametrize("key", STRANGERS)
def test_a_coarse_key_leads_from_poor_to_rich_records_and_back(key: str) -> None:
    anna, changed = only(*ANNA), ANNA | STRANGERS[key]
    needed = {
        "N": NAMES,
        "R": ("dob", "address"),
        "MD": (*NAMES, "dob"),
        "L": ("dob", "ssn"),
        "A": ("address", "zip"),
    }[key]
    poor = standard(**{name: changed[name] for name in needed})
    assert not is_rich(poor)
    assert meet(anna, poor)
    assert meet(poor, anna)


# Both names begin with other letters, unless it is told otherwise, and nearly all else has changed as well.
RENAMED = ANNA | ELSEWHERE | {"first_name": "Hanna", "last_name": "Covalsky"}
STILL_FOUND = {
    "half of the SSN, year and month": {"ssn": "7813", "dob": "1961-03-28"},
    "half of the SSN, year and day": {"ssn": "7813", "dob": "1961-08-17"},
    "half of the SSN, birthday": {"ssn": "7813", "dob": "1916-03-17"},
    "door and birthday": {"dob": "1916-03-17", "address": ANNA["address"]},
    "birth date and street": {"address": "9 Quarry Road"},
    "sounds and birthday": SOUNDING | {"dob": "1916-03-17"},
}


ELSEWHERE_TOO = {
    "door and birthday": {"state": "OR"},
    "birth date and street": {"state": "OR"},
    "half of the SSN, birthday": {"ssn": "7814"},
    "sounds and birthday": {"dob": "1916-03-18"},
}


@pytest.mark.parametrize("what", ELSEWHERE_TOO)
def test_what_stands_in_for_a_coarse_key_is_narrower(what: str) -> None:
    stranger = standard(**RENAMED | STILL_FOUND[what] | ELSEWHERE_TOO[what])
    assert is_rich(stranger)
    assert not meet(only(*ANNA), stranger)


@pytest.mark.parametrize("what", STILL_FOUND)
def test_rich_records_meet_by_what_stands_in_for_a_coarse_key(what: str) -> None:
    anna, renamed = only(*ANNA), standard(**RENAMED | STILL_FOUND[what])
    assert is_rich(anna)
    assert is_rich(renamed)
    assert meet(anna, renamed)
    assert meet(renamed, anna)


def test_a_key_is_the_same_number_for_ever() -> None:
    # Stored with every record: another number means that all of them have to be prepared again.
    assert key_of("N|ANNA|KOWALSKI") == NUMBER
    assert NUMBER in stored_keys(only(*NAMES))


NUMBER = 218056474536021876


def test_coarse_keys_of_a_record_stored_before_there_were_rich_ones_are_no_link() -> None:
    """What lies beside a record's own keys is taken for its link in an index elsewhere, and joins people."""
    standard_, link = only(*ANNA), 77
    content, _ = read_flat(ANNA)
    own = stored_keys(standard_)
    asked = {key for key, _ in blocking_keys(standard_)}
    before = tuple({*(key if key in asked else key ^ 1 for key in own), link})
    assert set(before) != {*own, link}
    for keys in ((*own, link), before):
        record = StoredRecord(
            key=RecordKey("A", "1"),
            version=1,
            status=RecordStatus.ACTIVE,
            demographics=content.demographics,
            standard=standard_,
            blocking_keys=keys,
            digest=b"",
            received_at=datetime(2026, 1, 1, tzinfo=UTC),
        )
        assert keys_beside(record) == {link}
