from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mpi.matching import comparators as c
from mpi.matching import name_comparators as n
from mpi.matching.birthdays import compare_dob
from mpi.matching.comparators import MISSING
from mpi.matching.comparison import (
    TRAITS,
    Trait,
    compare,
    informative,
    level_number,
)
from mpi.matching.record import StandardAddress, StandardRecord


def _name(given: str = "", middle: str = "", family: str = "") -> n.FullName:
    return tuple(given.split()), tuple(middle.split()), tuple(family.split())


def _home(text: str, **place: str) -> tuple[StandardAddress, ...]:
    house, _, rest = text.partition(" ")
    core, _, unit = rest.partition(" # ")
    return (StandardAddress(house=house, core=core, unit=unit, **place),)


GIVEN = [
    (_name("MARY"), _name("MARY"), "exact"),
    (_name("MARY ANN"), _name("MARYANN"), "exact"),
    (_name("WILLIAM"), _name("BILL"), "nickname"),
    (_name("MOUSTAFA"), _name("MOSTAFA"), "nickname"),
    (_name("ABD AL RAHMAN"), _name("ABDELRAHMAN"), "nickname"),
    (_name("HYE", "JOON"), _name("HYEJOON"), "exact"),
    (_name("KOU", "XANG"), _name("XANGKOU"), "exact"),
    (_name("XANG KOU"), _name("KOUXANG"), "exact"),
    (_name("KOU", "X"), _name("XKOU"), "close"),
    (_name("MEI LIGN"), _name("MEILING"), "similar"),
    (_name("JO AN"), _name("JOEN"), "misspelt"),
    (_name("HYUN WOO"), _name("HYEONU"), "similar"),
    (_name("HUI", "KYUNG"), _name("HEEKYUNG"), "similar"),
    (_name("HSIAO MING"), _name("XIAOMING"), "similar"),
    (_name("VIRGINIA"), _name("VIRGINA"), "alike"),
    (_name("LEE", family="HYUNWOO"), _name("HYUN WOO", family="LEE"), "swapped"),
    (_name("LEE", family="HYUNWOO"), _name("HYUN", "WOO", "LEE"), "swapped"),
    (_name("AMY", "YOUNGJAE"), _name("YOUNG JAE"), "middle"),
    (_name("MARY ANN"), _name("ANN ROSE"), "token"),
    (_name("MARY"), _name("M"), "initial"),
    (_name("ALEXANDRIANA"), _name("ALEXAND"), "prefix"),
    (_name("MARGUERITE"), _name("MARGEURITE"), "similar"),
    (_name("KAREN", family="OTT"), _name("OTT", family="KAREN"), "swapped"),
    (_name("KAREN"), _name("ROSE", "KAREN"), "middle"),
    (_name("ROSE", "KAREN"), _name("KAREN"), "middle"),
    (_name("JAYLEN"), _name("JAYDEN"), "alike"),
    (_name("ANGEL"), _name("ANGELO"), "alike"),
    (_name("MARY"), _name("MARIE"), "alike"),
    (_name("REBECCA"), _name("REBECA"), "similar"),
    (_name("NOAH"), _name("NOA"), "prefix"),
    (_name("KAY"), _name("KXY"), "misspelt"),
    (_name("ANTHONY"), _name("ANTONETTE"), "loose"),
    (_name("MARTHA"), _name("JOHN"), "different"),
    (_name("MARTHA"), _name("J"), "different"),
    (_name("OTTOKAR"), _name("JOHN"), "unfamiliar"),
    (_name("OTTOKAR"), _name("IFEOMA"), "unfamiliar"),
    (_name("OTTOKAR"), _name(), MISSING),
    (_name(family="SARASWATI"), _name("SARASWATI", family="SARASWATI"), "swapped"),
    (_name(family="SARASWATI"), _name("SARASWATI"), MISSING),
    (_name(family="SHARMA"), _name(family="SHARMA"), MISSING),
    (_name(family="THOMAS"), _name("THOMAS", family="MILLER"), MISSING),
]
FAMILY = [
    (_name(family="SMITH"), _name(family="SMITH"), "exact"),
    (_name(family="VAN DORN"), _name(family="VANDORN"), "exact"),
    (_name(family="SMITH JONES"), _name(family="JONES"), "token"),
    (_name("KAREN", family="OTT"), _name("OTT", family="KAREN"), "swapped"),
    (_name("LEE", family="HYUN WOO"), _name("HYUNWOO", family="LEE"), "swapped"),
    (_name(family="VANDERSLOOT"), _name(family="VANDERSLOTO"), "similar"),
    (_name(family="OKONKWO"), _name(family="PRZYBYLSKI"), "different"),
    (_name(family="OKONKWO"), _name(), MISSING),
    (_name("SARASWATI"), _name(family="SARASWATI"), "swapped"),
    (_name("SARASWATI"), _name("SARASWATI", family="SARASWATI"), MISSING),
    (_name("THOMAS", family="MILLER"), _name("MILLER"), MISSING),
]
MIDDLE = [
    (_name("JOHN", "QUINCY"), _name("JOHN", "QUINCY"), "exact"),
    (_name("MARIA LUISA"), _name("MARIA", "LUISA"), "exact"),
    (_name("JOHN", "Q"), _name("JOHN", "Q"), "initial"),
    (_name("JOHN", "QUINCY"), _name("JOHN", "Q"), "initial"),
    (_name("MARY", "ROSE ANN"), _name("MARY", "ANN"), "similar"),
    (_name("JOHN", "QUINCY"), _name("JOHN", "QUINCEY"), "similar"),
    (_name("JOHN", "Q"), _name("JOHN", "R"), "other_initial"),
    (_name("JOHN", "QUINCY"), _name("JOHN", "R"), "other_initial"),
    (_name("JOHN", "QUINCY"), _name("JOHN", "ROSE"), "different"),
    (_name("MARIA LUISA"), _name("MARIA ELENA"), "different"),
    (_name("ANN MARIE"), _name("MARIE ROSE"), MISSING),
    (_name("JOHN", "QUINCY"), _name("JOHN"), MISSING),
    (_name("CHARLES CHARLIE"), _name("CHARLES", "PAUL"), MISSING),
    (_name("CHARLES CHARLIE"), _name("CHARLES", "P"), MISSING),
    (_name("OMAR", "TAREK"), _name("OMAR", "TARIQ"), "similar"),
    (_name("JOHN", "WILLIAM"), _name("JOHN", "BILL"), "similar"),
    (_name("MARY", "LYNN"), _name("MARY", "LINN"), "similar"),
    (_name("MARY", "JEAN"), _name("MARY", "JUNE"), "different"),
    (_name("AMY", "YOUNGJAE"), _name("YOUNG", "JAE"), MISSING),
    (_name("EDUARDO", "RUIZ", "PEREZ"), _name("EDUARDO", "MANUEL", "PEREZ RUIZ"), MISSING),
    (_name("EDUARDO", "RUIZ", "PEREZ"), _name("EDUARDO", "M", "PEREZ RUIZ"), MISSING),
    (_name("EDUARDO", "RUIZ", "PEREZ"), _name("EDUARDO", "MANUEL", "PEREZ"), "different"),
    (_name("TESFAYE", "HAILE", "DESTA"), _name("TESFAYE", "DESTA", "HAILE"), MISSING),
    (_name("EDUARDO", "RUIZ", "PEREZ"), _name("EDUARDO", "LOPEZ", "PEREZ"), "different"),
    (_name("EDUARDO RUIZ", "", "PEREZ"), _name("EDUARDO MANUEL", "", "PEREZ"), "different"),
    (_name("LI", "LIN", "CHEN"), _name("LI", "MIN", "CHEN"), "different"),
    (_name("MOHAMMED", "ALI", "AHMED"), _name("MOHAMMED", "HASSAN", "AHMED"), "different"),
    (_name("MOHAMMED", "ALI", "ALI"), _name("MOHAMMED", "HASSAN", "ALI"), "different"),
]
DOB = [
    ("1961-03-17", "1961-03-17", "exact"),
    ("1961-01-01", "1961-01-01", "january_first"),
    ("1961-03-07", "1961-07-03", "day_month_swapped"),
    ("1961-01-01", "1961-03-17", "year_only"),
    ("1961-03-17", "1961-03-18", "one_edit"),
    ("1961-03-17", "1971-03-17", "one_edit"),
    ("1961-03-17", "1981-03-17", "decade"),
    ("1905-03-17", "2005-03-17", "one_edit"),
    ("1862-03-17", "1962-03-17", "one_edit"),
    ("1905-03-17", "2005-03-18", "generation"),
    ("1947-03-17", "1974-03-17", "decade"),
    ("1961-03-17", "1972-03-17", "two_parts"),
    ("1961-03-17", "1962-03-18", "two_edits"),
    ("1961-03-17", "1972-11-02", "different"),
    ("1961-03-17", "1984-03-17", "generation"),
    ("1961-03-17", "1984-11-02", "generation"),
    ("1961-01-01", "1962-01-01", "different"),
    ("1961-03", "1961-03-17", "partial"),
    ("1961", "1984-11-02", "different"),
    ("1961", "", MISSING),
]
SSN = [
    ("412557813", "412557813", "exact"),
    ("412557813", "412557815", "consecutive"),
    ("412557813", "912557813", "one_edit"),
    ("412557813", "952557813", "two_edits"),
    ("412557813", "537214490", "different"),
    ("7813", "412557813", "last_four"),
    ("7813", "4490", "last_four_differ"),
    ("7813", "", MISSING),
]
NATIONAL = [
    ("AB12345", "AB12345", "exact"),
    ("AB12345", "AB12346", "consecutive"),
    ("AB12345", "AB13345", "one_edit"),
    ("AB12345", "AB12367", "two_edits"),
    ("AB12345", "XY98760", "different"),
    ("AB12345", "", MISSING),
]
ADDRESS = [
    (_home("12 MAIN"), _home("12 MAIN"), "exact"),
    (_home("12 MAIN # 4"), _home("12 MAIN"), "exact"),
    (_home("12 MAIN # 4"), _home("12 MAIN # 5"), "other_unit"),
    (_home("12 QUARRY"), _home("12 QUARY"), "street_spelling"),
    (_home("12 MAIN"), _home("13 MAIN"), "house_spelling"),
    (_home("12 MAIN"), _home("977 MAIN"), "street"),
    (_home("12 MAIN"), _home("12 LIGHTHOUSE"), "different"),
    (_home("1 FAR") + _home("12 MAIN"), _home("12 MAIN"), "exact"),
    (_home("12 MAIN"), _home(""), MISSING),
]
LOCALITY = [
    (_home("", zip="19901"), _home("", zip="19901"), "zip"),
    (_home("", zip="19901"), _home("", zip="19902"), "zip_spelling"),
    (_home("", city="DOVER", state="DE"), _home("", city="DOVER", state="DE"), "city"),
    (_home("", city="DOVER", state="DE"), _home("", city="LEWES", state="DE"), "state"),
    (_home("", city="DOVER", state="DE"), _home("", city="SALEM", state="OR"), "different"),
    (_home("", zip="19901"), _home("", zip="97301"), "different"),
    (_home("", zip="19901"), _home("", city="DOVER"), MISSING),
]
PHONE = [
    (("+13025550147",), ("+13025550199", "+13025550147"), "exact"),
    (("+13025550147",), ("+13025550148",), "one_edit"),
    (("+13025550147",), ("+15035550182",), "different"),
    (("+13025550147",), (), MISSING),
]
EMAIL = [
    (("A.V@X.ORG",), ("A.V@X.ORG",), "exact"),
    (("A.V7@X.ORG",), ("A.V7@OTHER.COM",), "mailbox"),
    (("A.V@X.ORG",), ("A.V@OTHER.COM",), "missing"),
    (("A.V@GMAIL.COM",), ("A.V@GMIAL.COM",), "similar"),
    (("ANNA@X.ORG",), ("ANN@X.ORG",), "similar"),
    (("ANNA@X.ORG",), ("OTTO@OTHER.COM",), "different"),
    (("ANNA@X.ORG",), (), MISSING),
]
IDENTIFIER = [
    (("MRN|LAB|1", "DL|DE|7"), ("DL|DE|7",), "exact"),
    (("MRN|LAB|1",), ("MRN|LAB|2",), "conflict"),
    (("MRN|LAB|1",), ("MRN|CLINIC|1",), MISSING),
    (("MRN|LAB|1",), (), MISSING),
]
NOBODY: tuple[str, ...] = ()
LIAM, WILLIAM = ("LIAM",), ("WILLIAM",)
BIRTH_ORDER = [
    (("1", "", NOBODY), ("1", "", NOBODY), "same"),
    (("1", "", NOBODY), ("2", "", NOBODY), "conflict"),
    (("1", "", NOBODY), ("", "", LIAM), "one_of_several"),
    (("", "", NOBODY), ("2", "", LIAM), "one_of_several"),
    (("", "", NOBODY), ("", "Y", LIAM), "one_of_several"),
    (("1", "", LIAM), ("", "", LIAM), MISSING),
    (("", "", NOBODY), ("", "", LIAM), MISSING),
    (("", "", NOBODY), ("1", "N", LIAM), MISSING),  # born alone, as the first and the last
    (("", "", NOBODY), ("2", "N", LIAM), "one_of_several"),
    (("", "Y", LIAM), ("", "N", LIAM), "flag_differs"),
    (("", "Y", NOBODY), ("", "N", LIAM), "one_of_several"),
    (("", "Y", NOBODY), ("", "Y", NOBODY), "one_of_several"),
    (("", "Y", LIAM), ("", "Y", LIAM), MISSING),
    (("", "Y", LIAM), ("", "", WILLIAM), "one_of_several"),
    (("", "N", LIAM), ("", "Y", WILLIAM), "one_of_several"),
    (("1", "Y", LIAM), ("1", "Y", WILLIAM), "same"),
    (("", "Y", LIAM), ("", "Y", ("WILLIAM", "LIAM")), MISSING),
    (("", "Y", LIAM), ("", "Y", ("NOAH",)), MISSING),
    (("", "N", LIAM), ("", "", WILLIAM), MISSING),
    (("", "Y", NOBODY), ("", "Y", LIAM), "one_of_several"),
    (("1", "", NOBODY), ("", "Y", NOBODY), "one_of_several"),
    (("1", "", NOBODY), ("", "", NOBODY), "one_of_several"),
    (("", "", NOBODY), ("", "", NOBODY), MISSING),
]
PLAIN = [
    (c.compare_suffix, "JR", "JR", "same"),
    (c.compare_suffix, "JR", "SR", "conflict"),
    (c.compare_suffix, "JR", "", "one_silent"),
    (c.compare_sex, "F", "F", "same"),
    (c.compare_sex, "F", "M", "different"),
    (c.compare_sex, "F", "X", MISSING),
    (c.compare_mothers_maiden, "OKONKWO", "OKONKWO", "exact"),
    (c.compare_mothers_maiden, "OKONKWO", "OKONWKO", "similar"),
    (c.compare_mothers_maiden, "OKONKWO", "OTT", "different"),
    (c.compare_mothers_maiden, "OKONKWO", "", MISSING),
    (c.compare_deceased, "2020-01-02", "2020-01-02", "same"),
    (c.compare_deceased, "2020-01-02", "2020-01-03", "near"),
    (c.compare_deceased, "2020-01", "2020-01-03", "near"),
    (c.compare_deceased, "2020-01-02", "2021-11-17", "different"),
    (c.compare_deceased, "2020-01-02", "", MISSING),
]


