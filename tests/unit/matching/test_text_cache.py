"""What is kept of texts is bounded by their number and by their length."""

from __future__ import annotations

from mpi.matching.addresses import read_street
from mpi.matching.names import read_given
from mpi.matching.text_cache import LONGEST, remembered


def test_a_text_that_comes_again_is_read_once_unless_it_is_long() -> None:
    read: list[str] = []

    @remembered(2)
    def seen(text: str) -> int:
        read.append(text)
        return len(text)

    usual, long = "a" * LONGEST, "b" * (LONGEST + 1)
    for text in (usual, long):
        assert seen(text) == seen(text) == len(text)
    assert read == [usual, long, long]


def test_the_oldest_text_is_forgotten_first() -> None:
    read: list[str] = []

    @remembered(2)
    def seen(text: str) -> str:
        read.append(text)
        return text

    for text in "abacba":
        assert seen(text) == text
    assert read == ["a", "b", "c", "a"]


def test_long_names_and_streets_are_read_as_short_ones_are() -> None:
    assert read_given("Ada " + "x" * LONGEST).given[0] == read_given("Ada").given[0]
    far = " " * LONGEST
    assert read_street(f"48 Quarry Lane{far}", "Apt 5") == read_street("48 Quarry Lane", "Apt 5")
