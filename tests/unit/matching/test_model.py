from __future__ import annotations

import math
import re
from dataclasses import replace
from importlib import resources
from typing import Any

import numpy as np
import orjson
import pytest

from mpi.matching.comparison import TRAIT_INDEX, TRAITS, level_number
from mpi.matching.model import (
    RIVALS,
    Matrix,
    SharedName,
    load_default_model,
    load_model,
    shared_value,
)
from mpi.matching.record import StandardRecord

MODEL = load_default_model()


def _document() -> dict[str, Any]:
    path = resources.files("mpi.matching").joinpath("data/model.json")
    document: dict[str, Any] = orjson.loads(path.read_bytes())
    return document


def _levels(**named: str) -> Matrix:
    levels = np.zeros((1, len(TRAITS)), dtype=np.int8)
    for trait, level in named.items():
        levels[0, TRAIT_INDEX[trait]] = level_number(trait, level)
    return levels


def test_the_shipped_model_knows_every_level_of_every_trait() -> None:
    for row, trait in enumerate(TRAITS):
        spoken = range(1, len(trait.levels))
        assert all(0 < MODEL.chance[row, column] < 1 for column in spoken), trait.name
        assert MODEL.match[row].any(), trait.name
        assert MODEL.match[row, 0] == 0
        assert not MODEL.rivals[:, row, 0].any()


def test_no_weight_claims_more_than_a_certain_agreement_could_prove() -> None:
    """A weight is log2 m/u, and m is a probability."""
    for row, trait in enumerate(TRAITS):
        for column in range(1, len(trait.levels)):
            most = -math.log2(MODEL.chance[row, column]) + 0.01  # rounded in the document
            assert MODEL.match[row, column] <= most, (trait.name, trait.levels[column])
            assert (MODEL.rivals[:, row, column] <= most).all(), (trait.name, trait.levels[column])


def test_the_better_level_of_a_trait_has_the_higher_rank() -> None:
    ranks = MODEL.ranks[TRAIT_INDEX["ssn"]]
    levels = {level: int(ranks[n]) for n, level in enumerate(TRAITS[TRAIT_INDEX["ssn"]].levels)}
    assert levels["missing"] == 0
    assert 0 < levels["different"] < levels["last_four"] < levels["exact"]


def test_a_level_that_no_comparator_answers_is_named() -> None:
    document = _document()
    document["traits"]["sex"]["maybe"] = {"u": 0.1, "match": 1, "relative": 1, "twin": 1}
    with pytest.raises(
        ValueError, match=r"traits\.sex has a level that this version does not know"
    ):
        load_model(orjson.dumps(document))


def test_a_missing_level_or_trait_is_named() -> None:
    document = _document()
    del document["traits"]["sex"]["same"]
    with pytest.raises(ValueError, match="sex lacks level same"):
        load_model(orjson.dumps(document))
    del document["traits"]["sex"]
    with pytest.raises(ValueError, match="sex lacks level same"):
        load_model(orjson.dumps(document))


@pytest.mark.parametrize("value", [0, 1, -0.5, 5e-324, "0.5", True])
def test_a_chance_that_is_no_probability_is_named(value: object) -> None:
    document = _document()
    document["traits"]["sex"]["same"]["u"] = value
    with pytest.raises(ValueError, match=r"traits\.sex\.same\.u needs a number from 1e-12"):
        load_model(orjson.dumps(document))


@pytest.mark.parametrize("which", ["match", *RIVALS])
def test_a_weight_beyond_reason_is_named(which: str) -> None:
    document = _document()
    document["traits"]["sex"]["same"][which] = -65
    with pytest.raises(
        ValueError, match=rf"traits\.sex\.same\.{which} needs a number from -64 to 64"
    ):
        load_model(orjson.dumps(document))


SENTINEL = "ZZSENTINEL"


