from __future__ import annotations

import itertools

import pytest

from mpi.matching.folding import words
from mpi.matching.names import (
    MAX_TOKENS,
    are_nicknames,
    formal_name,
    read_family,
    read_given,
    read_middle,
    read_suffix,
    split_whole_name,
)
from mpi.matching.tables import read_rows


@pytest.mark.parametrize(
    ("text", "given", "middle", "suffix"),
    [
        ("Dr. John Q. Jr", ("JOHN",), ("Q",), "JR"),
        ("Mary Ann", ("MARY", "ANN"), (), ""),
        ("Anne Marie B", ("ANNE", "MARIE"), ("B",), ""),
        ("Jean-Luc", ("JEAN", "LUC"), (), ""),
        ("J.R.", ("JR",), (), ""),  # a lone suffix is the name
        ("Mr", ("MR",), (), ""),  # and so is a lone title
        ("José", ("JOSE",), (), ""),
        ("Владимир", ("VLADIMIR",), (), ""),
        ("ʻOkina", ("OKINA",), (), ""),
        ("Ann Ann", ("ANN",), (), ""),
        ("", (), (), ""),
    ],
)
def test_a_given_name_is_told_from_title_initial_and_suffix(
    text: str, given: tuple[str, ...], middle: tuple[str, ...], suffix: str
) -> None:
    read = read_given(text)
    assert (read.given, read.middle, read.suffix) == (given, middle, suffix)


@pytest.mark.parametrize(
    ("text", "family", "suffix"),
    [
        ("De La Cruz-O'Brien III", ("DELACRUZ", "OBRIEN"), "III"),
        ("Dela Cruz", ("DELACRUZ",), ""),
        ("van der Berg", ("VANDERBERG",), ""),
        ("Mac Donald", ("MACDONALD",), ""),
        ("Garcia y Vega", ("GARCIA", "VEGA"), ""),
        ("St. John", ("STJOHN",), ""),
        ("Saint John", ("STJOHN",), ""),
        ("Saint", ("SAINT",), ""),
        ("Smith MD", ("SMITH",), ""),
        ("Smith 2nd", ("SMITH",), "II"),
        ("SMITHJR", ("SMITH",), "JR"),
        ("Garcia-LopezSr.", ("GARCIA", "LOPEZ"), "SR"),
        ("QXWVJR", ("QXWVJR",), ""),  # nobody knows a QXWV
        ("LEEJR", ("LEEJR",), ""),  # too short to tell
        ("NASR", ("NASR",), ""),
        ("Jr", ("JR",), ""),
        ("de la", ("DELA",), ""),  # particles without a name are kept
        ("Y y Y", ("Y",), ""),
        ("Nguyễn", ("NGUYEN",), ""),
    ],
)
def test_a_family_name_is_its_words_with_their_particles(
    text: str, family: tuple[str, ...], suffix: str
) -> None:
    read = read_family(text)
    assert (read.family, read.suffix) == (family, suffix)


@pytest.mark.parametrize(
    ("text", "family"),
    [
        ("SMITH DO NOT USE", ("SMITH",)),
        ("DO NOT USE SMITH", ("SMITH",)),
        ("SMITH-DUPLICATE", ("SMITH",)),
        ("SMITH (DUP)", ("SMITH",)),
        ("SMITH *DNU* JONES", ("SMITH", "JONES")),
        ("SMITH - DECEASED", ("SMITH",)),
        ("SMITH ***MERGED*** USE OTHER MRN", ("SMITH",)),
        ("SMITH DUPLICATE MRN", ("SMITH",)),
        ("ZZSMITH", ("SMITH",)),
        ("ZZZSMITH", ("SMITH",)),
        ("XXSMITH", ("SMITH",)),
        ("XXADAMS", ("ADAMS",)),
        ("ZZNG", ("NG",)),
        ("ZZ SMITH", ("SMITH",)),
        ("GARCIA XX", ("GARCIA",)),
        ("ZZIMMERMAN", ("ZIMMERMAN",)),  # a slip, not IMMERMAN
        ("ZZZIMMERMAN", ("ZIMMERMAN",)),
        ("XXAIOPQ", ("XXAIOPQ",)),  # nobody knows what is left
        ("XXVI", ("XXVI",)),
        ("DO", ("DO",)),
        ("DO NGUYEN", ("DONGUYEN",)),
        ("ANDO NOT USE", ("ANDO", "NOT", "USE")),
        ("DUPREE", ("DUPREE",)),
        ("PIZZO", ("PIZZO",)),
    ],
)
def test_what_a_clerk_noted_beside_a_name_is_no_part_of_it(
    text: str, family: tuple[str, ...]
) -> None:
    assert read_family(text).family == family


