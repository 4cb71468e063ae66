from __future__ import annotations

import math
from importlib import resources
from typing import Any

import numpy as np
import orjson
import pytest

from mpi.matching.comparison import TRAIT_INDEX, TRAITS
from mpi.matching.model import RIVALS, load_default_model, load_model, shared_value
from mpi.matching.record import StandardRecord

MODEL = load_default_model()


def _document() -> dict[str, Any]:
    path = resources.files("mpi.matching").joinpath("data/model.json")
    document: dict[str, Any] = orjson.loads(path.read_bytes())
    return document


def test_the_shipped_model_knows_every_level_of_every_trait() -> None:
    for row, trait in enumerate(TRAITS):
        spoken = range(1, len(trait.levels))
        assert all(MODEL.match[row, column] != 0 for column in spoken), trait.name
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
    with pytest.raises(ValueError, match=r"sex has unknown levels \['maybe'\]"):
        load_model(orjson.dumps(document))


def test_a_missing_level_or_trait_is_named() -> None:
    document = _document()
    del document["traits"]["sex"]["same"]
    with pytest.raises(ValueError, match="sex lacks level same"):
        load_model(orjson.dumps(document))
    del document["traits"]["sex"]
    with pytest.raises(ValueError, match="sex lacks level same"):
        load_model(orjson.dumps(document))


@pytest.mark.parametrize("value", [0, 1, -0.5])
def test_a_chance_that_is_no_probability_is_named(value: float) -> None:
    document = _document()
    document["traits"]["sex"]["same"]["u"] = value
    with pytest.raises(ValueError, match=r"sex\.same needs a u between 0 and 1"):
        load_model(orjson.dumps(document))


@pytest.mark.parametrize("which", ["match", *RIVALS])
def test_a_weight_beyond_reason_is_named(which: str) -> None:
    document = _document()
    document["traits"]["sex"]["same"][which] = -65
    with pytest.raises(ValueError, match=r"sex\.same needs weights of at most 64"):
        load_model(orjson.dumps(document))


def test_the_prior_follows_the_size_of_the_index() -> None:
    smallest = MODEL.smallest_index
    assert MODEL.prior(0) == MODEL.prior(smallest)
    assert MODEL.prior(2 * smallest) == pytest.approx(MODEL.prior(smallest) - 1)


def test_relatives_cost_more_the_more_two_records_look_related() -> None:
    stranger = np.zeros((4, len(TRAITS)), dtype=np.int8)
    costs = MODEL.penalties(stranger, np.array([-50.0, 0.0, 20.0, 40.0]), 0)
    assert costs.tolist() == sorted(costs.tolist(), reverse=True)
    assert costs[0] == pytest.approx(0)
    odds = math.log2(MODEL.expected.sum() / MODEL.smallest_index)
    assert costs[3] == pytest.approx(-(40 + odds), 0.01)


def test_another_given_name_on_one_birthday_is_a_twin_rather_than_a_relative() -> None:
    levels = np.zeros(len(TRAITS), dtype=np.int8)
    for trait, level in (("given", "different"), ("family", "exact"), ("dob", "exact")):
        levels[TRAIT_INDEX[trait]] = TRAITS[TRAIT_INDEX[trait]].levels.index(level)
    relative, twin = MODEL.rivals[:, np.arange(len(TRAITS)), levels].sum(axis=1)
    assert twin > relative + 5


def test_a_rare_name_says_more_than_a_common_one() -> None:
    assert MODEL.rarity("family", ("VANDERSLOOT",)) > MODEL.rarity("family", ("SMITH",))
    assert MODEL.rarity("family", ("VANDERSLOOT", "SMITH")) == MODEL.rarity("family", ("SMITH",))
    assert MODEL.rarity("family", ()) == MODEL.rarity("dob", ("1961-03-17",)) == 0


def test_a_name_that_the_census_does_not_know_is_not_taken_for_the_rarest_of_all() -> None:
    """It may have come into use since: one in 2,000 is as rare as a name gets."""
    unheard = MODEL.rarity("given", ("LUNA",))
    assert unheard == MODEL.rarity("given", ("XQZ",))
    assert 0 < unheard < 2.5


def test_a_document_may_bring_frequencies_of_its_own() -> None:
    document = _document() | {"frequencies": {"family": {"VANDERSLOOT": 0.25}}}
    model = load_model(orjson.dumps(document))
    assert model.rarity("family", ("VANDERSLOOT",)) < MODEL.rarity("family", ("VANDERSLOOT",))
    assert model.rarity("given", ("MARY",)) == 0


def test_only_names_have_a_shared_value() -> None:
    left = StandardRecord(given=("MARY",), family=("OTT", "SMITH"), sex="F")
    right = StandardRecord(given=("ANN",), family=("SMITH",), sex="F")
    assert shared_value("family", left, right) == ("SMITH",)
    assert shared_value("family", left, left) == ("OTT",)
    assert shared_value("given", left, right) == ()
    assert shared_value("sex", left, right) == ()