def _changed(place: tuple[str, ...], value: object) -> bytes:
    """The shipped document with another value in one place."""
    document = _document() | {"frequencies": {}}
    parent = document
    for name in place[:-1]:
        parent = parent[name]
    parent[place[-1]] = value
    return orjson.dumps(document)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("rarest_frequency",), 0),
        (("rarest_frequency",), 5e-324),
        (("frequencies", "given"), {SENTINEL: "often"}),
        (("frequencies", "given"), {SENTINEL: 5e-324}),
        (("prior", "known_share"), 0),
        (("prior", "known_share"), 5e-324),
        (("prior", "known_share"), 1e12),
        (("prior", "smallest_index"), -1),
        (("prior", "smallest_index"), 20_000.5),
        (("prior", "catchment"), "many"),
        (("prior", "catchment"), 1e13),
        (("prior", "expected", "twin"), None),
        (("prior", "expected", "twin"), 5e-324),
        (("prior", "community_share"), 2),
        (("prior", "community_share"), 5e-324),
        (("community", "given", "exact"), 65),
        (("community", "given", "exact"), SENTINEL),
        (("traits", "sex", "same", "u"), SENTINEL),
        (("traits", "sex", "same", "match"), SENTINEL),
        (("thresholds", "link"), 1e6),
        (("thresholds", "impossible"), -1e6),
        (("thresholds", "review"), SENTINEL),
        (("thresholds", "margin"), True),
    ],
)
def test_a_number_that_no_decision_could_be_made_with_is_named(
    place: tuple[str, ...], value: object
) -> None:
    """Else the model would be activated, and every registration would fail from then on."""
    named = re.escape(".".join(place))
    with pytest.raises(
        ValueError, match=rf"^model: .*{named} needs a (number from|whole)"
    ) as refused:
        load_model(_changed(place, value))
    assert SENTINEL not in str(refused.value)


@pytest.mark.parametrize(
    "place", [("frequencies", SENTINEL), ("traits", "sex", SENTINEL)], ids=["trait", "level"]
)
def test_a_name_that_is_not_known_is_refused_and_not_repeated(place: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"^model: .*; remove") as refused:
        load_model(_changed(place, {}))
    assert SENTINEL not in str(refused.value)


def test_a_count_may_be_written_as_any_whole_number() -> None:
    catchment = load_model(_changed(("prior", "catchment"), 2.3e6)).catchment
    assert (catchment, type(catchment)) == (2_300_000, int)


def test_the_prior_follows_the_size_of_the_index() -> None:
    smallest = MODEL.smallest_index
    assert MODEL.prior(0) == MODEL.prior(smallest)
    assert MODEL.prior(2 * smallest) == pytest.approx(MODEL.prior(smallest) - 1)


def test_relatives_cost_more_the_more_two_records_look_related() -> None:
    stranger = np.repeat(_levels(phone="exact"), 4, axis=0)
    likelier = MODEL.rivals[:, TRAIT_INDEX["phone"], level_number("phone", "exact")]
    rarities = np.array([-50.0, -10.0, 20.0, 40.0])
    said = MODEL.said(stranger)
    costs = MODEL.penalties(said, rarities, MODEL.unplaced(said, rarities, 0), 0)
    assert costs.tolist() == sorted(costs.tolist(), reverse=True)
    assert costs[0] == pytest.approx(0)
    odds = math.log2((MODEL.expected * np.exp2(likelier)).sum() / MODEL.smallest_index)
    assert costs[3] == pytest.approx(-(40 + odds), 0.01)


def test_what_pairs_say_is_what_stands_in_the_tables() -> None:
    chance, columns = np.random.default_rng(7), np.arange(len(TRAITS))
    levels = chance.integers(0, [len(trait.levels) for trait in TRAITS], (200, len(TRAITS)))
    for model in (MODEL, replace(MODEL, match=-MODEL.match, rivals=MODEL.rivals[::-1])):
        said = model.said(levels.astype(np.int8))
        matched = model.matched(levels.astype(np.int8))
        assert np.array_equal(matched, model.match[columns, levels])
        assert pytest.approx(model.rivals[:, columns, levels].sum(axis=2)) == said.rivals.T
        assert said.community == pytest.approx(model.community[columns, levels].sum(axis=1))
        local = [t.name in ("ssn", "national_id", "address", "phone", "email") for t in TRAITS]
        assert said.placed[(matched[:, local] > 0).any(axis=1)].all()


def test_another_given_name_on_one_birthday_is_a_twin_rather_than_a_relative() -> None:
    levels = np.zeros(len(TRAITS), dtype=np.int8)
    for trait, level in (("given", "different"), ("family", "exact"), ("dob", "exact")):
        levels[TRAIT_INDEX[trait]] = TRAITS[TRAIT_INDEX[trait]].levels.index(level)
    relative, twin = MODEL.rivals[:, np.arange(len(TRAITS)), levels].sum(axis=1)
    assert twin > relative + 5


