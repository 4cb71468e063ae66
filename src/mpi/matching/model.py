"""The matching model: one versioned JSON document of probabilities, frequencies and thresholds.

Per trait and level it holds ``u``, the probability of seeing that level for two strangers, and weights: log2 of how
much likelier it is for two records of one person (Fellegi and Sunter 1969), for two relatives, for two twins. Relatives
and twins are classes of their own because surname, address and phone agree together for them, for twins the
birth date too: taken as independent, those agreements would outweigh a different given name.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from importlib import resources
from typing import Any, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from mpi.domain.record import filled
from mpi.matching.comparison import TRAIT_INDEX, TRAITS, level_number
from mpi.matching.record import StandardRecord
from mpi.matching.tables import census_frequencies

Matrix = NDArray[np.int8]
Weights = NDArray[np.float64]
Places = NDArray[np.int64]
Flags = NDArray[np.bool_]
Names = Mapping[str, Mapping[str, float]]

FREQUENCY_TRAITS = ("given", "family")

_LARGEST_WEIGHT = 64  # log2; more is a slip of the pen
_LARGEST_THRESHOLD = 1_000  # log2; totals are sums of many weights
_SMALLEST_SHARE = 1e-9  # one of all people, with which logarithms and odds stay finite
_SMALLEST_CHANCE, _LARGEST_CHANCE = 1e-12, 1 - 1e-9
_SMALLEST_EXPECTED = 1e-15  # training goes below the 1e-9 of a model without relatives
_LARGEST_COUNT = 1e12  # people

WIDEST = max(len(trait.levels) for trait in TRAITS)
OFFSETS = np.arange(len(TRAITS)) * WIDEST
"""Where the levels of each trait begin in an array [trait, level] that is read as a row."""

_FREQUENT = -2.0
"""Term-frequency adjustment (bits, of both names together) from which on names are frequent."""

_OF_ANYBODY = ("given", "family", "dob", "sex", "suffix", "birth_order")

RIVALS = ("relative", "twin")
"""Who may look like the same person without being it, besides strangers."""

_HOUSEHOLD = ("family", "address", "locality", "phone", "email", "mothers_maiden_name")
_SAME_DAY = tuple(level_number("dob", level) for level in ("exact", "january_first"))


def _common_to_twins() -> Flags:
    cells = np.zeros((len(TRAITS), WIDEST), np.bool_)
    cells[[TRAIT_INDEX[trait] for trait in _HOUSEHOLD]] = True
    cells[TRAIT_INDEX["sex"], level_number("sex", "same")] = True
    return cells


COMMON_TO_TWINS = _common_to_twins()
"""Levels [trait, level] that two children of one birth have in common as often as a child has them with itself."""


class SharedName(NamedTuple):
    """Words that are in the names of two records; ``crossed`` when given name of one and family name of the other."""

    values: tuple[str, ...]
    crossed: bool = False

    def __repr__(self) -> str:
        return filled(self, self._fields)


class Said(NamedTuple):
    """What the levels of N pairs say beside their match weights (R of :data:`RIVALS`), read in one look."""

    rivals: Weights  # (N, R): weight of all traits for each rival
    community: Weights  # (N,): the same for two of one origin
    placed: NDArray[np.bool_]  # (N,): whether more agrees than what people anywhere have in common

    def of(self, places: Places) -> Said:
        """The same of pairs that say what those in these places do."""
        return Said(self.rivals[places], self.community[places], self.placed[places])

    def lowered(self, bits: Weights) -> Said:
        """The same where agreement says so much less of each pair. ``bits`` has shape (N,)."""
        return Said(self.rivals - bits[:, np.newaxis], self.community - bits, self.placed)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Total weights (log2 odds) that separate the decisions and the FHIR match grades."""

    link: float
    review: float
    possible: float
    margin: float
    impossible: float

    def between(self, link: float, review: float) -> Thresholds:
        """With another link and review threshold. The two below fall along where they have to."""
        return Thresholds(
            link, review, min(self.possible, review), self.margin, min(self.impossible, review)
        )


