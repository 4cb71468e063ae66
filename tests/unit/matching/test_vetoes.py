from __future__ import annotations

import random

import numpy as np
import pytest

from mpi.matching.comparison import TRAITS, compare
from mpi.matching.record import StandardAddress, StandardRecord
from mpi.matching.vetoes import UNPROVEN, vetoes_between

MARY = StandardRecord(given=("MARY",), family=("OTT",), dob="1961-03-17", sex="F")
TOWN = StandardRecord(
    dob="1961-03-17", sex="F", addresses=(StandardAddress(city="SPRINGFIELD", zip="62701"),)
)
PHONE = ("+12175448812",)
SSN, OTHER_SSN = "412557813", "537214490"


def _with(given: str = "MARY", dob: str = "1961-03-17", **traits: object) -> StandardRecord:
    return StandardRecord(given=(given,) if given else (), family=("OTT",), dob=dob, **traits)  # type: ignore[arg-type]


def _of_one_town(
    dob: str = "1961-03-17",
    phones: tuple[str, ...] = (),
    home: str = "",
    city: str = "SPRINGFIELD",
    postcode: str = "62701",
) -> StandardRecord:
    """Three names that hundreds may have, and where they live."""
    house, _, street = home.partition(" ")
    place = StandardAddress(house=house, core=street, city=city, zip=postcode)
    return _with(dob=dob, middle=("THI",), phones=phones, addresses=(place,))


AT_HOME = _with(phones=PHONE, emails=("M.OTT@EXAMPLE.ORG",))


