from __future__ import annotations

import pytest

from mpi.domain.record import Address, Demographics, Name
from mpi.matching.model import load_default_model
from mpi.matching.standardize import standardize
from tests.support.matching import newborn

MODEL = load_default_model()
_ADDRESS = Address(line1="712 Elm Street", city="Columbus", state="OH", zip="43215")


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
    "given",
    "Boya|BOYA|Boyd|Girly|Babe|B.B. Riley|B. B. Riley|B G|NB Kumar|Bebe|Bebe R|Beyonce|Laboy|Bobby|Ma".split(
        "|"
    ),
)
def test_a_name_that_looks_like_a_newborns_is_a_name(given: str) -> None:
    record, warnings = standardize(newborn(given))
    assert record.given
    assert warnings == ()
