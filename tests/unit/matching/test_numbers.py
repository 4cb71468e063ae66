from __future__ import annotations

from random import Random

import pytest

from mpi.matching.numbers import (
    ReadNumber,
    read_birth_order,
    read_email,
    read_identifier,
    read_multiple_birth,
    read_phone,
    read_sex,
    read_ssn,
)
from mpi.matching.placeholders import DEFAULT


@pytest.mark.parametrize(
    ("text", "ssn", "last4", "national_id", "warning"),
    [
        ("412-55-7813", "412557813", "7813", "", ""),
        ("412 55 7813", "412557813", "7813", "", ""),
        ("412.55.7813", "412557813", "7813", "", ""),
        ("412–55–7813", "412557813", "7813", "", ""),
        ("000/00/0001", "", "", "", "impossible"),
        ("xxx-xx-1234", "", "1234", "", ""),
        ("***-**-1234", "", "1234", "", ""),
        ("#####1234", "", "1234", "", ""),
        ("1234", "", "1234", "", ""),
        ("0000", "", "", "", "placeholder"),
        ("900-12-3456", "", "", "900123456", ""),  # an ITIN identifies as well
        ("AB 123456 C", "", "", "AB123456C", ""),
        ("41255781", "041255781", "5781", "", ""),  # a spreadsheet dropped the zero
        ("41-25-5781", "041255781", "5781", "", ""),
        ("41001234", "", "", "41001234", ""),
        ("412-55-781", "", "", "", "unreadable"),
        ("412557813.0", "412557813", "7813", "", ""),
        ("41255781.0", "041255781", "5781", "", ""),
        ("000-00-1234", "", "1234", "", ""),
        ("999-99-1234", "", "1234", "", ""),
        ("123-45-6789", "", "", "", "placeholder"),
        ("77777777777", "", "", "", "placeholder"),
        ("unknown", "", "", "", "placeholder"),
        ("000-12-3456", "", "", "", "impossible"),
        ("666-12-3456", "", "", "", "impossible"),
        ("412-00-7813", "", "", "", "impossible"),
        ("412-55-0000", "", "", "", "impossible"),
        ("12", "", "", "", "unreadable"),
        ("ABCDE", "", "", "", "unreadable"),
        ("--", "", "", "", "unreadable"),
    ],
)
def test_a_social_security_number_is_whole_half_foreign_or_nothing(
    text: str, ssn: str, last4: str, national_id: str, warning: str
) -> None:
    read = read_ssn(text, DEFAULT)
    assert (read.ssn, read.last4, read.national_id, read.warning) == (
        ssn,
        last4,
        national_id,
        warning,
    )


@pytest.mark.parametrize(
    "text",
    """111-22-3333 123-12-1234 111-11-1112 123-45-6788 234-56-7890 333-22-1111 001-01-0001 999-99-9998 999-99-0000
    999-00-0000 876-54-3210 123-123-123 121-21-2121 999-88-7777 12345678""".split(),
)
def test_a_number_typed_to_pass_a_check_is_nobodys(text: str) -> None:
    assert read_ssn(text, DEFAULT) == ReadNumber(warning="placeholder")


@pytest.mark.parametrize("text", ["112-23-1121", "123-45-1786", "111-12-1122", "414-14-4141"])
def test_a_number_of_few_digits_may_be_somebodys(text: str) -> None:
    assert read_ssn(text, DEFAULT).ssn


def test_few_real_numbers_look_typed_to_pass_a_check() -> None:
    random = Random(7)
    drawn = [
        f"{random.randrange(1, 666):03}{random.randrange(10_101, 10**6):06}" for _ in range(20_000)
    ]
    assert not any(read_ssn(digits, DEFAULT).warning == "placeholder" for digits in drawn)


