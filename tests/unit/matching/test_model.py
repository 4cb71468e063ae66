from __future__ import annotations

import math
from importlib import resources
from typing import Any

import orjson
import pytest

from mpi.matching.comparison import TRAITS
from mpi.matching.model import load_default_model, load_model, shared_value
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
        assert MODEL.match[row, 0] == MODEL.relative[row, 0] == 0


def test_a_weight_is_the_logarithm_of_m_over_u() -> None:
    given = _document()["traits"]["given"]["exact"]
    assert MODEL.match[0, 1] == math.log2(given["m"] / given["u"])
    assert MODEL.relative[0, 1] == math.log2(given["r"] / given["u"])


def test_a_level_that_no_comparator_answers_is_named() -> None:
    document = _document()
    document["traits"]["sex"]["maybe"] = {"m": 0.1, "u": 0.1, "r": 0.1}
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


@pytest.mark.parametrize("which", ["m", "u", "r"])
@pytest.mark.parametrize("value", [0, 1, -0.5])
def test_what_is_no_probability_is_named(which: str, value: float) -> None:
    document = _document()
    document["traits"]["sex"]["same"][which] = value
    with pytest.raises(ValueError, match=r"sex\.same needs probabilities"):
        load_model(orjson.dumps(document))


def test_the_prior_follows_the_size_of_the_index() -> None:
    smallest = MODEL.smallest_index
    assert MODEL.prior(0) == MODEL.prior(smallest)
    assert MODEL.prior(2 * smallest) == pytest.approx(MODEL.prior(smallest) - 1)


def test_relatives_cost_more_the_more_two_records_look_related() -> None:
    costs = [MODEL.relatives_penalty(weight, 0) for weight in (-50.0, 0.0, 15.0, 40.0)]
    assert costs == sorted(costs, reverse=True)
    assert costs[0] == pytest.approx(0)
    assert costs[3] == pytest.approx(-(40 + math.log2(MODEL.relatives / MODEL.smallest_index)), 0.1)


def test_a_rare_name_says_more_than_a_common_one() -> None:
    assert MODEL.rarity("family", ("VANDERSLOOT",)) > MODEL.rarity("family", ("SMITH",))
    assert MODEL.rarity("family", ("VANDERSLOOT", "SMITH")) == MODEL.rarity("family", ("SMITH",))
    assert MODEL.rarity("family", ()) == MODEL.rarity("dob", ("1961-03-17",)) == 0


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
