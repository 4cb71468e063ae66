from __future__ import annotations

import pytest

from mpi.matching.folding import words
from mpi.matching.romanization import readings
from mpi.matching.tables import read_rows


@pytest.mark.parametrize(
    "pair",
    [
        "HYUNWOO HYEONU",
        "HEEKYUNG HUIGYEONG",
        "KYUNGSUNG GYEONGSEONG",
        "JUNGHEE CHONGHUI",
        "YOUNGJAE YEONGJAE",
        "MINSOO MINSU",
        "CHULSOO CHEOLSU",
        "SANGWOOK SANGUK",
        "XIAOMING HSIAOMING",
        "ZHIHAO CHIHHAO",
        "JIALING CHIALING",
    ],
)
def test_spellings_of_two_syllables_have_a_reading_in_common(pair: str) -> None:
    one, other = pair.split()
    assert readings(one) & readings(other)


@pytest.mark.parametrize(
    "pair",
    ["JIYEON JIYOON", "JIYONG JIYEONG", "JISEO JISU", "MINJI MINJEONG", "MEILING MEILIN"],
)
def test_names_of_two_have_none(pair: str) -> None:
    one, other = pair.split()
    assert readings(one)
    assert not readings(one) & readings(other)


@pytest.mark.parametrize("name", ["", "MARIA", "ELIZABETH", "JOHN", "X" * 40, "U53F8", "MINJIWOO"])
def test_other_names_have_no_reading(name: str) -> None:
    assert not readings(name)


def test_the_tables_hold_syllables_as_they_are_read() -> None:
    spelled = [row[system] for row in read_rows("chinese_syllables") for system in row]
    assert all(words(each) == each.split() for each in spelled)
    assert len({row["pinyin"] for row in read_rows("chinese_syllables")}) > 390