@pytest.mark.parametrize(
    ("left", "right", "vetoes"),
    [
        (MARY, MARY, ()),
        (_with(suffix="JR"), _with(suffix="SR"), ("suffix_conflict",)),
        (_with(suffix="JR"), _with(), ()),
        (_with(birth_order="1"), _with(birth_order="2"), ("birth_order_conflict",)),
        (
            _with(ssn="412557813", ssn_last4="7813"),
            _with(ssn="537214490", ssn_last4="4490"),
            ("ssn_conflict",),
        ),
        (
            _with(ssn="412557813", ssn_last4="7813", identifiers=("DL|DE|7",)),
            _with(ssn="537214490", ssn_last4="4490", identifiers=("DL|DE|7",)),
            (),
        ),
        (
            _with(ssn="412557813", ssn_last4="7813", phones=PHONE),
            _with(ssn="537214490", ssn_last4="4490", phones=PHONE),
            ("ssn_conflict",),
        ),
        (AT_HOME._replace(ssn=SSN), AT_HOME._replace(ssn=OTHER_SSN), ()),
        (
            AT_HOME._replace(ssn=SSN),
            AT_HOME._replace(given=("POLLY",), ssn=OTHER_SSN),
            ("ssn_conflict",),
        ),
        (
            AT_HOME._replace(ssn=SSN),
            AT_HOME._replace(family=("KIM",), ssn=OTHER_SSN),
            ("ssn_conflict",),
        ),
        (
            AT_HOME._replace(middle=("A",), ssn=SSN),
            AT_HOME._replace(middle=("R",), ssn=OTHER_SSN),
            ("ssn_conflict",),
        ),
        (
            _with(phones=PHONE, middle=("ANN",), ssn=SSN),
            _with(phones=PHONE, middle=("A",), ssn=OTHER_SSN),
            (),
        ),
        (_with(ssn_last4="7813"), _with(ssn_last4="4490"), ("ssn_conflict",)),
        (_with(ssn_last4="7813", phones=PHONE), _with(ssn_last4="7873", phones=PHONE), ()),
        (
            _with(ssn_last4="7813", phones=PHONE, dob="1961-01-01"),
            _with(ssn_last4="4490", phones=PHONE, dob="1961-01-01"),
            ("ssn_conflict",),
        ),
        (_with("ELI", ssn_last4="7813"), _with("EIL", ssn_last4="7813"), ()),
        (_with("EMMA", ssn_last4="7813"), _with("OLIVIA", ssn_last4="7813"), ("twin_pattern",)),
        (
            _with("MARILYN", ssn_last4="7813", phones=PHONE),
            _with("MADLYN", ssn_last4="7814", phones=PHONE),
            ("ssn_conflict", "twin_pattern"),
        ),
        (_with("MARILYN"), _with("MADLYN"), ("twin_pattern",)),
        (_with("", phones=PHONE), MARY._replace(family=(), phones=PHONE), (UNPROVEN,)),
        (
            _with("", phones=PHONE, identifiers=("DL|DE|7",)),
            MARY._replace(family=(), phones=PHONE, identifiers=("DL|DE|7",)),
            (),
        ),
        (_with("MARILYN", middle=("ANN",)), _with("MADLYN", middle=("ANN",)), ()),
        (_with(), _with(dob="1971-03-17"), ("nothing_personal_agrees",)),
        (
            _with(phones=("+12175448812",)),
            _with(phones=("+12175448812",), dob="1971-03-17"),
            (),
        ),
        (_with(), _with("OTTOKAR"), ("twin_pattern",)),
        (_with(ssn="412557813"), _with("OTTOKAR", ssn="412557813"), ()),
        (_with(), _with("MARK"), ("twin_pattern",)),
        (_with(), _with("MARYY"), ()),
        (_with(), _with("M"), ("twin_pattern",)),
        (_with(ssn="412557813"), _with("M", ssn="412557813"), ()),
        (_with(middle=("ANN",)), _with("M", middle=("ANN",)), ()),
        (_with(middle=("ANN",)), _with(middle=("ROSE",)), ("middle_names_differ",)),
        (_with(middle=("ANN",)), _with(middle=("R",)), ("nothing_personal_agrees",)),
        (_with(deceased="2015-03-02"), _with(deceased="2021-11-17"), ("death_dates_differ",)),
        (_with(), _with(dob="1981-03-17"), ("birth_dates_differ",)),
        (_with(ssn="412557813"), _with(dob="1981-03-17", ssn="412557813"), ()),
        (
            _with(ssn="412557813"),
            _with(dob="1992-09-08", ssn="412557813"),
            ("birth_dates_differ",),
        ),
        (
            _with(phones=("+12175448812",)),
            _with(phones=("+12175448812",), dob="1968-09-30"),
            ("birth_dates_differ",),
        ),
        (_with(national_id="AB12345"), _with(national_id="XY98760"), ("national_id_conflict",)),
        (
            _with(national_id="AB12345", addresses=TOWN.addresses),
            _with(national_id="XY98760", addresses=TOWN.addresses),
            (),
        ),
        (
            _with(given="", birth_order="1"),
            _with(phones=("+12175448812",)),
            ("one_of_several",),
        ),
        (_with("JAYLEN"), _with("JAYDEN", dob="1962-03-17"), ("nothing_personal_agrees",)),
        (
            _with(ssn_last4="7813"),
            _with(ssn_last4="7813", dob=""),
            ("nothing_personal_agrees",),
        ),
        (_with(ssn_last4="7813"), _with(ssn_last4="7813", dob="1961-03-18"), ()),
        (_with(), MARY._replace(family=("KELLER",)), ("nothing_personal_agrees",)),
        (
            _with(middle=("ANN",)),
            MARY._replace(family=("KELLER",), middle=("ANN",)),
            (),
        ),
        (
            _with(phones=("+12175448812",)),
            MARY._replace(family=("KELLER",), phones=("+12175448812",)),
            (),
        ),
        (_with(ssn="412557813"), _with("OTTOKAR", ssn="412757813"), ()),
        (_with(ssn="412557813"), _with("OTTOKAR", ssn="412557814"), ("twin_pattern",)),
        (_with(national_id="AB12345"), _with("OTTOKAR", national_id="AB12346"), ("twin_pattern",)),
        (_with(), _with("OTTOKAR", dob="1984-11-02"), ("nothing_personal_agrees",)),
        (_with(given="", dob=""), _with(given="", dob=""), ("nothing_personal_agrees",)),
        (
            _with(ssn="412557813"),
            _with("OTTOKAR", dob="1984-11-02", ssn="412557813"),
            ("nothing_personal_agrees",),
        ),
        (_with(given="", dob="", ssn="412557813"), _with(ssn="412557813"), ()),
        (
            _with(national_id="AB12345"),
            _with("OTTOKAR", dob="1984-11-02", national_id="AB12345"),
            (),
        ),
        (
            _with(sex="F"),
            _with("OTTOKAR", dob="1961-03-18", sex="M"),
            ("sex_and_given_differ",),
        ),
        (_with("TYRELL", sex="M"), _with("TYRELLA", sex="F"), ("sex_and_given_differ",)),
        (_with(sex="F"), _with(sex="M"), ("nothing_personal_agrees",)),
        (
            _with(sex="F", phones=("+12175448812",)),
            _with(sex="M", phones=("+12175448812",)),
            (),
        ),
        (TOWN, TOWN, ("nothing_personal_agrees",)),
        (TOWN, TOWN._replace(family=("OTT",)), ("nothing_personal_agrees",)),
        (TOWN._replace(ssn_last4="7813"), TOWN._replace(ssn_last4="7813"), ()),
        (TOWN._replace(identifiers=("MRN|A|7",)), TOWN._replace(identifiers=("MRN|A|7",)), ()),
        (
            _of_one_town(dob="", home="12 MAIN"),
            _of_one_town(dob="", home="30 ELM"),
            (UNPROVEN,),
        ),
        (_of_one_town(dob=""), _of_one_town(dob="", home="30 ELM"), ()),
        (_of_one_town(), _of_one_town(dob="1961-11-02"), ("birth_dates_differ",)),
        # Of one town and year; two digits of the birthday differ.
        (
            _of_one_town()._replace(middle=()),
            _of_one_town(dob="1961-05-18")._replace(middle=()),
            (UNPROVEN,),
        ),
        (_of_one_town(phones=PHONE), _of_one_town(dob="1961-05-18", phones=PHONE), ()),
        (_of_one_town(), _of_one_town(), ()),
        (_of_one_town(dob="", phones=PHONE), _of_one_town(dob="", phones=PHONE), ()),
        (_of_one_town(dob="", home="12 MAIN"), _of_one_town(dob="", home="907 MAIN"), ()),
        (
            _of_one_town(dob="", home="12 MAIN"),
            _of_one_town(dob="", home="907 MAIN", city="DECATUR", postcode="62521"),
            (UNPROVEN,),
        ),
        (
            TOWN._replace(phones=("+12175448812",)),
            TOWN._replace(phones=("+12175448812",)),
            (UNPROVEN,),
        ),
        (
            TOWN._replace(family=("OTT",)),
            TOWN._replace(family=("OTT",)),
            ("nothing_personal_agrees",),
        ),
    ],
)
def test_what_forbids_a_link(
    left: StandardRecord, right: StandardRecord, vetoes: tuple[str, ...]
) -> None:
    assert vetoes_between(compare(left, [right])) == vetoes


