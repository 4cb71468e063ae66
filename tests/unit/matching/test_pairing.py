import numpy as np
import pytest

from mpi.matching.comparison import compare
from mpi.matching.decision import explain_person
from mpi.matching.model import load_default_model
from mpi.matching.pairing import candidates_before, compare_all, compare_pairs
from mpi.matching.pairs import Columns
from mpi.matching.record import StandardRecord
from mpi.matching.vetoes import vetoes_between
from tests.support.matching import person_of

MODEL = load_default_model()
MARY = StandardRecord(given=("MARY",), family=("VANDERSLOOT",), dob="1961-03-17", sex="F")
BOB = StandardRecord(given=("BOB",), family=("LEE",), dob="1999-12-01", sex="M")
PEOPLE = [MARY, BOB, MARY._replace(given=("MARIE",)), MARY._replace(given=("JOHN",), sex="M"), BOB]


def test_every_record_meets_the_earlier_ones_that_share_a_key() -> None:
    assert list(candidates_before(PEOPLE)) == [(2, [0]), (3, [0, 2]), (4, [1])]


def test_a_block_that_is_too_large_is_read_through_its_narrower_ones() -> None:
    """JANE shares only the wide keys with the many; ANN also the narrow ones with her own record."""
    crowd = [
        StandardRecord(given=("A" + letter,), family=("SMITH",), dob="1950-06-05")
        for letter in "BCDFGHJKLM"
    ]
    ann = StandardRecord(given=("ANN",), family=("SMITH",), dob="1950-06-05")
    narrowed = dict(candidates_before([ann, *crowd, ann], limit=3))[len(crowd) + 1]
    assert 0 in narrowed
    assert len(narrowed) < len(crowd)


def test_pairs_weigh_what_the_service_explains() -> None:
    compared = compare_all(PEOPLE)
    weights = compared.weights(MODEL, len(PEOPLE))
    for number, (left, right) in enumerate(
        zip(compared.left.tolist(), compared.right.tolist(), strict=True)
    ):
        person = person_of("A", PEOPLE[right])
        told = explain_person(PEOPLE[left], person, MODEL, len(PEOPLE))
        assert weights[number] == pytest.approx(told.match_weight)
        assert compared.vetoed()[number] == bool(told.vetoes)
    assert compared.vetoed().any()
    assert not compared.vetoed().all()


def test_named_pairs_are_compared_in_the_order_they_are_named() -> None:
    compared = compare_pairs(Columns(PEOPLE), [3, 0, 3], [1, 2, 0])
    for row, (left, right) in enumerate([(3, 1), (0, 2), (3, 0)]):
        levels = compare(PEOPLE[left], [PEOPLE[right]])
        assert np.array_equal(compared.levels[row], levels[0])
        assert compared.vetoed()[row] == bool(vetoes_between(levels))


def test_nothing_to_compare_gives_no_pairs() -> None:
    compared = compare_all([MARY, BOB])
    assert len(compared) == 0
    assert compared.weights(MODEL, 2).shape == (0,)
    assert compared.vetoed().shape == (0,)


def test_progress_is_told_while_records_are_compared() -> None:
    told: list[int] = []
    compare_all([MARY] * 2_500, told.append, limit=2)
    assert told == sorted(told)
    assert len(told) == 2