@pytest.mark.parametrize(
    ("text", "region", "expected"),
    [
        ("(302) 555-0147", "US", "+13025550147"),
        ("302.555.0147 x12", "US", "+13025550147"),
        ("3025550147 ext. 9", "US", "+13025550147"),
        ("1-302-555-0147", "US", "+13025550147"),
        ("3025550147.0", "US", "+13025550147"),
        ("302-555-0147/410-555-0101", "US", "+13025550147"),
        ("302-555-0147 OR (410) 555-0101 x12", "US", "+13025550147"),
        ("000-000-0000; 410.555.0101", "US", "+14105550101"),
        ("302-555-0147/555-0101", "US", "+13025550147"),
        ("302-55-0147/410-55-010155", "US", ""),
        ("+1 302 555 0147", "GB", "+13025550147"),
        ("020 7946 0958", "GB", "+442079460958"),
        ("+44 20 7946 0958", "US", "+442079460958"),
        ("555-0147", "US", ""),  # without its area code it is local
        ("911-555-0147", "US", ""),
        ("12", "US", ""),
    ],
)
def test_a_phone_is_read_by_the_rules_of_its_country(text: str, region: str, expected: str) -> None:
    found, warning = read_phone(text, region, DEFAULT)
    assert (found, bool(warning)) == (expected, not expected)


@pytest.mark.parametrize("text", ["0000000000", "none", "999-999-9999", "410-555-1212"])
def test_a_phone_that_stands_for_none_is_a_placeholder(text: str) -> None:
    assert read_phone(text, "US", DEFAULT) == ("", "placeholder")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" Anna@X.org ", ("anna@x.org", "")),
        ("mailto:a@b.c", ("a@b.c", "")),
        ("josé@x.org", ("jose@x.org", "")),
        ("a@b@c", ("", "unreadable")),
        ("nobody", ("", "unreadable")),
        ("none@none.com", ("", "placeholder")),
        ("test@example.com", ("", "placeholder")),
        ("no@email.com", ("", "placeholder")),
        ("x@x.com", ("", "placeholder")),
        ("abc@abc.org", ("", "placeholder")),
        ("NotGiven@gmail.com", ("", "placeholder")),
        ("donthave@email.com", ("", "placeholder")),
        ("patient@hospital.org", ("", "placeholder")),
        ("noname@noname.com", ("", "placeholder")),
        ("smith@smith.com", ("smith@smith.com", "")),
    ],
)
def test_an_email_is_one_mailbox_in_lower_case(text: str, expected: tuple[str, str]) -> None:
    assert read_email(text, DEFAULT) == expected


@pytest.mark.parametrize("kind", ["MB", "SN", "Member ID", "policy number", "Guarantor"])
def test_a_number_that_a_family_shares_is_no_evidence(kind: str) -> None:
    assert read_identifier(kind, "AETNA", "W1234567", DEFAULT) == ("", "shared")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("00-12", ("MRN|HOSPA|0012", "")),
        ("ab 7", ("MRN|HOSPA|AB7", "")),
        ("0000", ("", "placeholder")),
        ("unknown", ("", "placeholder")),
        ("--", ("", "unreadable")),
    ],
)
def test_an_identifier_keeps_its_zeros_and_its_system(
    value: str, expected: tuple[str, str]
) -> None:
    assert read_identifier("mrn", "Hosp A", value, DEFAULT) == expected
    assert read_identifier("MRN", None, "12", DEFAULT) == ("MRN||12", "")


@pytest.mark.parametrize(
    ("text", "sex"),
    [
        ("m", "M"),
        ("Female", "F"),
        ("1", "M"),
        ("2", "F"),
        ("non-binary", "X"),
        ("9", ""),
        ("?", None),
    ],
)
def test_sex_is_one_of_three_or_not_known(text: str, sex: str | None) -> None:
    assert read_sex(text) == sex


@pytest.mark.parametrize(
    ("text", "answer"),
    [("Yes", "Y"), ("2", "Y"), ("0", "N"), ("singleton", "N"), ("13", None), ("maybe", None)],
)
def test_multiple_birth_is_a_yes_a_no_or_an_order(text: str, answer: str | None) -> None:
    assert read_multiple_birth(text) == answer


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("1st", "1"),
        ("Second", "2"),
        ("B", "2"),
        ("02", "2"),
        ("12", "12"),
        ("13", None),
        ("0", None),
    ],
)
def test_birth_order_is_a_small_number(text: str, order: str | None) -> None:
    assert read_birth_order(text) == order
