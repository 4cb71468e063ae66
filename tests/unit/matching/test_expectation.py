from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from mpi.demo.population import Population
from mpi.domain.registration import read_flat
from mpi.matching.comparison import TRAIT_INDEX, TRAITS, informative, level_number
from mpi.matching.document import with_weights
from mpi.matching.expectation import (
    FEWEST_PAIRS,
    Learned,
    TooFewPairs,
    UnlabelledPairs,
    _Mixture,
    learn,
)
from mpi.matching.model import Model, load_anchors
from mpi.matching.monotone import CHAINS
from mpi.matching.pair_scores import PairScores
from mpi.matching.pairing import compare_all
from mpi.matching.pairs import Columns
from mpi.matching.standardize import standardize
from tests.support.pairs import drawn

ANCHORS = load_anchors()
USED = ("given", "family", "middle", "dob", "sex", "ssn", "address", "locality", "phone")
RECORDS, MATCHES, RELATIVES, TWINS, STRANGERS = 20_000, 9_000, 12_000, 400, 9_000


def moved(trait: str, level: str, bits: float) -> Model:
    match = ANCHORS.match.copy()
    match[TRAIT_INDEX[trait], level_number(trait, level)] += bits
    return with_weights(ANCHORS, match, ANCHORS.rivals, ANCHORS.expected)


WORLD = moved("address", "different", 1.5)
"""People move house much more often than the anchors say."""


def pairs(seed: int, *, relatives: int = RELATIVES, twins: int = TWINS) -> UnlabelledPairs:
    chance = np.random.default_rng(seed)
    nobody = np.zeros_like(WORLD.match)
    kinds = ((WORLD.match, MATCHES), (WORLD.rivals[0], relatives), (WORLD.rivals[1], twins),
             (nobody, STRANGERS))  # fmt: skip
    levels = np.concatenate([drawn(chance, WORLD, of, USED, count) for of, count in kinds])
    return UnlabelledPairs(
        levels=levels,
        rarities=np.zeros(len(levels)),
        random=drawn(chance, WORLD, nobody, USED, 100_000),
        records=RECORDS,
    )


@pytest.fixture(scope="module")
def found() -> Learned:
    return learn(ANCHORS, pairs(1))


def contrast(model: Model, trait: str) -> float:
    row = TRAIT_INDEX[trait]
    return float(model.match[row, 1] - model.match[row, level_number(trait, "different")])


def test_how_often_people_move_is_learned_without_labels(found: Learned) -> None:
    assert contrast(ANCHORS, "address") == pytest.approx(contrast(WORLD, "address") + 1.5, abs=0.01)
    assert contrast(found.model, "address") == pytest.approx(contrast(WORLD, "address"), abs=0.3)


def test_the_classes_are_found_in_their_numbers(found: Learned) -> None:
    total = MATCHES + RELATIVES + TWINS + STRANGERS
    match, relative, twin = found.shares
    assert found.has_rivals
    assert match == pytest.approx(MATCHES / total, abs=0.01)
    assert twin == pytest.approx(TWINS / total, abs=0.01)
    # Relatives who happen to share nothing cannot be told from strangers, and are not missed.
    assert 0.6 * RELATIVES < relative * total < RELATIVES


def test_another_seed_learns_the_same(found: Learned) -> None:
    other = learn(ANCHORS, pairs(1), seed=99).model
    spoken = found.model.match != 0
    assert np.abs(other.match - found.model.match)[spoken].max() < 0.1


def test_where_nobody_is_related_the_model_knows_two_classes() -> None:
    alone = learn(ANCHORS, pairs(2, relatives=0, twins=0))
    assert not alone.has_rivals
    assert alone.gain <= 0
    assert alone.model.expected.max() < 1e-6


def test_a_closer_agreement_never_weighs_less(found: Learned) -> None:
    for row, levels in CHAINS:
        chain = found.model.match[row, levels].tolist()
        assert all(one >= other - 0.002 for one, other in pairwise(chain)), TRAITS[row].name


