from __future__ import annotations

import pytest

from mpi.domain.record import Demographics, Name
from mpi.matching.comparison import compare
from mpi.matching.standardize import standardize
from mpi.matching.vetoes import vetoes_between


def newborn(given: str, **traits: str) -> Demographics:
    return Demographics(names=(Name(given=given, family="Ott"),), dob="2024-05-02", **traits)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "order", "sex"),
    [
        ("BABY BOY A", "1", "M"),
        ("Babyboy B", "2", "M"),
        ("TWIN B", "2", ""),
        ("BABY GIRL 2", "2", "F"),
        ("BABY BOY", "", "M"),
        ("Wendysgirl", "", "F"),
        ("NEWBORN FEMALE", "", "F"),
        ("BABY GIRL MARIA", "", "F"),
        ("TWIN A GIRL", "1", "F"),
        ("TWIN II", "2", ""),
        ("BABY B GIRL", "2", "F"),
        ("Baby 1 of 2", "1", ""),
        ("BABYGIRLA", "1", "F"),
        ("BabyBoy2", "2", "M"),
        ("BABY BOYB", "2", "M"),
        ("TWINB BOY", "2", "M"),
        ("BOY MARIA", "", "M"),
        ("GIRL ALEXIS", "", "F"),
        ("BBOY", "", "M"),
        ("BGIRL B", "2", "F"),
        ("MARIAS BOY", "", "M"),
        ("Maria's Girl B", "2", "F"),
        ("MARIA B GIRL", "", "F"),  # her middle initial, for all one knows
        ("INFANT OF MARIA", "", ""),
        ("BABY LABOY", "", ""),
        ("NEWBORN MALE", "", "M"),
        ("UNKNOWN", "", ""),
        ("Ann A", "", ""),
        ("Leroy", "", ""),
    ],
)
def test_a_newborn_s_temporary_name_tells_order_and_sex(given: str, order: str, sex: str) -> None:
    record, _ = standardize(newborn(given))
    assert (record.birth_order, record.sex) == (order, sex)


@pytest.mark.parametrize(
    "given",
    "BOY MARIA|GIRL ALEXIS|INFANT OF MARIA|BABY OF MARIA|BBOY|BGIRL|MARIAS BOY|NEWBORN MALE|"
    "TWIN A GIRL|BABY A GIRL|BABYGIRLB|BOY|GRAY BOY|BABY BOYD".split("|"),
)
def test_the_temporary_name_of_a_newborn_is_no_name(given: str) -> None:
    record, warnings = standardize(newborn(given))
    assert record.given == ()
    assert [(warning.field, warning.code) for warning in warnings] == [
        ("first_name", "placeholder")
    ]


@pytest.mark.parametrize("given", ["BOYD", "BOYCE", "GIRLIE", "LEROY BOYD", "TWILA", "BABETTE"])
def test_a_name_that_looks_like_one_of_a_newborn_stays(given: str) -> None:
    record, warnings = standardize(newborn(given))
    assert (record.given, warnings) == (tuple(given.split()), ())


@pytest.mark.parametrize("middle", ["GIRL", "BOY MARIA", "BB MARIA", "BABYGIRLA"])
def test_a_middle_name_is_never_that_of_a_newborn(middle: str) -> None:
    record, _ = standardize(Demographics(names=(Name(given="ANN", middle=middle, family="Ott"),)))
    assert (record.given, record.middle) == (("ANN",), tuple(middle.split()))


def test_what_the_registration_says_itself_counts_more_than_the_name() -> None:
    record, _ = standardize(newborn("BABY BOY A", birth_order="2", sex="F"))
    assert (record.birth_order, record.sex) == ("2", "F")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("BABY BOY A", "BABY BOY B"),
        ("TWIN A", "TWIN B"),
        ("BB A", "BB B"),
        ("TWIN A BOY", "TWIN B BOY"),
        ("BABY A BOY", "BABY B BOY"),
        ("BABYBOYA", "BABYBOYB"),
        ("TWIN I", "TWIN II"),
    ],
)
def test_newborn_twins_without_names_are_never_linked(one: str, other: str) -> None:
    left, right = (standardize(newborn(given, sex="M"))[0] for given in (one, other))
    assert "birth_order_conflict" in vetoes_between(compare(left, [right]))


@pytest.mark.parametrize("order", ["A", "B"])
def test_one_of_twins_without_a_name_is_no_named_child_before_somebody_says_so(order: str) -> None:
    unnamed, named = (standardize(newborn(given))[0] for given in (f"BABY BOY {order}", "Jordan"))
    assert "one_of_several" in vetoes_between(compare(unnamed, [named]))
    assert "one_of_several" in vetoes_between(compare(named, [unnamed]))


@pytest.mark.parametrize("given", ["Boya", "Boyd", "Girly", "Babe", "BB Riley", "NB Kumar"])
def test_a_name_that_looks_like_a_newborns_is_a_name(given: str) -> None:
    record, warnings = standardize(newborn(given))
    assert record.given
    assert warnings == ()