def test_notes_are_no_part_of_given_and_middle_names_either() -> None:
    assert read_given("ANTHONY DO NOT USE").given == ("ANTHONY",)
    assert read_given("ZZANTHONY Q (DUP)").given == ("ANTHONY",)
    assert read_given("ZZANTHONY Q (DUP)").middle == ("Q",)
    assert read_given("XXAVIER").given == ("XAVIER",)
    assert read_middle("Lee DNU").middle == ("LEE",)


def test_a_suffix_and_a_title_are_seen_past_a_note() -> None:
    read = read_family("Smith Jr. DO NOT USE")
    assert (read.family, read.suffix) == (("SMITH",), "JR")
    assert read_given("zz Dr. Ann").given == ("ANN",)


def test_what_follows_a_long_name_is_text() -> None:
    assert (
        len(read_family(" ".join(f"NAME{letter}" for letter in "ABCDEFGHIJK")).family) == MAX_TOKENS
    )


@pytest.mark.parametrize(
    ("text", "middle", "suffix"),
    [
        ("III", (), "III"),
        ("Q", ("Q",), ""),
        ("Ann Jr", ("ANN",), "JR"),
        ("de la Luz", ("DELALUZ",), ""),
    ],
)
def test_a_middle_name_may_be_a_shifted_suffix(
    text: str, middle: tuple[str, ...], suffix: str
) -> None:
    read = read_middle(text)
    assert (read.middle, read.suffix) == (middle, suffix)


@pytest.mark.parametrize(
    ("text", "suffix"),
    [
        ("JR.", "JR"),
        ("Junior", "JR"),
        ("3rd", "III"),
        ("2", "II"),
        ("I", "SR"),
        ("1st.", "SR"),
        ("2ND", "II"),
        ("The 3rd", "III"),
        ("the third", "III"),
        ("JNR", "JR"),
        ("SNR", "SR"),
        ("II 2nd", "II"),
        ("Jr II", None),  # one or the other
        ("MD", ""),
        ("Jr MD", "JR"),
        ("", ""),
        ("Jr Sr", None),
        ("banana", None),
    ],
)
def test_a_suffix_tells_generations_and_nothing_else(text: str, suffix: str | None) -> None:
    assert read_suffix(text) == suffix


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("SMITH, JOHN Q", ("SMITH", " JOHN Q")),
        ("a,b,c", ("a", "b,c")),
        ("Smith, I", ("Smith", " I")),
        ("Smith, Jr", None),
        ("Smith, MD", None),
        ("Smith,", None),
        (", John", None),
        ("Smith", None),
    ],
)
def test_a_comma_parts_family_and_given_name(text: str, parts: tuple[str, str] | None) -> None:
    assert split_whole_name(text) == parts


def test_nicknames_call_one_person_through_a_formal_name() -> None:
    assert are_nicknames("BOB", "ROBERT")
    assert are_nicknames("ROB", "BOB")
    assert not are_nicknames("BOB", "BOB")
    assert not are_nicknames("BOB", "ALICE")
    assert not are_nicknames("QQQ", "ZZZ")
    assert not are_nicknames("BILL", "ROBERT")


