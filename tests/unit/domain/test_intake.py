from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from mpi.domain.intake import MAX_ENTRIES, parse_key, parse_patient, parse_recorded_at
from mpi.domain.record import Address, Identifier, Name, RecordKey
from mpi.errors import InvalidInput


def errors(call: Any, *arguments: object) -> list[dict[str, str]]:
    with pytest.raises(InvalidInput) as raised:
        call(*arguments)
    found: Any = raised.value.extra["errors"]
    return list(found)


def test_flat_columns_come_before_plural_forms_and_nothing_comes_twice() -> None:
    read, unknown = parse_patient(
        {
            "first_name": "Ann",
            "last_name": "Lee",
            "maiden_name": "Ray",
            "names": [{"given": "Ann", "family": "Lee"}, {"given": "Annie", "use": "nickname"}],
            "address": "1 Main St",
            "addresses": [{"line1": "2 Side St", "zip": 2139}, {"line1": "1 Main St"}],
            "phone": "1",
            "phone2": "2",
            "phones": ["2", None, "3", " "],
            "email": "a@b.c",
            "mrn": "7",
            "identifiers": [{"value": "8"}, {"kind": "DL"}, {"kind": "MRN", "value": "7"}],
        }
    )
    assert read.names == (
        Name("Ann", None, "Lee"),
        Name("Annie", use="alias"),
        Name(family="Ray", use="maiden"),
    )
    assert read.addresses == (Address("1 Main St"), Address("2 Side St", zip="2139"))
    assert (read.phones, read.emails) == (("1", "2", "3"), ("a@b.c",))
    assert read.identifiers == (Identifier("MRN", "7"), Identifier("ID", "8"))
    assert unknown == ()


def test_other_names_stand_in_one_column_as_hl7_writes_them() -> None:
    read, unknown = parse_patient(
        {
            "last_name": "Lee",
            "alias": "Ray^Ann^Q^Jr^Dr ~Day^ ~^~King, Ada~^Annie",
            "maiden_name": "May",
        }
    )
    assert read.names == (
        Name(family="Lee"),
        Name(family="May", use="maiden"),
        Name("Ann", "Q", "Ray", "Jr", use="alias"),
        Name(family="Day", use="alias"),
        Name(family="King, Ada", use="alias"),
        Name("Annie", use="alias"),
    )
    assert unknown == ()
    assert errors(parse_patient, {"alias": "~".join(["Ray^Ann"] * 21)}) == [
        {"path": "alias", "code": "too_many"}
    ]


def test_second_spellings_of_a_column_count_when_the_column_is_empty() -> None:
    read, _ = parse_patient({"gender": "F", "sex": " ", "birth_date": "1980", "dob": "1981"})
    assert (read.sex, read.dob) == ("F", "1981")


@pytest.mark.parametrize(
    ("value", "text"),
    [(98101, "98101"), (98101.0, "98101"), (1.5, "1.5"), ("  ", None), (None, None)],
)
def test_numbers_of_spreadsheets_become_text(value: object, text: str | None) -> None:
    read, _ = parse_patient({"ssn": value})
    assert read.ssn == text


def test_unknown_fields_are_named_with_their_path() -> None:
    _, unknown = parse_patient({"shoe": 1, "names": [{"given": "Ann", "title": "Dr"}]})
    assert unknown == ("shoe", "names[0].title")


def test_every_wrong_field_is_listed_and_no_value_is_told() -> None:
    found = errors(
        parse_patient,
        {
            "ssn": True,
            "dob": float("nan"),
            "city": ["Reno"],
            "first_name": "\ud800",
            "names": {"given": "Ann"},
            "phones": ["1"] * (MAX_ENTRIES + 1),
            "addresses": ["12 Main St"],
        },
    )
    assert {error["path"]: error["code"] for error in found} == {
        "ssn": "wrong_type",
        "dob": "wrong_type",
        "city": "wrong_type",
        "first_name": "not_unicode",
        "names": "wrong_type",
        "phones": "too_many",
        "addresses[0]": "wrong_type",
    }


def test_a_key_has_both_parts_or_none() -> None:
    assert parse_key(None, "  ") is None
    assert parse_key(" LAB ", 42) == RecordKey("LAB", "42")
    assert errors(parse_key, "LAB", None) == [{"path": "source_id", "code": "missing"}]
    assert errors(parse_key, None, "1") == [{"path": "source", "code": "missing"}]


@pytest.mark.parametrize(
    ("source", "source_id", "path", "code"),
    [
        ("x" * 129, "1", "source", "too_long"),
        ("A", "x" * 256, "source_id", "too_long"),
        ("A\x00", "1", "source", "control_character"),
        ("A", ["1"], "source_id", "wrong_type"),
        ("A", "\udfff", "source_id", "not_unicode"),
    ],
)
def test_a_key_that_cannot_be_stored_is_refused(
    source: object, source_id: object, path: str, code: str
) -> None:
    assert errors(parse_key, source, source_id) == [{"path": path, "code": code}]


def test_the_longest_key_is_stored() -> None:
    assert parse_key("x" * 128, "y" * 255) == RecordKey("x" * 128, "y" * 255)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-01T12:00:00Z", datetime(2026, 3, 1, 12, tzinfo=UTC)),
        ("2026-03-01", datetime(2026, 3, 1, tzinfo=UTC)),
        (
            " 2026-03-01T12:00:00+02:00 ",
            datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(hours=2))),
        ),
        ("", None),
        (None, None),
    ],
)
def test_a_time_without_zone_is_utc(text: str | None, moment: datetime | None) -> None:
    found = parse_recorded_at(text)
    assert found == moment
    assert found is None or found.tzinfo is UTC


@pytest.mark.parametrize("text", ["yesterday", "0001-01-01T00:00:00+14:00"])
def test_a_time_that_is_none_is_told(text: str) -> None:
    with pytest.raises((ValueError, OverflowError)):
        parse_recorded_at(text)


@pytest.mark.parametrize(("flag", "text"), [(True, "True"), (False, "False"), ("Y", "Y")])
def test_a_multiple_birth_may_be_a_json_boolean(flag: object, text: str) -> None:
    demographics, _ = parse_patient({"multiple_birth": flag})
    assert demographics.multiple_birth == text
