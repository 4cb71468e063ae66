"""Who is related to whom, and that look-alikes really look alike."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest

from mpi.demo.people import Relation
from mpi.demo.population import Population
from mpi.demo.registrations import Row

ROWS, SEED = 15_000, 3


@pytest.fixture(scope="module")
def relations() -> list[Relation]:
    return list(Population(ROWS, SEED, "clean").related())


@pytest.fixture(scope="module")
def rows_of() -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = defaultdict(list)
    for row, truth in Population(ROWS, SEED, "clean").rows():
        found[truth.entity_id].append(row)
    return found


def _digits(row: Row) -> str:
    return "".join(sorted(filter(str.isdigit, row["dob"])))


def test_every_kind_of_relation_occurs(relations: list[Relation]) -> None:
    kinds = Counter(relation.relation for relation in relations)
    assert {"twin", "jr", "spouse", "sibling", "parent", "namesake"} == set(kinds)


def test_relations_name_registered_people_once_each_pair(
    relations: list[Relation], rows_of: dict[str, list[Row]]
) -> None:
    assert all(r.entity_a < r.entity_b for r in relations)
    assert len(relations) == len({(r.entity_a, r.entity_b) for r in relations})
    assert all(r.entity_a in rows_of and r.entity_b in rows_of for r in relations)


@pytest.mark.parametrize("rows", range(1, 40, 3))
def test_whoever_is_cut_off_at_the_end_is_nobodys_relative(rows: int) -> None:
    population = Population(rows, 5)
    registered = {truth.entity_id for _, truth in population.rows()}
    assert all({r.entity_a, r.entity_b} <= registered for r in population.related())


def test_relations_are_told_on_the_way_too(relations: list[Relation]) -> None:
    told: list[Relation] = []
    for _ in Population(ROWS, SEED, "clean").rows(relate=told.append):
        pass
    assert relations == told


def test_twins_and_namesakes_share_the_birthday(
    relations: list[Relation], rows_of: dict[str, list[Row]]
) -> None:
    pairs = [r for r in relations if r.relation in ("twin", "namesake")]
    assert len(pairs) > 20
    for pair in pairs:
        assert _digits(rows_of[pair.entity_a][0]) == _digits(rows_of[pair.entity_b][0])


def test_father_and_son_share_the_name_and_not_the_birthday(
    relations: list[Relation], rows_of: dict[str, list[Row]]
) -> None:
    pairs = [r for r in relations if r.relation == "jr"]
    assert len(pairs) > 20
    same_given = 0
    for pair in pairs:
        one, other = rows_of[pair.entity_a][0], rows_of[pair.entity_b][0]
        assert _digits(one) != _digits(other)
        same_given += one["first_name"][:4].upper() == other["first_name"][:4].upper()
    assert same_given > 0.7 * len(pairs)


def test_some_twins_have_neighbouring_numbers(
    relations: list[Relation], rows_of: dict[str, list[Row]]
) -> None:
    near = 0
    for pair in (r for r in relations if r.relation == "twin"):
        numbers = [
            max((row["ssn"].replace("-", "") for row in rows_of[entity]), key=len)
            for entity in (pair.entity_a, pair.entity_b)
        ]
        if all(len(number) == 9 for number in numbers):
            near += abs(int(numbers[0]) - int(numbers[1])) <= 2
    assert near > 5