def _rarity(trait: str, *names: str, crossed: bool = False) -> float:
    return MODEL.rarity(trait, SharedName(names, crossed))


def test_a_rare_name_says_more_than_a_common_one() -> None:
    assert _rarity("family", "VANDERSLOOT") > _rarity("family", "SMITH")
    assert _rarity("family", "VANDERSLOOT", "SMITH") == _rarity("family", "SMITH")
    assert _rarity("family") == _rarity("dob", "1961-03-17") == 0


def test_a_name_is_as_common_as_where_its_community_lives() -> None:
    assert _rarity("given", "MOHAMED") < _rarity("given", "OTTOKAR")
    assert _rarity("family", "NGUYEN") < _rarity("family", "VANDERSLOOT")


def test_exchanged_names_are_as_common_as_in_either_place_and_their_rareness_proves_nothing() -> (
    None
):
    as_given = _rarity("given", "JAMES")
    assert _rarity("family", "JAMES", crossed=True) == as_given < _rarity("family", "JAMES")
    assert _rarity("given", "VANDERSLOOT", crossed=True) == 0


def test_a_name_that_the_census_does_not_know_is_not_taken_for_the_rarest_of_all() -> None:
    """It may have come into use since: one in 2,000 is as rare as a name gets."""
    unheard = _rarity("given", "LUNA")
    assert unheard == _rarity("given", "XQZ")
    assert 0 < unheard < 2.5


def test_a_document_may_bring_frequencies_of_its_own() -> None:
    document = _document() | {"frequencies": {"family": {"VANDERSLOOT": 0.25}}}
    model = load_model(orjson.dumps(document))
    rare = SharedName(("VANDERSLOOT",))
    assert model.rarity("family", rare) < MODEL.rarity("family", rare)
    assert model.rarity("given", SharedName(("MARY",))) == 0


def test_only_names_have_a_shared_value() -> None:
    left = StandardRecord(given=("MARY",), family=("OTT", "SMITH"), sex="F")
    right = StandardRecord(given=("ANN",), family=("SMITH", "MARY"), sex="F")
    assert shared_value("family", left, right) == SharedName(("SMITH",))
    assert shared_value("family", left, left) == SharedName(("OTT",))
    assert shared_value("given", left, right) == SharedName(("MARY",), crossed=True)
    assert shared_value("sex", left, right) == SharedName(())


def test_a_namesake_of_unknown_place_is_one_of_a_catchment_however_small_the_index() -> None:
    alike = {"given": "exact", "family": "exact", "dob": "exact"}
    unplaced = MODEL.said(_levels(**alike, locality="different"))
    placed = MODEL.said(_levels(**alike, locality="zip"))
    usual = np.zeros(1)
    for size in (0, 50_000, 1_000_000):
        lost = float(MODEL.unplaced(unplaced, usual, size)[0])
        assert MODEL.prior(size) + lost == pytest.approx(MODEL.prior(MODEL.catchment))
    assert MODEL.unplaced(unplaced, usual, 2 * MODEL.catchment)[0] == 0
    assert MODEL.unplaced(placed, usual, 0)[0] == 0


def test_frequent_names_count_twice_where_nothing_else_agrees() -> None:
    unplaced = np.repeat(_levels(given="exact", family="exact", dob="exact"), 3, axis=0)
    usual, frequent, very = MODEL.unplaced(MODEL.said(unplaced), np.array([1.0, -4.0, -6.0]), 0)
    assert very == pytest.approx(frequent - 2)
    assert frequent < usual - 1


def test_people_of_one_community_share_names_town_and_estimated_birthday() -> None:
    """The larger part of what these agreements say is taken back; of a birth date nothing is."""
    shared = {"given": "exact", "family": "exact", "locality": "zip"}
    estimated = _levels(**shared, dob="january_first")
    known = _levels(**shared, dob="exact")
    size = 10**12
    costs = [
        MODEL.penalties(MODEL.said(found), np.zeros(1), np.zeros(1), size)[0]
        for found in (estimated, known)
    ]
    assert costs[0] < costs[1] - 2 < -3
