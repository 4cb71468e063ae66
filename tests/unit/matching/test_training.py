import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from mpi.matching.comparison import TRAIT_INDEX, TRAITS, level_number
from mpi.matching.document import with_weights
from mpi.matching.model import Model, Weights, load_default_model
from mpi.matching.monotone import CHAINS
from mpi.matching.training import FEWEST, LabelledPairs, TooFewLabels, train
from tests.support.pairs import chances, labelled

SHIPPED = load_default_model()
# One pair of one person to ten of strangers, in an index of 20,000: as the pairs below are drawn.
AMONG_FEW = math.log2(0.1 * 20_000 / SHIPPED.known_share)
USED = ("sex", "given", "middle", "locality")  # little enough to leave many pairs in doubt
MATCHES, STRANGERS, RECORDS = 2_000, 20_000, 5_000


def moved(model: Model, by: dict[tuple[str, str], float]) -> Model:
    """The model with other match weights, in a world without relatives."""
    match = model.match.copy()
    for (trait, level), bits in by.items():
        match[TRAIT_INDEX[trait], level_number(trait, level)] += bits
    return with_weights(model, match, model.rivals, np.full(2, 1e-9))


def never_rising(match: Weights) -> Weights:
    """A looser agreement weighs at most what a closer one does."""
    found = match.copy()
    for row, levels in CHAINS:
        found[row, levels] = np.minimum.accumulate(found[row, levels])
    return found


ANCHOR = moved(replace(SHIPPED, match=never_rising(SHIPPED.match)), {})
WORLD = moved(SHIPPED, {("given", "different"): 1.5, ("sex", "different"): 1.5})


def pairs(seed: int, matches: int = MATCHES, strangers: int = STRANGERS) -> LabelledPairs:
    return pairs_of(WORLD, seed, matches=matches, strangers=strangers)


def pairs_of(
    model: Model,
    seed: int,
    used: Sequence[str] = USED,
    matches: int = MATCHES,
    strangers: int = STRANGERS,
    records: int = RECORDS,
) -> LabelledPairs:
    found = labelled(np.random.default_rng(seed), model, used, matches, strangers, records)
    return replace(found, rarities=np.full_like(found.rarities, AMONG_FEW))


def loss(model: Model, found: LabelledPairs) -> float:
    weights = model.match[np.arange(len(TRAITS)), found.levels].sum(axis=1) + math.log2(0.1)
    odds = np.where(found.same, -weights, weights) * np.log(2)
    return float(np.logaddexp(0, odds).mean())


def contrast(model: Model, trait: str) -> float:
    row = TRAIT_INDEX[trait]
    return float(model.match[row, 1] - model.match[row, level_number(trait, "different")])


@pytest.fixture(scope="module")
def trained() -> Model:
    return train(ANCHOR, [pairs(1)], ridge=1e-7, steps=200)


def test_the_weights_of_the_world_are_found_again(trained: Model) -> None:
    for trait in ("given", "sex"):
        assert abs(contrast(ANCHOR, trait) - contrast(WORLD, trait)) == pytest.approx(1.5)
        assert contrast(trained, trait) == pytest.approx(contrast(WORLD, trait), abs=0.3)


def test_what_is_learned_fits_pairs_that_were_not_seen(trained: Model) -> None:
    unseen = pairs(2)
    assert loss(trained, unseen) < loss(ANCHOR, unseen)
    assert loss(trained, unseen) < 1.05 * loss(truth(), unseen)


def truth() -> Model:
    """The world's weights as its pairs were drawn: m and u of a trait each sum to one."""
    match = np.zeros_like(WORLD.match)
    for trait in USED:
        row, spoken = TRAIT_INDEX[trait], slice(1, len(TRAITS[TRAIT_INDEX[trait]].levels))
        m, u = (chances(WORLD, weights, trait) for weights in (WORLD.match, np.zeros_like(match)))
        match[row, spoken] = np.log2(m / u)
    return replace(WORLD, match=match)


@pytest.mark.parametrize("box", [0.25, 1.0])
def test_no_weight_leaves_the_box_around_its_anchor(box: float) -> None:
    found = train(ANCHOR, [pairs(1)], box=box, ridge=1e-7, steps=60)
    away = np.abs(found.match - ANCHOR.match)
    assert away.max() <= box + 0.01
    assert np.abs(found.rivals - ANCHOR.rivals).max() <= box + 0.01
    assert away.max() > box - 0.01


def test_no_weight_claims_more_than_a_certain_agreement_could_prove(trained: Model) -> None:
    spoken = ANCHOR.chance < 1
    most = -np.log2(ANCHOR.chance[spoken]) + 0.001
    assert (trained.match[spoken] <= most).all()
    assert (trained.rivals[:, spoken] <= most).all()


