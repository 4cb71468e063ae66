"""Which child a newborn without a name is: that of the day and home, or one of several until somebody says so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mpi.domain.record import Address, Demographics, Name
from mpi.matching.comparison import compare
from mpi.matching.decision import Outcome, decide, explain_person
from mpi.matching.model import load_default_model
from mpi.matching.pairing import compare_pairs
from mpi.matching.pairs import Columns
from mpi.matching.record import StandardRecord
from mpi.matching.standardize import standardize
from mpi.matching.vetoes import vetoes_between
from tests.support.matching import newborn, person_of

MODEL = load_default_model()
_ADDRESS = Address(line1="712 Elm Street", city="Columbus", state="OH", zip="43215")


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
        ("Bg Faiza A", "Bg Faiza B"),
        ("BB Maria 1", "BB Maria 2"),
        ("GirlA", "GirlB"),
        ("FaizaGirlA", "FaizaGirlB"),
        ("1Judysgirl", "2Judysgirl"),
        ("NBM A", "NBM B"),
        ("InfantBoyA", "InfantBoyB"),
        ("Bebe A", "Bebe B"),
        ("Unnamed A", "Unnamed B"),
        ("BoyA", "BoyB"),
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


@pytest.mark.parametrize(
    ("one", "other"), [("TWIN BOY", "Jordan"), ("TWIN BOY", "BABY BOY"), ("BOY A", "BOY")]
)
def test_whoever_is_said_to_have_a_twin_may_be_that_twin(one: str, other: str) -> None:
    left, right = (standardize(newborn(given))[0] for given in (one, other))
    assert "one_of_several" in vetoes_between(compare(left, [right]))
    assert "one_of_several" in vetoes_between(compare(right, [left]))


@pytest.mark.parametrize("sign", [{"birth_order": "2"}, {"multiple_birth": "Y"}])
def test_a_newborn_without_a_name_may_be_the_twin_of_a_named_one(sign: dict[str, str]) -> None:
    unnamed, named = standardize(newborn("BABY BOY"))[0], standardize(newborn("Jordan", **sign))[0]
    assert "one_of_several" in vetoes_between(compare(unnamed, [named]))
    assert "one_of_several" in vetoes_between(compare(named, [unnamed]))


def test_who_is_born_alone_is_the_first_of_one() -> None:
    unnamed = standardize(newborn("BABY BOY"))[0]
    named = standardize(newborn("Jordan", birth_order="1", multiple_birth="N"))[0]
    assert "one_of_several" not in vetoes_between(compare(unnamed, [named]))


_HOME = {"phones": ("614-234-5678",), "addresses": (_ADDRESS,)}


def _weight(
    one: Demographics, other: Demographics, size: int = 50_000
) -> tuple[float, tuple[str, ...]]:
    left, right = standardize(one)[0], standardize(other)[0]
    told = explain_person(left, person_of("A", right), MODEL, size)
    assert (
        explain_person(right, person_of("A", left), MODEL, size).match_weight == told.match_weight
    )
    (bulk,) = compare_pairs(Columns([left, right]), [0], [1]).weights(MODEL, size)
    assert bulk == pytest.approx(told.match_weight)
    return told.match_weight, told.vetoes


@pytest.mark.parametrize("traits", [("phones",), ("addresses",), ("phones", "addresses")])
def test_a_newborn_without_a_name_is_the_child_of_that_day_and_home(
    traits: tuple[str, ...],
) -> None:
    home = {trait: _HOME[trait] for trait in traits}
    weight, vetoes = _weight(
        newborn("BABY BOY", sex="M", **home), newborn("Jordan", sex="M", **home)
    )
    assert weight >= MODEL.thresholds.link
    assert vetoes == ()


def test_the_more_of_a_home_agrees_the_likelier_is_a_newborn_the_child_of_that_day() -> None:
    weights = [
        _weight(newborn("BABY BOY", sex="M", **home), newborn("Jordan", sex="M", **home))[0]
        for home in (
            {},
            {"phones": _HOME["phones"]},
            _HOME,
            {**_HOME, "emails": ("j.ott@example.org",)},
        )
    ]
    assert weights == sorted(weights)


def test_who_has_one_name_in_either_field_is_no_newborn() -> None:
    one = Demographics(names=(Name(family="Saraswati"),), dob="2024-05-02")
    other = Demographics(names=(Name(given="Saraswati", family="Saraswati"),), dob="2024-05-02")
    assert _weight(one, other)[0] > 0


def test_a_newborn_is_left_to_a_steward_where_two_children_were_born_that_day() -> None:
    unnamed, first, second = (
        standardize(newborn(g, **_HOME))[0] for g in ("BABY BOY", "Jordan", "Tyler")
    )
    persons = [person_of("A", first), person_of("B", second)]
    decision = decide(unnamed, None, persons, (), MODEL, 50_000)
    assert (decision.outcome, decision.reason) == (Outcome.REVIEW, "ambiguous")


def _standard(*given: str) -> list[StandardRecord]:
    return [standardize(newborn(name, sex="M", **_HOME))[0] for name in given]


@pytest.mark.parametrize("traits", [("phones",), ("addresses",), ("phones", "addresses")])
def test_two_newborns_without_names_of_one_home_may_be_twins(traits: tuple[str, ...]) -> None:
    """Each of two has a record of its own, so that two records are the sign of several."""
    home = {trait: _HOME[trait] for trait in traits}
    one, other = (standardize(newborn(name, **home))[0] for name in ("BABY BOY", "NEWBORN"))
    decision = decide(one, None, [person_of("A", other)], (), MODEL, 50_000)
    assert decision.outcome is not Outcome.LINK


@pytest.mark.parametrize("own", [{"birth_order": "1"}, {"mrn": True}, {"ssn": "412557813"}])
def test_two_newborns_without_names_are_one_by_order_of_birth_or_number(
    own: dict[str, object],
) -> None:
    (unnamed,) = _standard("BABY BOY")
    told = {"identifiers": ("MRN|LAB|7",)} if "mrn" in own else own
    unnamed = unnamed._replace(**told)
    decision = decide(unnamed, None, [person_of("A", unnamed)], (), MODEL, 50_000)
    assert decision.outcome is Outcome.LINK


def test_a_name_does_not_make_two_newborns_without_names_one() -> None:
    named, *unnamed = _standard("Jordan", "BABY BOY", "NEWBORN")
    persons = [person_of(mpi_id, one) for mpi_id, one in zip("AB", unnamed, strict=True)]
    decision = decide(named, None, persons, (), MODEL, 50_000)
    assert (decision.outcome, decision.reason) == (Outcome.REVIEW, "ambiguous")


def test_a_second_newborn_without_a_name_is_not_the_child_that_had_one_record_without_a_name() -> (
    None
):
    named, first, second = _standard("Jordan", "BABY BOY", "NEWBORN")
    decision = decide(second, None, [person_of("A", first, named)], (), MODEL, 50_000)
    assert decision.outcome is Outcome.REVIEW


def test_a_newborn_without_a_name_is_nobody_s_where_another_child_was_born_that_day() -> None:
    """The newborn was left to a steward; one of the two comes again."""
    unnamed, first, second = _standard("BABY BOY", "Jordan", "Tyler")
    persons = [person_of("A", unnamed), person_of("B", first), person_of("C", second)]
    again = decide(first, None, persons, (), MODEL, 50_000)
    assert (again.outcome, again.mpi_id, again.merge) == (Outcome.LINK, "B", ())
    alone = decide(first, None, [persons[0], persons[2]], (), MODEL, 50_000)
    assert (alone.outcome, alone.reason) == (Outcome.REVIEW, "vetoed")
    assert alone.best is not None
    assert alone.best.vetoes == ("one_of_several",)


def test_the_order_of_birth_tells_which_of_several_a_newborn_is() -> None:
    unnamed, named = _standard("BABY BOY A", "Jordan")
    other = standardize(newborn("Tyler", birth_order="2", sex="M", **_HOME))[0]
    named = named._replace(birth_order="1")
    decision = decide(
        named, None, [person_of("A", unnamed), person_of("B", other)], (), MODEL, 50_000
    )
    assert (decision.outcome, decision.mpi_id) == (Outcome.LINK, "A")


def test_babies_of_two_mothers_of_one_name_are_two() -> None:
    one, other = (
        Demographics(
            names=(Name(given="BB Jessica", family=family),),
            dob="2022-01-12",
            sex="M",
            addresses=(home,),
        )
        for family, home in (
            ("Kelley", _ADDRESS),
            ("Bartlett", Address(line1="15 Ninth Ave", city="Columbus", zip="43230")),
        )
    )
    assert _weight(one, other)[0] < MODEL.thresholds.review


_BRODY = newborn("Brody", ssn="412-55-7813", **_HOME)


def test_a_newborn_s_record_without_a_name_keeps_nobody_from_the_person_of_the_same_name() -> None:
    """Which of several it was is told by another record of that person."""
    unnamed, named, again = (
        standardize(d)[0]
        for d in (newborn("INFANT 2", **_HOME), replace(_BRODY, birth_order="2"), _BRODY)
    )
    person = person_of("A", unnamed, named)
    assert decide(again, None, [person], (), MODEL, 50_000).outcome is Outcome.LINK
    twin = standardize(newborn("Tyler", **_HOME))[0]
    assert decide(twin, None, [person], (), MODEL, 50_000).outcome is not Outcome.LINK


def test_a_newborn_s_record_without_a_name_parts_no_persons_of_one_name() -> None:
    unnamed, named, again = (
        standardize(d)[0]
        for d in (newborn("INFANT 2", **_HOME), replace(_BRODY, birth_order="2"), _BRODY)
    )
    for persons in (
        [person_of("A", unnamed), person_of("B", again)],
        [person_of("B", again), person_of("A", unnamed)],
    ):
        decision = decide(named, None, persons, (), MODEL, 50_000)
        assert decision.outcome is Outcome.LINK
        assert {decision.mpi_id, *decision.merge} == {"A", "B"}


@pytest.mark.parametrize("sign", [{"birth_order": "2"}, {"multiple_birth": "Y"}])
def test_a_variant_of_the_name_may_be_the_twin_s_where_there_is_one(sign: dict[str, str]) -> None:
    short, whole = (standardize(newborn(given, **sign))[0] for given in ("Liam", "William"))
    silent = standardize(newborn("William"))[0]
    assert ("one_of_several" in vetoes_between(compare(short, [whole]))) == (
        "multiple_birth" in sign
    )
    assert "one_of_several" in vetoes_between(compare(short, [silent]))
    assert "one_of_several" in vetoes_between(compare(silent, [short]))
    assert "one_of_several" not in vetoes_between(compare(short, [short, whole]))
    assert "one_of_several" not in vetoes_between(compare(silent, [whole]))


def test_a_variant_of_the_name_may_be_the_twin_s_where_another_s_record_tells_of_twins() -> None:
    whole, short = _standard("William", "Liam")
    nursery = [standardize(newborn(f"BABY BOY {which}", **_HOME))[0] for which in "AB"]
    known = person_of("W", whole)
    twins = [person_of(f"N{number}", baby) for number, baby in enumerate(nursery)]
    alone = decide(short, None, [known], (), MODEL, 50_000)
    assert (alone.outcome, alone.mpi_id) == (Outcome.LINK, "W")
    beside = decide(short, None, [known, *twins], (), MODEL, 50_000)
    assert beside.outcome is Outcome.REVIEW
    again = decide(short, None, [person_of("W", whole, short), *twins], (), MODEL, 50_000)
    assert (again.outcome, again.mpi_id) == (Outcome.LINK, "W")
    elsewhere = standardize(newborn("BABY BOY A"))[0]._replace(dob="2019-02-02")
    strangers = [known, person_of("S", elsewhere)]
    assert decide(short, None, strangers, (), MODEL, 50_000).mpi_id == "W"
