"""The matching model: one versioned JSON document of probabilities, frequencies and thresholds.

Per trait and level it holds three probabilities of seeing that level: ``m`` for two records of one person, ``u`` for
two strangers, ``r`` for two relatives. Weights are log2 Bayes factors (Fellegi and Sunter 1969). Relatives are a
class of their own because surname, address and phone agree together for them: taken as independent,
those agreements would outweigh a different given name.
"""

from __future__ import annotations

import csv
import gzip
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

import numpy as np
import orjson
from numpy.typing import NDArray

from mpi.matching.comparison import TRAIT_INDEX, TRAITS
from mpi.matching.record import StandardRecord

Matrix = NDArray[np.int8]
Weights = NDArray[np.float64]

_WIDEST = max(len(trait.levels) for trait in TRAITS)
_FREQUENCY_TRAITS = ("given", "family")


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Total weights (log2 odds) that separate the decisions and the FHIR match grades."""

    link: float
    review: float
    possible: float
    margin: float
    impossible: float


@dataclass(frozen=True, slots=True)
class Model:
    """A loaded model. Arrays are indexed [trait, level] as in :data:`mpi.matching.comparison.TRAITS`."""

    version: str
    match: Weights  # log2 m/u; 0 for a missing value
    relative: Weights  # log2 r/u
    chance: Weights  # u
    agreement: NDArray[np.bool_]  # levels whose weight shrinks when any of k values may agree
    frequencies: Mapping[str, Mapping[str, float]]
    rarest: float
    known_share: float
    smallest_index: int
    relatives: float
    thresholds: Thresholds

    def prior(self, index_size: int) -> float:
        """Log2 odds that one given person of the index is the one asked for.

        ``known_share`` of the submissions are of a known patient, spread over ``index_size`` records; a small index
        counts as ``smallest_index`` because the first records of a load are no likelier to match.
        """
        return math.log2(self.known_share / max(index_size, self.smallest_index))

    def relatives_penalty(self, relative_weight: float, index_size: int) -> float:
        """Weight lost because the pair may be relatives: −log2(1 + odds of relative against stranger)."""
        log_odds = relative_weight + math.log2(
            self.relatives / max(index_size, self.smallest_index)
        )
        return (
            -(log_odds + math.log2(1 + 2**-log_odds))
            if log_odds > 0
            else -math.log2(1 + 2**log_odds)
        )

    def rarity(self, trait: str, values: Sequence[str]) -> float:
        """Term-frequency adjustment: log2(u / frequency) of the commonest shared value."""
        table = self.frequencies.get(trait)
        if not table or not values:
            return 0.0
        share = max(table.get(value, self.rarest) for value in values)
        return math.log2(self.chance[TRAIT_INDEX[trait], 1] / max(share, self.rarest))


def shared_value(trait: str, left: StandardRecord, right: StandardRecord) -> tuple[str, ...]:
    """The name two records agree on exactly, for the traits that have frequencies."""
    if trait not in _FREQUENCY_TRAITS:
        return ()
    one, other = getattr(left, trait), getattr(right, trait)
    if one and other and one[0] == other[0]:
        return (one[0],)
    return tuple(set(one) & set(other))


def load_model(document: bytes) -> Model:
    """Read a model document. Raises ``ValueError`` naming the trait or level that is wrong."""
    content = orjson.loads(document)
    shape = (len(TRAITS), _WIDEST)
    match, relative, chance = np.zeros(shape), np.zeros(shape), np.ones(shape)
    agreement = np.zeros(shape, dtype=np.bool_)
    for row, trait in enumerate(TRAITS):
        levels = content["traits"].get(trait.name, {})
        if unknown := set(levels) - set(trait.levels):
            raise ValueError(f"model: trait {trait.name} has unknown levels {sorted(unknown)}")
        for column, level in enumerate(trait.levels[1:], start=1):
            if level not in levels:
                raise ValueError(f"model: trait {trait.name} lacks level {level}")
            m, u, r = (float(levels[level][which]) for which in ("m", "u", "r"))
            if not all(0 < p < 1 for p in (m, u, r)):
                raise ValueError(f"model: {trait.name}.{level} needs probabilities between 0 and 1")
            match[row, column], relative[row, column] = math.log2(m / u), math.log2(r / u)
            chance[row, column], agreement[row, column] = u, m > u
    return Model(
        version=content["version"],
        match=match,
        relative=relative,
        chance=chance,
        agreement=agreement,
        frequencies=content.get("frequencies") or _census_frequencies(),
        rarest=content["rarest_frequency"],
        known_share=content["prior"]["known_share"],
        smallest_index=content["prior"]["smallest_index"],
        relatives=content["prior"]["relatives"],
        thresholds=Thresholds(**content["thresholds"]),
    )


def load_default_model() -> Model:
    """The model shipped with the package."""
    return load_model(resources.files("mpi.matching").joinpath("data/model.json").read_bytes())


def _census_frequencies() -> dict[str, dict[str, float]]:
    """Name frequencies of the US Census 1990, for documents that bring none of their own."""
    tables: dict[str, dict[str, float]] = {"given": {}, "family": {}}
    packed = resources.files("mpi.matching").joinpath("data/name_frequencies.csv.gz").read_bytes()
    for trait, name, share in csv.reader(gzip.decompress(packed).decode().splitlines()):
        tables[trait][name] = float(share)
    return tables