def test_a_closer_agreement_never_weighs_less(trained: Model) -> None:
    for row, levels in CHAINS:
        chain = trained.match[row, levels].tolist()
        assert chain == sorted(chain, reverse=True), TRAITS[row].name


def test_levels_that_nobody_showed_stay_where_they_were(trained: Model) -> None:
    row = TRAIT_INDEX["email"]
    assert trained.match[row].tolist() == ANCHOR.match[row].tolist()


def test_pairs_of_strangers_count_as_often_as_a_large_index_holds_them() -> None:
    """In an index of a million, agreeing by chance is fifty times as likely as in one of 20,000."""
    large = replace(pairs(1), records=20_000)
    one_stranger = np.zeros_like(large.strangers)
    one_stranger[-1] = True
    careful, bold = (
        train(ANCHOR, [found], ridge=1e-7, steps=150)
        for found in (large, replace(large, strangers=one_stranger))
    )
    unseen = pairs(3)
    assert doubtful_weight(careful, unseen) < doubtful_weight(bold, unseen) - 1


def test_what_would_turn_the_order_of_levels_round_makes_them_equal() -> None:
    turned = moved(ANCHOR, {("given", "exact"): -3.0})
    found = train(
        ANCHOR,
        [pairs_of(turned, 4)],
        ridge=1e-7,
        steps=150,
    )
    exact, similar = (
        found.match[TRAIT_INDEX["given"], level_number("given", level)]
        for level in ("exact", "similar")
    )
    assert exact == pytest.approx(similar, abs=0.002)
    assert exact < ANCHOR.match[TRAIT_INDEX["given"], 1] - 0.5


def doubtful_weight(model: Model, found: LabelledPairs) -> float:
    """Of the hundredth part of the strangers that looks most like one person, the mean weight."""
    weights = np.sort(model.match[np.arange(len(TRAITS)), found.levels].sum(axis=1)[~found.same])
    return float(weights[-len(weights) // 100 :].mean())


def test_a_set_counts_by_its_share() -> None:
    """Two sets that contradict each other: the one with the larger share is believed."""
    one = pairs_of(WORLD, 5)
    other = pairs_of(ANCHOR, 6)
    believed, unheard = (
        train(
            ANCHOR, [replace(one, share=mine), replace(other, share=1 - mine)], ridge=1e-7, steps=60
        )
        for mine in (0.95, 0.05)
    )
    wanted = contrast(WORLD, "given")
    assert (
        abs(contrast(believed, "given") - wanted) < abs(contrast(unheard, "given") - wanted) - 0.5
    )


def test_of_unknown_place_a_stranger_counts_as_often_as_the_catchment_holds_them() -> None:
    """Without it, training would take back what the catchment costs."""
    unplaced = ("sex", "given")
    found = pairs_of(WORLD, 7, unplaced, records=20_000)
    near = train(replace(ANCHOR, catchment=20_000), [found], ridge=1e-7, steps=60)
    far = train(replace(ANCHOR, catchment=2_000_000), [found], ridge=1e-7, steps=60)
    assert doubtful_weight(far, found) < doubtful_weight(near, found) + 0.5


def test_of_a_child_without_a_name_the_home_says_of_a_twin_what_it_says_of_the_child() -> None:
    """There is nothing to learn of twins from what they have in common with the child itself."""
    found = pairs_of(WORLD, 8, ("dob", "address"))
    found.levels[:, TRAIT_INDEX["dob"]] = level_number("dob", "exact")
    unnamed = replace(found, unnamed=np.ones(len(found.same), dtype=bool))
    row = TRAIT_INDEX["address"]
    taught, untaught = (
        train(ANCHOR, [pairs], ridge=1e-7, steps=20).rivals[:, row] for pairs in (found, unnamed)
    )
    assert np.array_equal(untaught, ANCHOR.rivals[:, row])
    assert not np.array_equal(taught, ANCHOR.rivals[:, row])


@pytest.mark.parametrize(("matches", "strangers"), [(FEWEST - 1, 500), (500, FEWEST - 1)])
def test_too_few_labels_are_refused(matches: int, strangers: int) -> None:
    with pytest.raises(TooFewLabels, match=f"{FEWEST - 1} labelled pairs"):
        train(ANCHOR, [pairs(1, matches, strangers)])


def test_every_step_is_told() -> None:
    told: list[int] = []
    train(ANCHOR, [pairs(1)], steps=5, told=told.append)
    assert told == [0, 1, 2, 3, 4]
