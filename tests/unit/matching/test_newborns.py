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
from tests.support.matching import person_of

MODEL = load_default_model()
_ADDRESS = Address(line1="712 Elm Street", city="Columbus", state="OH", zip="43215")


def newborn(given: str, **traits: object) -> Demographics:
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
        ("BB", "", "M"),
        ("Bg Faiza A", "1", "F"),
        ("BG Faiza 2", "2", "F"),
        ("BB Maria B", "2", "M"),
        ("B/B Maria", "", "M"),
        ("B / G Maria", "", "F"),
        ("B/G A", "1", "F"),
        ("B/O Maria", "", ""),
        ("BG1", "1", "F"),
        ("BBB", "2", "M"),
        ("GirlA", "1", "F"),
        ("GIRLB", "2", "F"),
        ("BoyA", "1", "M"),
        ("BOYB", "2", "M"),
        ("Boy1", "1", "M"),
        ("FaizaGirlA", "1", "F"),
        ("FAIZAGIRLB", "2", "F"),
        ("MariaboyA", "1", "M"),
        ("MariaBoy", "", "M"),
        ("JudysgirlB", "2", "F"),
        ("1Judysgirl", "1", "F"),
        ("2 Judysgirl", "2", "F"),
        ("Judy's Girl A", "1", "F"),
        ("InfantGirlA", "1", "F"),
        ("InfantBoy", "", "M"),
        ("BABYMALEB", "2", "M"),
        ("BABYBOYB MARIA", "2", "M"),
        ("NBF A", "1", "F"),
        ("NBM", "", "M"),
        ("NB M", "", "M"),
        ("N/B Male", "", "M"),
        ("NB B", "2", ""),
        ("Bebe A", "1", ""),
        ("Beb\u00e9 2", "2", ""),
        ("Unnamed A", "1", ""),
        ("Baby Boy Two", "2", "M"),
        ("Mrs Baby Girl B", "2", "F"),
        ("Mrs. C", "", ""),
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
    "TWIN A GIRL|BABY A GIRL|BABYGIRLB|BOY|GRAY BOY|BABY BOYD|BB Maria|Bg Faiza A|B/B Maria|B/O Maria|GirlA|BoyA|"
    "BOY1|FaizaGirlA|MariaBoy|MARIABOYA|1Judysgirl|2 Judysgirl|InfantBoy|NBF A|NB Male|Bebe A|Unnamed|Unnamed A|TBD|"
    "Mrs Baby|Dr. Unknown|Hija de Rosa".split("|"),
)
def test_the_temporary_name_of_a_newborn_is_no_name(given: str) -> None:
    record, warnings = standardize(newborn(given))
    assert record.given == ()
    assert [(warning.field, warning.code) for warning in warnings] == [
        ("first_name", "placeholder")
    ]


@pytest.mark.parametrize(
    ("given", "read"),
    [("Mrs. C", ("C",)), ("Mrs A", ("A",)), ("Miss Ann", ("ANN",)), ("Mr. Boyd", ("BOYD",))],
)
def test_a_title_is_no_newborn(given: str, read: tuple[str, ...]) -> None:
    record, warnings = standardize(newborn(given))
    assert (record.given, record.birth_order, warnings) == (read, "", ())


@pytest.mark.parametrize("family", ["Boy", "Girl", "Laboy", "Child", "Bebe", "Boyd"])
def test_a_family_name_is_never_that_of_a_newborn(family: str) -> None:
    record, warnings = standardize(Demographics(names=(Name(given="Ann", family=family),)))
    assert (record.family, warnings) == ((family.upper(),), ())


def test_a_twin_without_a_name_is_of_a_multiple_birth() -> None:
    assert standardize(newborn("TWIN BOY"))[0].multiple_birth == "Y"
    assert standardize(newborn("TWIN BOY", multiple_birth="N"))[0].multiple_birth == "N"
    assert standardize(newborn("BABY BOY"))[0].multiple_birth == ""


@pytest.mark.parametrize("given", ["BOYD", "BOYCE", "GIRLIE", "LEROY BOYD", "TWILA", "BABETTE"])
def test_a_name_that_looks_like_one_of_a_newborn_stays(given: str) -> None:
    record, warnings = standardize(newborn(given))
    assert (record.given, warnings) == (tuple(given.split()), ())


@pytest.mark.parametrize("middle", ["GIRL", "BOY MARIA", "BB MARIA", "BABYGIRLA"])
def test_a_middle_name_is_never_that_of_a_newborn(middle: str) -> None:
    record, _ = standardize(Demographics(names=(Name(given="ANN", middle=middle, family="Ott"),)))
    assert (record.given, record.middle) == (("ANN",), tuple(middle.split()))


@pytest.mark.parametrize(
    ("given", "middle", "order", "sex"),
    [
        ("Baby", "Boy", "", "M"),
        ("BABY", "BOY A", "1", "M"),
        ("Girl", "B", "2", "F"),
        ("BG", "Faiza A", "1", "F"),
        ("Baby Girl", "Maria", "", "F"),
        ("Judysgirl", "2", "2", "F"),
    ],
)
def test_the_temporary_name_of_a_newborn_may_go_on_as_its_middle_name(
    given: str, middle: str, order: str, sex: str
) -> None:
    names = (Name(given=given, middle=middle, family="Ott"),)
    record, _ = standardize(Demographics(names=names, dob="2024-05-02"))
    assert (record.given, record.middle) == ((), ())
    assert (record.birth_order, record.sex) == (order, sex)


@pytest.mark.parametrize(
    ("given", "middle"), [("FNU", "B"), ("Unknown", "Kumar"), ("Bebe", "A"), ("Boyd", "A")]
)
def test_the_middle_name_of_who_is_no_newborn_stays(given: str, middle: str) -> None:
    record, _ = standardize(Demographics(names=(Name(given=given, middle=middle, family="Ott"),)))
    assert (record.middle, record.birth_order) == ((middle.upper(),), "")


def test_the_temporary_name_of_a_newborn_may_stand_behind_the_family_name() -> None:
    record, _ = standardize(Demographics(names=(Name(family="Ott, Baby Boy B"),)))
    assert (record.given, record.family) == ((), ("OTT",))
    assert (record.birth_order, record.sex) == ("2", "M")


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


@pytest.mark.parametrize(
    "given",
    "Boya|BOYA|Boyd|Girly|Babe|B.B. Riley|B. B. Riley|B G|NB Kumar|Bebe|Bebe R|Beyonce|Laboy|Bobby|Ma".split(
        "|"
    ),
)
def test_a_name_that_looks_like_a_newborns_is_a_name(given: str) -> None:
    record, warnings = standardize(newborn(given))
    assert record.given
    assert warnings == ()


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