@pytest.mark.parametrize(
    "pair",
    [
        "ROBBIE ROBERT",
        "ROBBIE BOB",
        "KATIE KATHERINE",
        "CHAS CHUCK",
        "LOLA DOLORES",
        "MISHA MIKHAIL",
    ],
)
def test_newer_nicknames_call_one_person_and_lead_to_no_other_key(pair: str) -> None:
    nickname, name = pair.split()
    assert are_nicknames(nickname, name)
    assert formal_name("CHAS") == "CHAS"


@pytest.mark.parametrize("pair", ["EMILY EMMA", "ANNA HANNAH", "JONATHAN NATHAN", "KAYLA MAKAYLA"])
def test_short_forms_that_twins_are_called_by_call_two(pair: str) -> None:
    assert not are_nicknames(*pair.split())


@pytest.mark.parametrize(
    "names",
    [
        "MOUSTAFA MUSTAFA MOSTAFA",
        "ABDELRAHMAN ABDULRAHMAN ABDIRAHMAN",
        "YEVGENY EVGENII EUGENE",
        "OLEKSIY ALEKSEI",
        "GIANNIS YIANNIS IOANNIS",
        "CHAIM HAIM",
        "SRINIVAS SHRINIVASAN",
        "BIKASH VIKAS",
    ],
)
def test_spellings_of_a_name_from_another_script_call_one_person(names: str) -> None:
    pairs = itertools.permutations(names.split(), 2)
    assert all(are_nicknames(one, other) for one, other in pairs)


@pytest.mark.parametrize(
    "pair", ["HASSAN HUSSEIN", "KAMAL KAMIL", "BASSAM BASSEM", "MAHMOUD MOHAMMED", "RAJESH RAKESH"]
)
def test_like_names_from_another_script_stay_two(pair: str) -> None:
    one, other = pair.split()
    assert not are_nicknames(one, other)


@pytest.mark.parametrize(
    ("text", "middle"),
    [
        ("bin Ali", ("ALI",)),
        ("Bint Ahmed", ("AHMED",)),
        ("Bin", ("BIN",)),
        ("de la Luz", ("DELALUZ",)),
    ],
)
def test_a_middle_name_is_the_father_s_without_the_word_before_it(
    text: str, middle: tuple[str, ...]
) -> None:
    assert read_middle(text).middle == middle


def test_a_father_s_name_among_the_given_names_stands_without_the_word_before_it() -> None:
    assert read_given("Mohammed ibn Omar").given == ("MOHAMMED", "OMAR")
    assert read_given("Bin").given == ("BIN",)
    assert read_given("Bin Wei").given == ("BIN", "WEI")


def test_what_stands_before_a_given_name_is_a_middle_name() -> None:
    read = read_given("Thị Lan")
    assert (read.given, read.middle) == (("LAN",), ("THI",))
    read = read_given("Thi Lan A.")
    assert (read.given, read.middle) == (("LAN",), ("THI", "A"))
    assert read_given("Thi").given == ("THI",)


def test_spellings_of_a_name_leave_keys_of_stored_records_as_they_are() -> None:
    assert formal_name("MOUSTAFA") == "MOUSTAFA"


def test_the_table_of_spellings_holds_words_as_they_are_read() -> None:
    rows = [row["names"].split() for row in read_rows("transliterations")]
    assert all(words(name) == [name] for row in rows for name in row)
    assert all(len(set(row)) == len(row) > 1 for row in rows)


@pytest.mark.parametrize(
    ("names", "formal"),
    [
        ("BOB BOBBY ROB ROBERT", "ROBERT"),
        ("BILL BILLY WILL WILLIE WILLIAM", "WILLIAM"),
        ("PEGGY MEG MARGARET", "MARGARET"),
        ("MARY", "MARY"),
        ("QQQ", "QQQ"),
    ],
)
def test_names_for_one_another_have_one_formal_name(names: str, formal: str) -> None:
    assert {formal_name(name) for name in names.split()} == {formal}


@pytest.mark.parametrize("pair", ["KATE KATHERINE", "PETE PETER", "ROSIE ROSE"])
def test_a_nickname_and_its_name_have_the_same_formal_name(pair: str) -> None:
    one, other = pair.split()
    assert formal_name(one) == formal_name(other) == formal_name(formal_name(one))
