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
        ("UNKNOWN", "", ""),
        ("Ann A", "", ""),
        ("Leroy", "", ""),
    ],
)
def test_a_newborn_s_temporary_name_tells_order_and_sex(given: str, order: str, sex: str) -> None:
    record, _ = standardize(newborn(given))
    assert (record.birth_order, record.sex) == (order, sex)


def test_what_the_registration_says_itself_counts_more_than_the_name() -> None:
    record, _ = standardize(newborn("BABY BOY A", birth_order="2", sex="F"))
    assert (record.birth_order, record.sex) == ("2", "F")


@pytest.mark.parametrize(
    ("one", "other"), [("BABY BOY A", "BABY BOY B"), ("TWIN A", "TWIN B"), ("BB A", "BB B")]
)
def test_newborn_twins_without_names_are_never_linked(one: str, other: str) -> None:
    left, right = (standardize(newborn(given, sex="M"))[0] for given in (one, other))
    assert "birth_order_conflict" in vetoes_between(compare(left, [right]))


@pytest.mark.parametrize("order", ["A", "B"])
def test_one_of_twins_without_a_name_is_no_named_child_before_somebody_says_so(order: str) -> None:
    unnamed, named = (standardize(newborn(given))[0] for given in (f"BABY BOY {order}", "Jordan"))
    assert "one_of_several" in vetoes_between(compare(unnamed, [named]))
    assert "one_of_several" in vetoes_between(compare(named, [unnamed]))
