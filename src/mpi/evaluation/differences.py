"""Where two models differ, as rows that people can read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mpi.matching.comparison import TRAITS
from mpi.matching.model import RIVALS, Model

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
    """One number that two models have, and not the same. ``of`` is the class of a weight."""

    kind: str  # threshold, prior, weight, chance
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
    """What differs: thresholds and priors at all, weights by ``least`` bits, chances by as many bits of theirs."""
    found = [*_limits(before, after), *_priors(before, after)]
    changed = [each for each in found if each.before != each.after]
    weights = [each for each in _weights(before, after) if abs(each.after - each.before) >= least]
    return [*changed, *(each for each in weights if each.before != each.after)]


def _limits(before: Model, after: Model) -> Iterator[Difference]:
    for name in ("link", "review", "possible", "margin", "impossible"):
        values = (float(getattr(model.thresholds, name)) for model in (before, after))
        yield Difference("threshold", name, "", "", *values)


def _priors(before: Model, after: Model) -> Iterator[Difference]:
    for name in ("known_share", "smallest_index", "catchment", "community_share", "rarest"):
        values = (float(getattr(model, name)) for model in (before, after))
        yield Difference("prior", name, "", "", *values)
    for number, rival in enumerate(RIVALS):
        values = (float(model.expected[number]) for model in (before, after))
        yield Difference("prior", "expected", "", rival, *values)


def _weights(before: Model, after: Model) -> Iterator[Difference]:
    pairs: Any = zip(levels_of(before), levels_of(after), strict=True)
    for one, other in pairs:
        for of, left, right in zip(CLASSES, one.weights, other.weights, strict=True):
            yield Difference("weight", one.trait, one.level, of, left, right)
