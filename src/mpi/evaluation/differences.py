"""Where two models differ, as rows that people can read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from math import log2

from mpi.matching.comparison import TRAITS
from mpi.matching.model import FREQUENCY_TRAITS, RIVALS, Model

CLASSES = ("match", *RIVALS)
"""Whose weights a level has."""


@dataclass(frozen=True, slots=True)
class Level:
    """One level of a trait: its weight in bits for each of ``CLASSES``, and how often strangers have it."""

    trait: str
    level: str
    weights: tuple[float, ...]
    chance: float


@dataclass(frozen=True, slots=True)
class Difference:
    """One number that two models have, and not the same.

    ``kind`` is threshold, prior, weight (bits), chance (of strangers, log2) or frequency (of a name, log2). ``of`` is
    the class of a weight. ``level`` is the name that a frequency is of.
    """

    kind: str
    name: str
    level: str
    of: str
    before: float
    after: float


def levels_of(model: Model) -> list[Level]:
    """Every level of a model, trait by trait."""
    return [
        Level(
            trait.name,
            level,
            (
                float(model.match[row, column]),
                *(float(weight) for weight in model.rivals[:, row, column]),
            ),
            float(model.chance[row, column]),
        )
        for row, trait in enumerate(TRAITS)
        for column, level in enumerate(trait.levels[1:], start=1)
    ]


def differences(before: Model, after: Model, least: float = 0.0) -> list[Difference]:
    """What differs: thresholds and priors at all, all else by ``least`` bits."""
    whole = (*_limits(before, after), *_priors(before, after))
    bits = (*_weights(before, after), *_chances(before, after), *_frequencies(before, after))
    found = (*whole, *(each for each in bits if abs(each.after - each.before) >= least))
    return [each for each in found if each.before != each.after]


def _limits(before: Model, after: Model) -> Iterator[Difference]:
    limits = asdict(after.thresholds)
    for name, value in asdict(before.thresholds).items():
        yield Difference("threshold", name, "", "", value, limits[name])


def _priors(before: Model, after: Model) -> Iterator[Difference]:
    for name in ("known_share", "smallest_index", "catchment", "community_share", "rarest"):
        values = (float(getattr(model, name)) for model in (before, after))
        yield Difference("prior", name, "", "", *values)
    for number, rival in enumerate(RIVALS):
        values = (float(model.expected[number]) for model in (before, after))
        yield Difference("prior", "expected", "", rival, *values)


def _weights(before: Model, after: Model) -> Iterator[Difference]:
    for one, other in zip(levels_of(before), levels_of(after), strict=True):
        for of, left, right in zip(CLASSES, one.weights, other.weights, strict=True):
            yield Difference("weight", one.trait, one.level, of, left, right)
    for row, trait in enumerate(TRAITS):
        for column, level in enumerate(trait.levels[1:], start=1):
            values = (float(model.community[row, column]) for model in (before, after))
            yield Difference("weight", trait.name, level, "community", *values)


def _chances(before: Model, after: Model) -> Iterator[Difference]:
    for one, other in zip(levels_of(before), levels_of(after), strict=True):
        yield Difference("chance", one.trait, one.level, "", log2(one.chance), log2(other.chance))


def _frequencies(before: Model, after: Model) -> Iterator[Difference]:
    """Of every name that one of them knows. One that it does not know is as rare as the rarest."""
    for trait in FREQUENCY_TRAITS:
        one, other = before.frequencies.get(trait, {}), after.frequencies.get(trait, {})
        for name in sorted(one.keys() | other.keys()):
            left = log2(max(one.get(name, 0.0), before.rarest))
            right = log2(max(other.get(name, 0.0), after.rarest))
            yield Difference("frequency", trait, name, "", left, right)