@dataclass(frozen=True, slots=True)
class Model:
    """A loaded model. Arrays are indexed [trait, level] as in :data:`mpi.matching.comparison.TRAITS`."""

    version: str
    match: Weights  # log2 m/u; 0 for a missing value
    rivals: Weights  # the same for each of RIVALS, shape (R, traits, levels)
    chance: Weights  # u
    ranks: NDArray[np.int64]  # order of a trait's levels by match weight; 0 for a missing value
    frequencies: Names
    rarest: float
    known_share: float
    smallest_index: int
    catchment: int
    expected: Weights  # how many of each of RIVALS a person has in the index, shape (R,)
    community: Weights  # log2 of how much likelier a level is among people of one origin, [T, L]
    community_share: float  # of the index that is of one's origin
    thresholds: Thresholds
    sums: Weights = field(init=False)  # (T · L, R + 2): what is summed over traits
    unnamed: Weights = field(init=False)  # (T · L, R): the rivals of a child that has no name yet

    def __post_init__(self) -> None:
        """Lay side by side what :meth:`said` sums, so that one look finds all of a level.

        Last whether it agrees on more than that two people are called and born alike.
        """
        placing = (self.match > 0) & np.array([[t.name not in _OF_ANYBODY] for t in TRAITS])
        sums = np.stack([*self.rivals, self.community, placing], axis=-1)
        object.__setattr__(self, "sums", sums.reshape(-1, len(RIVALS) + 2))
        unnamed = np.where(COMMON_TO_TWINS, self.match, self.rivals)
        object.__setattr__(self, "unnamed", np.stack([*unnamed], axis=-1).reshape(-1, len(RIVALS)))

    def matched(self, levels: Matrix) -> Weights:
        """The match weight of each trait. ``levels`` and the answer have shape (N, T)."""
        return self.match.take(levels + OFFSETS)

    def said(self, levels: Matrix, unnamed: Flags | None = None) -> Said:
        """What else pairs say. ``levels`` has shape (N, T), ``unnamed`` (see :func:`child_or_twin`) (N,)."""
        sums = self.sums.take(levels + OFFSETS, axis=0).sum(axis=1)
        rivals = sums[:, : len(RIVALS)]
        if unnamed is not None and unnamed.any():
            these = np.flatnonzero(child_or_twin(levels, unnamed))
            rivals[these] = self.unnamed.take(levels[these] + OFFSETS, axis=0).sum(axis=1)
        return Said(rivals, sums[:, -2], sums[:, -1] > 0)

    def prior(self, index_size: int) -> float:
        """Log2 odds that one given person of the index is the one asked for.

        ``known_share`` of the submissions are of a known patient, spread over ``index_size`` records; a small index
        counts as ``smallest_index`` because the first records of a load are no likelier to match.
        """
        return math.log2(self.known_share / max(index_size, self.smallest_index))

    def unplaced(self, said: Said, rarities: Weights, index_size: int) -> Weights:
        """Weight lost by pairs of which nothing agrees but name, birth date and sex. Shape (pairs,).

        An index holds the patients of some places, and who was born or lives there is likelier to be in it. Of a
        namesake of unknown place no more is known than that he is one of the catchment.
        """
        if said.placed.all():
            return np.zeros(len(rarities))
        size = max(index_size, self.smallest_index)
        found: Weights = np.log2(size / np.maximum(self.catchments(said, rarities), size))
        return found

    def catchments(self, said: Said, rarities: Weights) -> Weights:
        """Of how many people a stranger is one who looks like that; 0 where he is one of the index. Shape (pairs,).

        Frequent names are more frequent still in their generation and community, of which the birth date and the
        other name are signs: where nothing else agrees, their frequency counts twice.
        """
        bearers = np.exp2(np.maximum(0.0, _FREQUENT - rarities))
        return np.where(said.placed, 0.0, self.catchment * bearers)

    def penalties(
        self, said: Said, rarities: Weights, unplaced: Weights, index_size: int
    ) -> Weights:
        """Weight lost because a pair may be relatives, twins or of one community: −log2(1 + Σ odds against a stranger).

        ``rarities``, ``unplaced`` (see there) and the answer have shape (pairs,).
        """
        size = max(index_size, self.smallest_index)
        likelier = said.rivals + np.log2(self.expected / size)
        # Where a pair is unplaced, the strangers are more.
        related = np.logaddexp2.reduce(likelier, axis=1) + rarities + unplaced
        loss: Weights = -np.logaddexp2(self.excess(said, rarities), related)
        return loss

    def excess(self, said: Said, rarities: Weights) -> Weights:
        """Log2 of how much likelier two strangers are to look alike, as some are of one origin. Shape (pairs,).

        They have names in common that others hardly have, live in the same towns and, where birthdays are not
        registered, were born on the same 1 January. No labelled set knows them, so these weights are not trained.
        """
        # A name too rare to be told apart from others counts as frequent as a community makes it already.
        alike = said.community + np.minimum(rarities, 0.0)
        found: Weights = np.logaddexp2(0.0, alike + math.log2(self.community_share))
        return found

    def rarity(self, trait: str, shared: SharedName) -> float:
        """Term-frequency adjustment: log2(u / frequency) of the commonest shared value.

        Where given and family name are exchanged, it is as common as it is in either place, and rareness proves
        nothing more: that strangers have them the other way round is rare already.
        """
        if shared.crossed:
            return min(0.0, *(self._rarity(each, shared.values) for each in FREQUENCY_TRAITS))
        return self._rarity(trait, shared.values)

    def _rarity(self, trait: str, values: Sequence[str]) -> float:
        table = self.frequencies.get(trait)
        if not table or not values:
            return 0.0
        share = max(table.get(value, self.rarest) for value in values)
        return math.log2(self.chance[TRAIT_INDEX[trait], 1] / max(share, self.rarest))


