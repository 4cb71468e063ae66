"""The simulator's matching is the truth of the population, spoilt as often as it says."""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations

import pytest

from mpi.demo.verato.identities import read_identity, write_identity
from mpi.demo.verato.truth import PPV, SENSITIVITY, People
from tests.support.verato import identity, registrations

MADE = registrations(5_000, seed=4)


def judged(people: People) -> dict[str, list[tuple[str, str]]]:
    """Person as judged → the (true person, registration) pairs put under it."""
    groups: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for row, truth in MADE:
        groups[people.person_of(identity(row))].append((truth.entity_id, truth.rec_id))
    return groups


@pytest.fixture(scope="module")
def people() -> People:
    found = People(seed=2)
    found.learn(MADE)
    return found


def test_pairs_of_one_person_are_put_together_as_often_as_stated(people: People) -> None:
    together = sum(
        one == other
        for members in judged(people).values()
        for (one, _), (other, _) in combinations(members, 2)
    )
    sizes: dict[str, int] = defaultdict(int)
    for _, truth in MADE:
        sizes[truth.entity_id] += 1
    pairs = sum(size * (size - 1) // 2 for size in sizes.values())
    assert together / pairs == pytest.approx(SENSITIVITY, abs=0.015)


def test_registrations_are_put_with_strangers_as_rarely_as_stated(people: People) -> None:
    wrong = sum(
        truth.entity_id != people.person_of(identity(row)).partition(":")[0] for row, truth in MADE
    )
    assert wrong / len(MADE) == pytest.approx(1 - PPV, abs=0.0006)
    assert wrong > 0


def test_without_errors_everybody_is_himself() -> None:
    people = People(sensitivity=1, ppv=1)
    people.learn(MADE[:1000])
    assert all(people.person_of(identity(row)) == truth.entity_id for row, truth in MADE[:1000])


def test_the_same_seed_makes_the_same_errors() -> None:
    few = MADE[:1000]
    answers = []
    for seed in (2, 2, 3):
        people = People(seed=seed)
        people.learn(few)
        answers.append([people.person_of(identity(row)) for row, _ in few])
    assert answers[0] == answers[1] != answers[2]


def test_a_stranger_is_whoever_has_exactly_his_content(people: People) -> None:
    stranger = identity(dict(MADE[5][0]) | {"first_name": "Zebulon", "ssn": "078-05-1121"})
    namesake = stranger | {"datesOfBirth": ["1917-01-02"]}
    assert people.person_of(stranger) == people.person_of(dict(stranger))
    assert people.person_of(stranger) != people.person_of(namesake)


def test_both_versions_of_the_payload_say_the_same() -> None:
    given = read_identity(identity(MADE[0][0]), "v1")
    assert read_identity(write_identity(given, "v2"), "v2") == given
