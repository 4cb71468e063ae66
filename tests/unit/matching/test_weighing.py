from __future__ import annotations

import math

import numpy as np
import pytest

from mpi.domain.identity import PersonState
from mpi.matching.comparison import TRAIT_INDEX, TRAITS
from mpi.matching.model import load_default_model
from mpi.matching.record import StandardAddress, StandardRecord
from mpi.matching.weighing import Weighing, weigh
from tests.support.matching import person_of

MODEL = load_default_model()
ADA = StandardRecord(
    given=("ADELHEID",),
    family=("VANDERSLOOT",),
    dob="1961-03-17",
    sex="F",
    phones=("+13025550147",),
    addresses=(StandardAddress("12", "ELM ST", "ELM", "", "DOVER", "DE", "19901"),),
)
MOVED = ADA._replace(
    addresses=(StandardAddress("7", "OAK ST", "OAK", "", "DOVER", "DE", "19904"),), phones=()
)
BEN = StandardRecord(given=("BENEDIKT",), family=("OTT",), dob="1984-11-02", sex="M")


def _weigh(record: StandardRecord, *persons: PersonState) -> Weighing:
    return weigh(record, persons, MODEL, 1000)


def _level(weighing: Weighing, number: int, trait: str) -> str:
    column = TRAIT_INDEX[trait]
    return TRAITS[column].levels[int(weighing.levels[number, column])]


def test_persons_weigh_the_same_together_as_alone() -> None:
    persons = [person_of("A", ADA, MOVED), person_of("B", BEN), person_of("C", MOVED, BEN, ADA)]
    together = _weigh(ADA, *persons)
    for number, person in enumerate(persons):
        alone = _weigh(ADA, person)
        assert together.totals()[number] == alone.totals()[0]
        assert together.rows(number) == alone.rows(0)
        assert np.array_equal(together.compared.vectors_of(number), alone.compared.vectors)


def test_the_rows_of_a_person_sum_exactly_to_its_total() -> None:
    weighing = _weigh(MOVED, person_of("A", ADA, BEN), person_of("B", BEN), person_of("C", MOVED))
    for number, total in enumerate(weighing.totals()):
        assert math.fsum(row.weight for row in weighing.rows(number)) == total


def test_the_most_telling_record_counts_and_is_named() -> None:
    weighing = _weigh(MOVED, person_of("A", ADA, MOVED))
    assert _level(weighing, 0, "address") == "exact"
    named = {row.trait: row.record for row in weighing.rows(0) if row.kind == "comparison"}
    assert named["address"] == ("lab", "A2")
    assert named["given"] == ("lab", "A1"), "the first of equals"


def test_a_trait_that_no_record_has_is_no_row() -> None:
    weighing = _weigh(BEN, person_of("A", ADA))
    assert _level(weighing, 0, "phone") == "missing"
    assert {row.trait for row in weighing.rows(0)} == {
        "prior", "given", "family", "dob", "sex", "catchment", "relatives",
    }  # fmt: skip


def test_agreement_with_one_of_many_values_weighs_less() -> None:
    homes = [
        ADA._replace(addresses=(ADA.addresses[0]._replace(house=str(house)),))
        for house in (12, 50, 70, 90)
    ]
    column = TRAIT_INDEX["address"]
    one = _weigh(ADA, person_of("A", homes[0])).weights[0, column]
    same = _weigh(ADA, person_of("A", homes[0], homes[0])).weights[0, column]
    many = _weigh(ADA, person_of("A", *homes)).weights[0, column]
    u = MODEL.chance[column, TRAITS[column].levels.index("exact")]
    assert same == one
    assert many == pytest.approx(one - math.log2((1 - (1 - u) ** 4) / u))


def test_disagreement_is_not_softened_by_many_values() -> None:
    column = TRAIT_INDEX["dob"]
    other = BEN._replace(dob="1990-05-06")
    alone = _weigh(ADA, person_of("A", BEN)).weights[0, column]
    assert _weigh(ADA, person_of("A", BEN, other)).weights[0, column] == alone


def test_relatives_are_held_against_a_person_of_many_values_by_as_much_less() -> None:
    """Where relatives explain all that agrees, what agreement loses is theirs as well, and the total stays."""
    named_alike = ADA._replace(dob="")
    others = [ADA._replace(family=(name,), dob="", phones=()) for name in ("OTT", "LUND", "BRANDT")]
    one, many = (
        _weigh(named_alike, person)
        for person in (person_of("A", named_alike), person_of("A", named_alike, *others))
    )
    lost = (one.weights - many.weights).sum()
    assert lost > 1, "agreement with one of four names says less"
    assert one.penalties[0] < -5, "relatives explain nearly all of it"
    assert one.totals()[0] - many.totals()[0] < 0.1