def child_or_twin(levels: Matrix, unnamed: Flags) -> Flags:
    """Which pairs are a child without a name and one born that very day: that child, or its twin. Shape (N,).

    ``unnamed`` tells of which pairs one, and one only, has a given name. The home of a household is that of each of
    its children: however much of it agrees, it speaks for a twin no more than for the child itself
    (:data:`COMMON_TO_TWINS`).
    """
    silent = levels[:, TRAIT_INDEX["given"]] == 0  # a lone family name may be the given name
    found: Flags = unnamed & silent & np.isin(levels[:, TRAIT_INDEX["dob"]], _SAME_DAY)
    return found


_NOT_SHARED = SharedName(())


def shared_value(trait: str, left: StandardRecord, right: StandardRecord) -> SharedName:
    """The name two records agree on exactly, for the traits that have frequencies."""
    if trait not in FREQUENCY_TRAITS:
        return _NOT_SHARED
    exchanged = right.family if trait == "given" else right.given
    return shared_words(getattr(left, trait), getattr(right, trait), exchanged)


def shared_words(
    one: tuple[str, ...], other: tuple[str, ...], exchanged: tuple[str, ...]
) -> SharedName:
    """The same of two names of one trait. ``exchanged``: the name of the other trait that ``other`` comes with."""
    if one and other and one[0] == other[0]:
        return SharedName((one[0],))
    if same := set(one) & set(other):
        return SharedName(tuple(sorted(same)))
    return SharedName(tuple(sorted(set(one) & set(exchanged))), crossed=True)


