"""Slips change what they touch, and look like slips."""

from __future__ import annotations

from rapidfuzz.distance import OSA

from mpi.demo.draw import Draw, Weighted
from mpi.demo.noise import misdate, misdial, misspell
from mpi.demo.numbering import SSN_SLOTS, registration_number, ssn


def test_a_misspelling_differs_a_little() -> None:
    draw = Draw(1)
    for name in ("Smith", "O'Brien", "de la Cruz", "Bo", "García", "王伟"):
        changed = {misspell(draw, name) for _ in range(100)}
        assert name not in changed
        assert all(OSA.distance(name, other) <= 3 for other in changed)


def test_what_has_no_second_letter_is_not_misspelt() -> None:
    assert {"", "A"} == {misspell(Draw(1), ""), misspell(Draw(1), "A")}


def test_misdialled_digits_are_as_many_and_others() -> None:
    draw = Draw(2)
    for digits in ("2125550123", "111111111", "42"):
        for _ in range(100):
            changed = misdial(draw, digits)
            assert changed.isdigit()
            assert len(digits) == len(changed)
            assert digits != changed


def test_a_mistaken_date_is_mostly_another_date() -> None:
    draw, when = Draw(3), (1984, 12, 31)
    changed = [misdate(draw, when) for _ in range(300)]
    assert all(1 <= month <= 12 and 1 <= day <= 31 for _, month, day in changed)
    assert sum(date != when for date in changed) > 280


def test_numbers_of_different_people_differ() -> None:
    slots = [*range(2000), *range(SSN_SLOTS - 2000, SSN_SLOTS)]
    numbers = {ssn(7, slot, offset) for slot in slots for offset in range(3)}
    assert 3 * len(slots) == len(numbers)
    registered = {registration_number(slot, n) for slot in range(2000) for n in range(8)}
    assert len(registered) == 16_000


def test_a_listed_dummy_is_nobodys_number() -> None:
    # With seed 0, walk to the slot that would be given 123-45-6789 and look what it gets.
    place = (122 * 99 + 44) * 9999 + 6788
    slot = place // 4 * pow(87_178_291, -1, SSN_SLOTS) % SSN_SLOTS
    given = {ssn(0, slot, offset) for offset in range(3)}
    assert "123456789" not in given
    assert all(number.startswith(("12345678", "12345679")) for number in given)


def test_weights_are_kept() -> None:
    table, draw = Weighted([("often", 9), ("seldom", 1)]), Draw(4)
    drawn = [table.draw(draw) for _ in range(5000)]
    assert 0.87 < drawn.count("often") / 5000 < 0.93