def _rows() -> list[tuple[Callable[[Any, Any], str], Any, Any, str]]:
    tables: list[tuple[Callable[[Any, Any], str], list[tuple[Any, Any, str]]]] = [
        (n.compare_given, GIVEN),
        (n.compare_family, FAMILY),
        (n.compare_middle, MIDDLE),
        (compare_dob, [((a, ""), (b, ""), level) for a, b, level in DOB]),
        (c.compare_ssn, [(_ssn(a), _ssn(b), level) for a, b, level in SSN]),
        (c.compare_national_id, NATIONAL),
        (c.compare_address, ADDRESS),
        (c.compare_locality, LOCALITY),
        (c.compare_phone, PHONE),
        (c.compare_email, EMAIL),
        (c.compare_identifiers, IDENTIFIER),
        (c.compare_birth_order, BIRTH_ORDER),
    ]
    rows = [(compared, *row) for compared, table in tables for row in table]
    return [*rows, *PLAIN]


def _ssn(digits: str) -> tuple[str, str]:
    return (digits if len(digits) == 9 else "", digits[-4:])


@pytest.mark.parametrize(("comparator", "left", "right", "level"), _rows())
def test_two_values_have_a_level_in_either_order(
    comparator: Callable[[Any, Any], str], left: Any, right: Any, level: str
) -> None:
    assert (comparator(left, right), comparator(right, left)) == (level, level)