def load_model(document: bytes) -> Model:
    """Read a model document. Raises ``ValueError`` naming the place that is wrong, but nothing that was typed."""
    content = orjson.loads(document)
    weights = np.zeros((1 + len(RIVALS), len(TRAITS), WIDEST))
    chance = np.ones((len(TRAITS), WIDEST))
    for row, trait in enumerate(TRAITS):
        levels = content["traits"].get(trait.name, {})
        if not set(levels) <= set(trait.levels):
            raise ValueError(
                f"model: traits.{trait.name} has a level that this version does not know; remove it"
            )
        for column, level in enumerate(trait.levels[1:], start=1):
            if level not in levels:
                raise ValueError(f"model: traits.{trait.name} lacks level {level}")
            place = f"traits.{trait.name}.{level}"
            chance[row, column], weights[:, row, column] = _level(place, levels[level])
    match = weights[0]
    order = np.where(np.arange(WIDEST) == 0, -np.inf, match)
    prior = content["prior"]
    return Model(
        version=content["version"],
        match=match,
        rivals=weights[1:],
        chance=chance,
        ranks=order.argsort(axis=1, kind="stable").argsort(axis=1, kind="stable"),
        frequencies=_frequencies(content.get("frequencies")),
        rarest=_share("rarest_frequency", content["rarest_frequency"]),
        known_share=_share("prior.known_share", prior["known_share"]),
        smallest_index=_count("prior.smallest_index", prior["smallest_index"]),
        catchment=_count("prior.catchment", prior["catchment"]),
        expected=_expected(prior["expected"]),
        community=_community(content["community"]),
        community_share=_share("prior.community_share", prior["community_share"]),
        thresholds=_thresholds(content["thresholds"]),
    )


def _number(place: str, value: object, least: float, most: float) -> float:
    """A number that decisions can be made with: of many a logarithm or a power is taken."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise ValueError(f"model: {place} needs a number from {least:.9g} to {most:.9g}")
    return value


def _share(place: str, value: object) -> float:
    return _number(place, value, _SMALLEST_SHARE, 1)


def _weight(place: str, value: object) -> float:
    return _number(place, value, -_LARGEST_WEIGHT, _LARGEST_WEIGHT)


def _count(place: str, value: object) -> int:
    """How many people; they are counted on in positions of the index, which are whole."""
    number = _number(place, value, 1, _LARGEST_COUNT)
    if number != int(number):
        raise ValueError(f"model: {place} needs a whole number")
    return int(number)


def _expected(content: Mapping[str, object]) -> Weights:
    return np.array(
        [
            _number(f"prior.expected.{rival}", content[rival], _SMALLEST_EXPECTED, _LARGEST_COUNT)
            for rival in RIVALS
        ]
    )


def _thresholds(content: Mapping[str, Any]) -> Thresholds:
    for each in fields(Thresholds):
        most = _LARGEST_THRESHOLD
        _number(f"thresholds.{each.name}", content[each.name], -most, most)
    return Thresholds(**content)


def _frequencies(content: Names | None) -> Names:
    """The frequencies of names of a document, or those of the census if it has none."""
    if not content:
        return census_frequencies()
    if not set(content) <= set(FREQUENCY_TRAITS):
        raise ValueError(
            f"model: frequencies are of {' and '.join(FREQUENCY_TRAITS)} only; remove the others"
        )
    for trait, names in content.items():
        for share in names.values():  # names are never repeated: they may come from patients
            _share(f"every one of frequencies.{trait}", share)
    return content


def _community(content: Mapping[str, Mapping[str, object]]) -> Weights:
    """The weights that are told, [trait, level]; people of one origin have all else in common by chance."""
    found = np.zeros((len(TRAITS), WIDEST))
    for trait, levels in content.items():
        for level, weight in levels.items():
            row, column = TRAIT_INDEX[trait], level_number(trait, level)
            found[row, column] = _weight(f"community.{trait}.{level}", weight)
    return found


def _level(place: str, content: Mapping[str, object]) -> tuple[float, list[float]]:
    """The chance of a level among strangers, and its weights for a match and each of RIVALS."""
    chance = _number(f"{place}.u", content["u"], _SMALLEST_CHANCE, _LARGEST_CHANCE)
    return chance, [_weight(f"{place}.{which}", content[which]) for which in ("match", *RIVALS)]


def default_document() -> bytes:
    """The document of the model shipped with the package."""
    return resources.files("mpi.matching").joinpath("data/model.json").read_bytes()


def load_default_model() -> Model:
    """The model shipped with the package."""
    return load_model(default_document())


def load_anchors() -> Model:
    """Where training starts: weights as they were counted. Not meant for serving."""
    return load_model(resources.files("mpi.matching").joinpath("data/anchors.json").read_bytes())