def test_no_weight_claims_more_than_a_certain_agreement_could_prove(found: Learned) -> None:
    most = -np.log2(found.model.chance) + 0.01
    assert (found.model.match <= most).all()
    assert (found.model.rivals <= most).all()


def test_levels_that_nobody_showed_stay_near_their_anchors(found: Learned) -> None:
    row = TRAIT_INDEX["email"]
    assert contrast(found.model, "email") == pytest.approx(contrast(ANCHORS, "email"), abs=0.3)
    assert found.model.match[row, 1] > 10


def test_kinds_of_pairs_count_as_often_as_they_occur() -> None:
    """Every fifth pair is held out; the classes explain it by log2(1 + odds against a stranger) bits."""
    made = pairs(2)
    rarities = np.random.default_rng(2).choice([-1.5, 0.0, 2.25], len(made.levels))
    mixture = _Mixture(ANCHORS, replace(made, rarities=rarities))
    state = mixture.start(None)
    weights = mixture._weights(state)[:, np.arange(len(TRAITS)), made.levels].sum(axis=2)
    odds = np.exp2(weights + rarities + state.shares[:, np.newaxis]).sum(axis=0)
    assert mixture.held_out(state) == pytest.approx(np.log2(1 + odds)[::5].mean())
    belongs = np.exp2(weights + rarities + state.shares[:, np.newaxis]) / (1 + odds)
    assert mixture.found_shares(state) == pytest.approx(belongs.mean(axis=1))


def test_too_few_pairs_are_refused() -> None:
    few = pairs(1)
    with pytest.raises(TooFewPairs, match=f"at least {FEWEST_PAIRS}"):
        learn(ANCHORS, replace(few, levels=few.levels[:50], rarities=few.rarities[:50]))


def test_progress_never_exceeds_what_it_announces() -> None:
    told: list[tuple[int, int]] = []
    learn(ANCHORS, pairs(3), told=lambda done, most: told.append((done, most)))
    assert [done for done, _ in told] == list(range(1, len(told) + 1))
    assert told[-1][0] <= told[-1][1]


@pytest.fixture(scope="module")
def population() -> tuple[UnlabelledPairs, np.ndarray, int]:
    """A noisy population with households: pairs, which of them are one person, and how many there are in all."""
    rows = list(Population(4_000, seed=31, profile="dirty").rows())
    records = [standardize(read_flat(dict(row))[0].demographics)[0] for row, _ in rows]
    people = np.unique([fact.entity_id for _, fact in rows], return_inverse=True)[1]
    compared = compare_all(records)
    chance = np.random.default_rng(1)
    left, right = chance.integers(0, len(records), (2, 50_000))
    random = informative(Columns(records).compare(left, right))
    sizes = np.bincount(people)
    return (
        UnlabelledPairs(compared.levels, compared.rarities(ANCHORS).sum(axis=1), random,
                        len(records)),
        people[compared.left] == people[compared.right],
        int((sizes * (sizes - 1) // 2).sum()),
    )  # fmt: skip


def recall(model: Model, found: tuple[UnlabelledPairs, np.ndarray, int]) -> float:
    pairs, same, total = found
    said = model.said(pairs.levels)
    unplaced = model.unplaced(said, pairs.rarities, pairs.records)
    penalties = model.penalties(said, pairs.rarities, unplaced, pairs.records)
    weights = model.matched(pairs.levels).sum(axis=1) + pairs.rarities + penalties
    return PairScores(weights, same, total).recall_at(0.995)


def test_relatives_told_apart_find_more_people_than_two_classes_do(
    population: tuple[UnlabelledPairs, np.ndarray, int],
) -> None:
    three = learn(ANCHORS, population[0])
    blind = replace(ANCHORS, expected=np.full(2, 1e-9))
    assert three.has_rivals
    assert recall(three.model, population) > recall(blind, population) + 0.05