@pytest.mark.parametrize(
    ("left", "right", "level"),
    [
        (("", "196103177"), ("1961-03-17", ""), "damaged"),
        (("", "19610"), ("1984-11-02", ""), MISSING),
    ],
)
def test_a_damaged_date_can_agree_but_never_disagree(
    left: tuple[str, str], right: tuple[str, str], level: str
) -> None:
    assert compare_dob(left, right) == level


def test_names_grow_apart_by_degrees() -> None:
    pairs = [("STEPHANIE", "STEPHENIE"), ("CATHERINE", "KATHRYN"), ("MARTHA", "MARIAN")]
    levels = [n.compare_family(_name(family=a), _name(family=b)) for a, b in pairs]
    assert levels == ["similar", "close", "loose"]


def test_a_record_is_compared_with_each_of_the_others() -> None:
    one = StandardRecord(given=("MARY",), sex="F")
    others = [one, StandardRecord(), StandardRecord(given=("JOHN",), sex="M"), one]
    matrix = compare(one, others)
    assert matrix.shape == (4, len(TRAITS))
    assert matrix[0].tolist() == matrix[3].tolist()
    assert not matrix[1].any()
    given = [trait.name for trait in TRAITS].index("given")
    assert matrix[:, given].tolist() == [
        level_number("given", level) for level in ("exact", MISSING, "different", "exact")
    ]