def test_one_record_of_the_person_that_agrees_takes_a_number_s_veto_away() -> None:
    one = _with(ssn="412557813", ssn_last4="7813")
    other = _with(ssn="537214490", ssn_last4="4490")
    assert vetoes_between(compare(one, [other, one])) == ()
    assert vetoes_between(compare(one, [other, other])) == ("ssn_conflict",)


JAYDEN = _with("JAYDEN", middle=("LEE",), phones=PHONE)


@pytest.mark.parametrize(
    ("arriving", "person", "veto"),
    [
        (
            _with("JOSHUA", phones=PHONE),
            (_with("JACOB", middle=("LEE",)), _with("J", middle=("LEE",), phones=PHONE)),
            "twin_pattern",
        ),
        (
            _with("JOSHUA", ssn_last4="7813"),
            (_with("JACOB", ssn_last4="7813"), _with("J", ssn_last4="7813")),
            "twin_pattern",
        ),
        (
            _with(middle=("HASSAN",)),
            (_with(middle=("ALI",)), _with(middle=("A",))),
            "middle_names_differ",
        ),
        (
            _with(dob="1980-03-17", phones=PHONE),
            (_with(dob="1950-03-17", phones=PHONE), _with(dob="1952-08-29", phones=PHONE)),
            "birth_dates_differ",
        ),
        (
            _with("JAYLEN", dob="1962-03-17", phones=PHONE),
            (JAYDEN, JAYDEN._replace(given=("J",))),
            "nothing_personal_agrees",
        ),
        (
            _with("DAVID", sex="M", ssn="412557813"),
            (_with(sex="F", ssn="412557813"), _with("D", sex="F", ssn="412557813")),
            "sex_and_given_differ",
        ),
    ],
)
def test_what_is_forbidden_by_one_record_is_not_allowed_by_another_that_tells_less(
    arriving: StandardRecord, person: tuple[StandardRecord, ...], veto: str
) -> None:
    assert veto in vetoes_between(compare(arriving, person))


def test_what_two_records_forbid_each_they_forbid_together() -> None:
    """Whatever else agrees: 40,000 pairs of records that differ in the level of one trait."""
    rng = random.Random(7)
    forbidden = 0
    for _ in range(40_000):
        one = np.array([rng.randrange(len(t.levels)) * (rng.random() < 0.45) for t in TRAITS])
        other = one.copy()
        trait = rng.randrange(len(TRAITS))
        one[trait], other[trait] = rng.choices(range(1, len(TRAITS[trait].levels)), k=2)
        if vetoes_between(one[None]) and vetoes_between(other[None]):
            forbidden += 1
            assert vetoes_between(np.stack([one, other])), (one, other)
    assert forbidden > 10_000