@pytest.mark.parametrize("trait", TRAITS, ids=lambda trait: trait.name)
def test_who_is_silent_has_the_level_that_the_comparator_says(trait: Trait) -> None:
    silent, words = StandardRecord(), ("ADA", "LOUISE")
    rich = StandardRecord(
        given=words,
        middle=words,
        family=words,
        suffix="JR",
        dob="1961-03-17",
        sex="F",
        ssn="219099999",
        ssn_last4="9999",
        national_id="X77",
        addresses=_home("12 ELM", city="DOVER", zip="19901"),
        phones=words,
        emails=words,
        identifiers=words,
        mothers_maiden="ADA",
        birth_order="1",
        multiple_birth="Y",
        deceased="2020-01-02",
    )
    (levels,) = compare(silent, [rich])
    expected = trait.comparator(trait.value(silent), trait.value(rich))
    assert trait.levels[levels[TRAITS.index(trait)]] == expected


def test_sex_says_nothing_once_the_given_name_agrees() -> None:
    one = StandardRecord(given=("MARY",), sex="F")
    others = [
        one,
        StandardRecord(given=("ANN",), sex="F"),
        StandardRecord(given=("MARY",), sex="M"),
    ]
    vectors = compare(one, others)
    told = informative(vectors)
    sex = [trait.name for trait in TRAITS].index("sex")
    same, different = (level_number("sex", level) for level in ("same", "different"))
    assert vectors[:, sex].tolist() == [same, same, different]
    assert told[:, sex].tolist() == [0, same, different]
    assert np.delete(told, sex, axis=1).tolist() == np.delete(vectors, sex, axis=1).tolist()
